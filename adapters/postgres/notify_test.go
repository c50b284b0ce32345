package postgres_test

import (
	"context"
	"database/sql"
	"net/url"
	"testing"
	"time"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/session"
	"chatkit-session/ports/porttest"
)

func newRelay(t testing.TB, config postgres.Config, direct string) *postgres.Relay {
	t.Helper()
	relay, err := postgres.NewRelay(openWith(t, config), direct)
	if err != nil {
		t.Fatal(err)
	}
	return relay
}

// elsewhere is a connection to another database of the server, and database's
// name.
func elsewhere(t testing.TB, database string) (conn *sql.DB, name string) {
	t.Helper()
	name = scan[string](t, pgtest.Open(t, database), "SELECT current_database()")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/postgres"
	return pgtest.Open(t, u.String()), name
}

func TestRelay_Contract(t *testing.T) {
	t.Parallel()
	t.Run("AsService", func(t *testing.T) {
		t.Parallel()
		open := func(t *testing.T) porttest.Relays {
			t.Helper()
			database := pgtest.New(t)
			config := postgres.Config{URL: pgtest.Login(t, database, "chatkit_service"), MaxConnections: 4}
			admin, name := elsewhere(t, database)
			return porttest.Relays{
				One: newRelay(t, config, ""), Two: newRelay(t, config, ""),
				Lose: func() {
					exec(t, admin, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
					exec(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'")
				},
				Recover: func() { exec(t, admin, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true") },
			}
		}
		porttest.Relay(t, open)
		t.Run("Lost", func(t *testing.T) {
			t.Parallel()
			porttest.RelayLost(t, open)
		})
	})
	// What is heard goes past the pooler, what is said through it.
	t.Run("ThroughPgbouncer", func(t *testing.T) {
		t.Parallel()
		through := pgtest.Bouncer(t)
		porttest.Relay(t, func(t *testing.T) porttest.Relays {
			database := pgtest.New(t)
			config := postgres.Config{URL: through(database), MaxConnections: 4, Unprepared: true}
			return porttest.Relays{One: newRelay(t, config, database), Two: newRelay(t, config, database)}
		})
	})
}

// A server that hangs, also in the middle of connecting, does not hold up who
// stops waiting.
func TestRelay_Receive_ServerHangs(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, pgtest.New(t))
	relay := newRelay(t, postgres.Config{URL: proxy.URL}, "")
	for _, hangs := range []bool{false, true} {
		proxy.Hang(hangs)
		ctx, cancel := context.WithCancel(t.Context())
		ready, done := make(chan struct{}), make(chan error, 1)
		go func() { done <- relay.Receive(ctx, func() { close(ready) }, func([]session.ID) {}) }()
		if !hangs {
			<-ready
			proxy.Hang(true)
		}
		cancel()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("it waits for ever")
		}
	}
	proxy.Hang(false) // to close the store
}

// Others on the channel are heard as what they are: of no session.
func TestRelay_Receive_Foreign(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	relay := newRelay(t, postgres.Config{URL: database}, "")
	said := make(chan []session.ID, 10)
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = relay.Receive(ctx, func() { close(ready) }, func(ids []session.ID) { said <- ids }) }()
	<-ready
	exec(t, pgtest.Open(t, database), `SELECT pg_notify('chatkit_sessions', E'{"a": "b"}\n/ a-1 é')`)
	if ids := <-said; len(ids) != 1 || ids[0].String() != "a-1" {
		t.Errorf("heard is %v", ids)
	}
}

func TestNewRelay_Refuses(t *testing.T) {
	t.Parallel()
	if _, err := postgres.NewRelay(open(t, pgtest.New(t), 1), "mysql://x"); err == nil {
		t.Error("it takes any URL")
	}
}

// The server gives up a replica that takes in nothing more of what it hears.
func TestRelay_IsGivenUp(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	for name, c := range map[string]struct {
		pooled bool
		direct string
		want   string
	}{
		"Direct":       {false, "", "10000"},
		"Pooled":       {true, "", ""},
		"PooledDirect": {true, url, "10000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			relay, err := postgres.NewRelay(openWith(t, postgres.Config{URL: url, MaxConnections: 1, Unprepared: c.pooled}), c.direct)
			if err != nil {
				t.Fatal(err)
			}
			conn := pgtest.Open(t, relay.DSN())
			if got := scan[string](t, conn, "SHOW tcp_user_timeout"); got != c.want && (c.want != "" || got == "10000") {
				t.Errorf("it waits %s ms", got)
			}
		})
	}
}
