package postgres_test

import (
	"testing"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/ports/porttest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// open returns a store of its own connections.
func open(t testing.TB, url string, connections int) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConnections: connections})
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
		porttest.Sessions(t, func(t *testing.T) (porttest.Store, porttest.Store) {
			t.Helper()
			url := pgtest.New(t)
			return open(t, url, 8), open(t, url, 8)
		})
	})
	// Its rights are enough, and row-level security lets it through.
	t.Run("AsService", func(t *testing.T) {
		t.Parallel()
		porttest.Sessions(t, func(t *testing.T) (porttest.Store, porttest.Store) {
			t.Helper()
			url := pgtest.Login(t, pgtest.New(t), "chatkit_service")
			return open(t, url, 8), open(t, url, 8)
		})
	})
}
