//go:build unix

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/session"
	"chatkit-session/db"
	"chatkit-session/ports"
)

// How long it may take at most, once a standby has taken over, until a store
// serves again: some seconds, on a busy machine too. One that hangs is waited
// for.
const (
	soonAfterDeath = 10 * time.Second
	soonAfterHang  = 15 * time.Second
)

// A server that dies under load and whose standby takes over loses no session
// that was acknowledged, because none is that the standby does not have; the
// store finds the new one by itself, and soon.
func TestStore_Failover(t *testing.T) {
	t.Parallel()
	pair := pgtest.NewPair(t)
	migratePair(t, pair.URL)
	store := openWith(t, postgres.Config{URL: pair.URL, MaxConnections: 8, Silence: 2 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)

	const before, after = 100, 100
	var mu sync.Mutex
	var acknowledged []session.ID
	var failed atomic.Int32
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	enough, first, resumed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var isolated atomic.Bool // is the standby, and the server alive
	var target atomic.Int32  // of acknowledged sessions
	target.Store(before)
	reached := sync.OnceFunc(func() { close(enough) })
	served := sync.OnceFunc(func() { close(first) })
	again := sync.OnceFunc(func() { close(resumed) })
	stop, ended := context.WithCancel(ctx)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := 0; stop.Err() == nil; n++ {
				user := session.Must(session.ParseUserID(fmt.Sprintf("user_%d_%d", worker, n)))
				alone := isolated.Load()
				id, err := create(ctx, store, user)
				if err == nil && alone && isolated.Load() {
					t.Errorf("session %s is acknowledged, and only the server that will die has it", id)
				}
				if err == nil {
					mu.Lock()
					acknowledged = append(acknowledged, id)
					mu.Unlock()
				} else {
					failed.Add(1)
				}
				if count() >= before {
					reached()
				}
				if n := int(target.Load()); n > before && count() > n-after {
					served()
				}
				if n := int(target.Load()); n > before && count() >= n {
					again()
				}
			}
		})
	}
	await(t, ctx, enough)
	pair.Isolate()
	isolated.Store(true)
	if id, err := create(ctx, store, slot.User); err == nil {
		t.Errorf("session %s is acknowledged, and only the server that will die has it", id)
	}
	isolated.Store(false)
	pair.Failover()
	target.Store(int32(count() + after)) //nolint:gosec // some hundreds
	promoted, late := context.WithTimeout(ctx, soonAfterDeath)
	t.Cleanup(late)
	await(t, promoted, first)
	await(t, ctx, resumed)
	ended()
	group.Wait()

	stored := map[string]bool{}
	rows, err := pgtest.Open(t, pair.URL+"&sslmode=disable").QueryContext(ctx, "SELECT id FROM chatkit_sessions")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // it is read to its end
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		stored[id] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, id := range acknowledged {
		if !stored[id.String()] {
			t.Errorf("session %s was acknowledged and is lost", id)
		}
	}
	t.Logf("%d acknowledged, %d stored, %d failed meanwhile", len(acknowledged), len(stored), failed.Load())
}

// A caller that gives up while COMMIT waits for the standby is not told that it
// is done, and neither is one that repeats the call: a sign-out that only the server has which
// will die is none.
func TestStore_GivesUpInCommit(t *testing.T) {
	t.Parallel()
	pair := pgtest.NewPair(t)
	migratePair(t, pair.URL)
	store := openWith(t, postgres.Config{URL: pair.URL, MaxConnections: 8, Silence: 20 * time.Second})
	if _, err := create(t.Context(), store, slot.User); err != nil {
		t.Fatal(err)
	}
	pair.Isolate()
	signOut := func(ctx context.Context) error {
		return store.Update(ctx, ports.Scope{User: slot.User, Settled: true}, func(seen ports.Seen) (ports.Changes, error) {
			for i := range seen.Sessions {
				seen.Sessions[i].Revoke(session.EndUser, time.Now())
			}
			return ports.Changes{Sessions: seen.Sessions}, nil
		})
	}
	for _, call := range []string{"first", "second"} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		began := time.Now()
		if err := signOut(ctx); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("the %s call = %v, and only the server that will die has it", call, err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the %s call took %v, and its caller gave up after 2 s", call, took)
		}
		cancel()
	}
	pair.Failover()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := store.Find(ctx, slot, session.SignInID{})
	for err != nil && ctx.Err() == nil {
		_, err = store.Find(ctx, slot, session.SignInID{})
	}
	if err != nil {
		t.Errorf("nobody was told that the session has ended, and after the failover Find = %v", err)
	}
}

