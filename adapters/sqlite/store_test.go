package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"chatkit-session/adapters/sqlite"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
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
	porttest.Sessions(t, func(t *testing.T) (ports.Store, ports.Store) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "sessions.db")
		return open(t, path), open(t, path)
	})
}

var (
	slot = session.Slot{
		User:     session.Must(session.ParseUserID("user_1")),
		Workflow: session.Must(session.ParseWorkflowID("workflow_1")),
		Device:   session.Must(session.ParseDeviceID("phone")),
	}
	noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
)

func insert(t testing.TB, store *sqlite.Store) {
	t.Helper()
	s := session.New(session.Draft{
		ID: session.Must(session.ParseID("0194f3a0-0000-7000-8000-000000000001")), Slot: slot,
		Credential: session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")}, ExpiresAt: noon.Add(time.Hour),
	}, noon)
	err := store.Update(t.Context(), ports.Scope{User: slot.User}, func(ports.Seen) (ports.Changes, error) {
		return ports.Changes{Sessions: []session.Session{s}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpen_KeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a name?with=odd#characters%20.db")
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	insert(t, store)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the database is elsewhere, or for others to read: %v %v", info, err)
	}
	if _, err := open(t, path).Find(t.Context(), slot, session.SignInID{}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestOpen_NoSuchFolder(t *testing.T) {
	t.Parallel()
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "missing", "sessions.db")})
	if !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Open = %v, want unavailable", err)
	}
}

func TestStore_Closed(t *testing.T) {
	t.Parallel()
	store := open(t, filepath.Join(t.TempDir(), "sessions.db"))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Find(t.Context(), slot, session.SignInID{}); err == nil || errors.Is(err, session.KindNotFound) {
		t.Errorf("Find = %v", err)
	}
}

func BenchmarkStore(b *testing.B) {
	porttest.SessionsBenchmark(b, open(b, filepath.Join(b.TempDir(), "sessions.db")))
}
