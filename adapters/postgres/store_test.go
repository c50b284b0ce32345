package postgres_test

import (
	"testing"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// open returns a store of its own connections.
func open(t testing.TB, url string, connections int) *postgres.Store {
	t.Helper()
	return openWith(t, postgres.Config{URL: url, MaxConnections: connections})
}

func openWith(t testing.TB, config postgres.Config) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestStore_Contract(t *testing.T) {
	t.Parallel()
	t.Run("AsOwner", func(t *testing.T) {
		t.Parallel()
		porttest.Sessions(t, func(t *testing.T) (ports.Store, ports.Store) {
			t.Helper()
			url := pgtest.New(t)
			return open(t, url, 8), open(t, url, 8)
		})
	})
	// Behind a pooler in transaction mode, on a server whose transactions would
	// rather see one state of the database from their first statement on.
	t.Run("ThroughPgbouncer", func(t *testing.T) {
		t.Parallel()
		through := pgtest.Bouncer(t)
		porttest.Sessions(t, func(t *testing.T) (ports.Store, ports.Store) {
			t.Helper()
			url := pgtest.New(t)
			name := scan[string](t, pgtest.Open(t, url), "SELECT current_database()")
			exec(t, pgtest.Open(t, url), "ALTER DATABASE "+name+" SET default_transaction_isolation = 'repeatable read'")
			config := postgres.Config{URL: through(url), MaxConnections: 8, Unprepared: true}
			return openWith(t, config), openWith(t, config)
		})
	})
	// Its rights are enough, and row-level security lets it through.
	t.Run("AsService", func(t *testing.T) {
		t.Parallel()
		porttest.Sessions(t, func(t *testing.T) (ports.Store, ports.Store) {
			t.Helper()
			url := pgtest.Login(t, pgtest.New(t), "chatkit_service")
			return open(t, url, 8), open(t, url, 8)
		})
	})
}
