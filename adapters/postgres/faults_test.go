package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

var (
	slot = session.Slot{
		User:     session.Must(session.ParseUserID("user_alice")),
		Workflow: session.Must(session.ParseWorkflowID("workflow_1")),
		Device:   session.Must(session.ParseDeviceID("phone")),
	}
	mine = ports.Scope{User: slot.User}
	noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
)

// While another replica holds the clean-up's lock, this one does nothing; the
// lock ends with the other's transaction.
func TestStore_ExpireDue_OneReplicaAtATime(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	store, other := open(t, url, 2), pgtest.Open(t, url)
	addRow(t, other, "user_alice", "phone", "expires_at = now() - interval '1 minute'")
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), postgres.TryCleanerLockSQL); err != nil {
		t.Fatal(err)
	}
	for what, clean := range map[string]func(context.Context, time.Time, int) (int, error){"ExpireDue": store.ExpireDue, "PurgeEnded": store.PurgeEnded, "PurgeActivity": store.PurgeActivity} {
		if n, err := clean(t.Context(), time.Now().Add(time.Hour), 10); n != 0 || err != nil {
			t.Errorf("%s = %d, %v while another replica is at it", what, n, err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n, err := store.ExpireDue(t.Context(), time.Now(), 10); n != 1 || err != nil {
		t.Errorf("ExpireDue = %d, %v", n, err)
	}
}

// clockAt is a clock that is so far from this machine's.
type clockAt time.Duration

func (c clockAt) Now() time.Time { return time.Now().UTC().Add(time.Duration(c)) }

// A replica whose clock is not the database's writes nothing, by whatever
// statement; one whose clock is a little off works.
func TestStore_ClocksDiffer(t *testing.T) { //nolint:tparallel // its cases share rows
	t.Parallel()
	url := pgtest.New(t)
	reader := pgtest.Open(t, url)
	id := session.Must(session.ParseID(addRow(t, reader, "user_alice", "phone", "")))
	for name, c := range map[string]struct { //nolint:paralleltest // see above
		off    time.Duration
		writes bool
	}{
		"Ahead":         {26 * time.Hour, false},
		"Behind":        {-26 * time.Hour, false},
		"ALittleAhead":  {4 * time.Second, true},
		"ALittleBehind": {-2 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // they count in one database
			store := openWith(t, postgres.Config{URL: url, MaxConnections: 2, Clock: clockAt(c.off)})
			called := false
			err := store.Update(t.Context(), mine, func(ports.Seen) (ports.Changes, error) {
				called = true
				return ports.Changes{}, nil
			})
			if called != c.writes || (err == nil) != c.writes || (err != nil && session.KindOf(err) != session.KindUnavailable) {
				t.Errorf("Update = %v, and called change: %v", err, called)
			}
			const counted = "SELECT coalesce(sum(checks), 0) FROM (SELECT checks FROM chatkit_usage UNION ALL SELECT checks FROM chatkit_sessions) AS all_of_them"
			before := scan[int](t, reader, counted)
			busy, err := store.Touch(t.Context(), []session.Use{{Session: id, At: time.Now(), Checks: 1}})
			if len(busy) > 0 || (err == nil) != c.writes || (err != nil && session.KindOf(err) != session.KindUnavailable) {
				t.Errorf("Touch = %v, %v", busy, err)
			}
			if got := scan[int](t, reader, counted) - before; (got == 2) != c.writes || (got == 0) == c.writes {
				t.Errorf("%d checks were counted", got)
			}
		})
	}
}

// soonAfterPause is how long users of a replica that stands still may be held up.
const soonAfterPause = 10 * time.Second

// A replica that stands still in a transaction, with others of its own behind
// that one, holds its users up on another replica only for so long; through a
// pooler, too. What it goes on with then is not stored.
func TestStore_Update_ReplicaStandsStill(t *testing.T) {
	t.Parallel()
	direct := func(url string) postgres.Config { return postgres.Config{URL: url, MaxConnections: 6} }
	through := pgtest.Bouncer(t)
	for name, configure := range map[string]func(string) postgres.Config{
		"Direct": direct,
		"ThroughPgbouncer": func(url string) postgres.Config {
			return postgres.Config{URL: through(url), MaxConnections: 6, Unprepared: true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.New(t)
			admin := pgtest.Open(t, url)
			standing, other := openWith(t, configure(url)), openWith(t, configure(url))
			addRow(t, admin, "user_alice", "phone", "")
			stands, goesOn := make(chan struct{}), make(chan struct{})
			var group sync.WaitGroup
			var ended error
			group.Go(func() {
				ended = standing.Update(t.Context(), mine, func(seen ports.Seen) (ports.Changes, error) {
					close(stands)
					<-goesOn
					seen.Sessions[0].Revoke(session.EndUser, time.Now())
					return ports.Changes{Sessions: seen.Sessions}, nil
				})
			})
			<-stands
			for range 4 {
				group.Go(func() {
					_ = standing.Update(t.Context(), mine, func(ports.Seen) (ports.Changes, error) { <-goesOn; return ports.Changes{}, nil })
				})
			}
			awaitWaiting(t, admin, 4)
			served, cancel := context.WithTimeout(t.Context(), soonAfterPause)
			defer cancel()
			touch := func(ports.Seen) (ports.Changes, error) { return ports.Changes{}, nil }
			for err := other.Update(served, mine, touch); err != nil; err = other.Update(served, mine, touch) {
				if served.Err() != nil {
					t.Fatalf("after %v its user is still held up: %v", soonAfterPause, err)
				}
			}
			close(goesOn)
			group.Wait()
			if !errors.Is(ended, session.KindUnavailable) {
				t.Errorf("once it goes on, its Update = %v", ended)
			}
			if status := scan[string](t, admin, "SELECT status FROM chatkit_sessions"); status != "active" {
				t.Errorf("the session is %s", status)
			}
		})
	}
}

// awaitWaiting waits until so many statements wait for a lock.
func awaitWaiting(t *testing.T, conn *sql.DB, n int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); scan[int](t, conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") < n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("no %d statements wait for a lock", n)
		}
	}
}