// A server that hangs and whose standby takes over holds nobody up for longer
// than a new connection may take, whatever a statement may: neither a store that
// has connections to it, nor one that opens its first.
func TestStore_PrimaryHangs(t *testing.T) {
	t.Parallel()
	pair := pgtest.NewPair(t)
	migratePair(t, pair.URL)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	connected := openWith(t, postgres.Config{URL: pair.URL, MaxConnections: 2, Silence: 2 * time.Second})
	if _, err := create(ctx, connected, slot.User); err != nil {
		t.Fatal(err)
	}
	pair.Hang()
	pair.Promote()
	for name, opened := range map[string]func() *postgres.Store{
		"connected": func() *postgres.Store { return connected },
		"new": func() *postgres.Store {
			return openWith(t, postgres.Config{URL: pair.PrimaryFirst, Silence: time.Hour})
		},
	} {
		ctx, cancel := context.WithTimeout(ctx, soonAfterHang)
		store := opened()
		_, err := create(ctx, store, session.Must(session.ParseUserID("user_"+name)))
		for err != nil && ctx.Err() == nil {
			_, err = create(ctx, store, session.Must(session.ParseUserID("user_"+name)))
		}
		if err != nil {
			t.Errorf("a store that is %s: %v", name, err)
		}
		cancel()
	}
}

// The host that took the last connection is asked for the next one first: one
// that hangs costs the time that a connection may take once, not for each.
func TestConnect_RemembersTheHost(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var asked atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close() //nolint:errcheck,revive // it is held, and says nothing
			asked.Add(1)
		}
	}()
	server, err := url.Parse(pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	query := server.Query()
	query.Set("host", "127.0.0.1,"+server.Hostname())
	query.Set("port", port+","+server.Port())
	query.Set("connect_timeout", "1")
	server.Host, server.RawQuery = "", query.Encode()
	pool, err := postgres.Connect(t.Context(), postgres.Config{URL: server.String(), Silence: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	for range 4 {
		conn, err := pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("for four connections the host that hangs was asked %d times", n)
	}
}

func await(t *testing.T, ctx context.Context, signal <-chan struct{}) { //nolint:revive // the test comes first
	t.Helper()
	select {
	case <-signal:
	case <-ctx.Done():
		t.Fatal("it takes too long")
	}
}

func migratePair(t *testing.T, url string) {
	t.Helper()
	migrator, err := db.Postgres(pgtest.Open(t, url+"&sslmode=disable"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// create stores a new session of a user.
func create(ctx context.Context, store *postgres.Store, user session.UserID) (session.ID, error) {
	unique := uuid.New()
	id := session.Must(session.ParseID(uuid.NewString()))
	s := session.New(session.Draft{
		ID: id, Slot: session.Slot{User: user, Workflow: slot.Workflow, Device: slot.Device},
		Credential: session.Credential{Hash: session.TokenHash(append(unique[:], unique[:]...)), Sealed: []byte("sealed")}, ExpiresAt: time.Now().Add(time.Hour),
	}, time.Now())
	err := store.Update(ctx, ports.Scope{User: user}, func(ports.Seen) (ports.Changes, error) {
		return ports.Changes{Sessions: []session.Session{s}}, nil
	})
	return id, err
}
