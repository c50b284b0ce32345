package postgres_test

import (
	"sync"
	"testing"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/session"
)

// Where the login may have fewer connections than the pool may open, callers
// wait for those there are.
func TestStore_RoleOfFewConnections(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	owner := pgtest.Open(t, url)
	addRow(t, owner, slot.User.String(), slot.Device.String(), "")
	login := pgtest.Login(t, url, "chatkit_service")
	conn := pgtest.Open(t, login)
	name := scan[string](t, conn, "SELECT current_user")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	exec(t, owner, "ALTER ROLE "+name+" CONNECTION LIMIT 3")
	store := openWith(t, postgres.Config{URL: login, MaxConnections: 16})
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for range 5 {
				if _, err := store.Find(t.Context(), slot, session.SignInID{}); err != nil {
					t.Errorf("Find = %v", err)
				}
			}
		})
	}
	callers.Wait()
}