// A transaction whose connection dies stores nothing and returns an error, and the store
// goes on with another connection.
func TestStore_Update_ConnectionDies(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	store, admin := open(t, url, 4), pgtest.Open(t, url)
	s := session.New(session.Draft{
		ID: session.Must(session.ParseID("0194f3a0-0000-7000-8000-000000000001")), Slot: slot,
		Credential: session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")}, ExpiresAt: noon.Add(time.Hour),
	}, noon)
	err := store.Update(t.Context(), mine, func(ports.Seen) (ports.Changes, error) {
		killed := scan[int](t, admin, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'`)
		if killed != 1 {
			t.Errorf("%d connections were in a transaction", killed)
		}
		return ports.Changes{Sessions: []session.Session{s}}, nil
	})
	if !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Update = %v, want unavailable", err)
	}
	if _, err := store.Find(t.Context(), slot, session.SignInID{}); !errors.Is(err, session.KindNotFound) {
		t.Errorf("Find = %v, want not found", err)
	}
	if err := store.Update(t.Context(), mine, func(ports.Seen) (ports.Changes, error) {
		return ports.Changes{Sessions: []session.Session{s}}, nil
	}); err != nil {
		t.Errorf("the next Update = %v", err)
	}
}

// A server that takes what it is sent and never answers holds nobody for
// longer than it may be silent, whatever the call is.
func TestStore_ServerHangs(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	proxy := pgtest.NewProxy(t, url)
	store := openWith(t, postgres.Config{URL: proxy.URL, Silence: time.Second})
	nothing := func(ports.Seen) (ports.Changes, error) { return ports.Changes{}, nil }
	calls := map[string]func(context.Context) error{
		"Find":      func(ctx context.Context) error { _, err := store.Find(ctx, slot, session.SignInID{}); return err },
		"Update":    func(ctx context.Context) error { return store.Update(ctx, mine, nothing) },
		"Now":       func(ctx context.Context) error { _, err := store.Now(ctx); return err },
		"ExpireDue": func(ctx context.Context) error { _, err := store.ExpireDue(ctx, noon, 1); return err },
	}
	for name, call := range calls {
		if err := call(t.Context()); err != nil && !errors.Is(err, session.KindNotFound) {
			t.Fatalf("before, %s = %v", name, err)
		}
		proxy.Hang(true)
		done := make(chan error, 1)
		go func() { done <- call(t.Context()) }()
		select {
		case err := <-done:
			if !errors.Is(err, session.KindUnavailable) {
				t.Errorf("%s = %v, want unavailable", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s waits for ever", name)
		}
		proxy.Hang(false)
	}
	if err := store.Update(t.Context(), mine, nothing); err != nil {
		t.Errorf("afterwards Update = %v", err)
	}
}

// Noting activity passes over sessions that somebody is changing, and writes
// the others.
func TestStore_Touch_WaitsForNobody(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	store, conn := open(t, url, 4), pgtest.Open(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	busy, free := addRow(t, conn, "user_alice", "phone", ""), addRow(t, conn, "user_bob", "laptop", "")
	later := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	held := session.Must(session.ParseID(busy))
	uses := []session.Use{{Session: held, At: later}, {Session: session.Must(session.ParseID(free)), At: later}}
	err := store.Update(t.Context(), mine, func(ports.Seen) (ports.Changes, error) {
		if left, err := store.Touch(ctx, uses); err != nil || len(left) != 1 || left[0] != held {
			t.Errorf("Touch = %v, %v, want that it leaves what is held", left, err)
		}
		return ports.Changes{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	touched := scan[string](t, conn, "SELECT string_agg(device_id, ' ') FROM chatkit_sessions WHERE last_activity_at = $1", later)
	if touched != "laptop" {
		t.Errorf("touched are %q", touched)
	}
}

// A caller that waits for a connection gives up when its time is up.
func TestStore_PoolExhausted(t *testing.T) {
	t.Parallel()
	store := open(t, pgtest.New(t), 1)
	err := store.Update(t.Context(), mine, func(ports.Seen) (ports.Changes, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := store.Find(ctx, slot, session.SignInID{}); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Find = %v, want unavailable", err)
		}
		return ports.Changes{}, nil
	})
	if err != nil {
		t.Errorf("Update = %v", err)
	}
}

// What another hand stored can be read, though no client could send it.
func TestStore_Find_ForeignMetadata(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	addRow(t, pgtest.Open(t, url), "user_alice", "phone", `metadata = '{"a":`+strings.Repeat("[", 50)+strings.Repeat("]", 50)+`}'`)
	if found, err := open(t, url, 2).Find(t.Context(), slot, session.SignInID{}); err != nil || len(found.Metadata().Tree()) != 1 {
		t.Errorf("Find = %v, %v", found.Metadata(), err)
	}
}

// What ended while Update waited for it is no active session any more, and not
// shown.
func TestStore_Update_EndedMeanwhile(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	store, other := open(t, url, 1), pgtest.Open(t, url)
	addRow(t, other, "user_alice", "laptop", "")
	id := addRow(t, other, "user_alice", "phone", "")
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE chatkit_sessions SET status = 'revoked', ended_at = now(), end_reason = 'user', token_sealed = NULL WHERE id = $1", id); err != nil {
		t.Fatal(err)
	}
	seen := make(chan int, 1)
	go func() {
		if err := store.Update(t.Context(), mine, func(shown ports.Seen) (ports.Changes, error) {
			seen <- len(shown.Sessions)
			return ports.Changes{}, nil
		}); err != nil {
			t.Errorf("Update = %v", err)
			close(seen)
		}
	}()
	const waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	for scan[int](t, other, waits) == 0 {
		exec(t, other, "SELECT pg_sleep(0.01)")
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := <-seen; n != 1 {
		t.Errorf("Update shows %d sessions, want the one that is active", n)
	}
}

func TestOpen_Refuses(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"NotPostgres":   "mysql://localhost/x",
		"NotAURL":       "postgres://user:hunter2@[::1/x",
		"NobodyListens": "postgres://user:hunter2@127.0.0.1:1/x",
		"Fragment":      "postgres://user:hunter2@%zz/x",
		"UnknownOption": "postgres://user:hunter2@127.0.0.1:1/x?sslmode=hunter2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Open = %v", err)
			}
			if name == "NobodyListens" && !errors.Is(err, session.KindUnavailable) {
				t.Errorf("Open = %v, want unavailable", err)
			}
		})
	}
	t.Run("NoSchema", func(t *testing.T) {
		t.Parallel()
		if _, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.Empty(t)}); err == nil {
			t.Error("opened a database without a schema")
		}
	})
}

func BenchmarkStore(b *testing.B) { porttest.SessionsBenchmark(b, open(b, pgtest.New(b), 4)) }
