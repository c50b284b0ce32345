package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/adapters/sqlite"
	"chatkit-session/adapters/telemetry"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

// checkedToken is a token that the replicas are asked about all the time.
type checkedToken struct {
	token   string
	revoked atomic.Bool // the call that ended its session has returned
	stop    atomic.Bool
	good    [3]atomic.Int32 // by replica
	late    [3]atomic.Int32 // checks that began when it was revoked, and were answered
}

// checking asks every replica about the token until it is stopped, several
// times at once.
func (c *cluster) checking(group *sync.WaitGroup, k *checkedToken) {
	for n, r := range c.replicas {
		for range 2 {
			group.Go(func() {
				for !k.stop.Load() {
					revoked := k.revoked.Load()
					id, _, err := c.introspect(r, k.token)
					good := id != ""
					switch {
					case err != nil:
						c.t.Errorf("replica %d: %v", n, err)
						return
					case good && revoked:
						c.t.Errorf("replica %d: a token is good after it was revoked", n)
						return
					case good:
						k.good[n].Add(1)
					case revoked:
						k.late[n].Add(1)
					}
				}
			})
		}
	}
}

// signOut ends a session by two calls at once, on two replicas: one of them
// ends it, the other finds that it has ended, and both report it.
func (c *cluster) signOut(k *checkedToken, user, id string) {
	var calls sync.WaitGroup
	for _, r := range c.replicas[:2] {
		calls.Go(func() {
			status, body, err := ask(c.t.Context(), http.MethodDelete, r.url+"/api/chatkit/sessions/"+id, c.credential(user, "sess_1"), "", "")
			if err != nil || status != http.StatusNoContent {
				c.t.Errorf("sign-out: %d %s, %v", status, body, err)
				return
			}
			k.revoked.Store(true)
		})
	}
	calls.Wait()
}

// until waits until every replica has counted so many.
func until(t *testing.T, counts *[3]atomic.Int32, most int32) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for n := range counts {
		for counts[n].Load() < most {
			if t.Failed() || time.Now().After(deadline) {
				t.Fatalf("replica %d: %d checks", n, counts[n].Load())
			}
			<-time.After(time.Millisecond)
		}
	}
}

// Three replicas remember sessions. Whatever fails (one stands still while a
// session ends, Redis dies or hangs), once somebody was told that a session has
// ended its token is good on none of them.
func TestCache_Replicas(t *testing.T) {
	t.Parallel()
	counter := redistest.New(t)
	c := newCluster(t, pgtest.New(t), "CHATKIT_CACHE_LEASE=300ms", "CHATKIT_CACHE_SESSIONS=100",
		"REDIS_URL="+counter.URL, "CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=1000", "CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE=1000")
	c.remember()
	held := c.replicas[2].command.Process
	for name, fault := range map[string]struct{ before, after func() }{
		"None":         {func() {}, func() {}},
		"ReplicaHeld":  {func() { _ = held.Signal(syscall.SIGSTOP) }, func() { _ = held.Signal(syscall.SIGCONT) }},
		"RedisDead":    {counter.Kill, func() { counter.Start(t) }},
		"RedisHanging": {func() { counter.Hang(t, true) }, func() { counter.Hang(t, false) }},
	} {
		for round := range 4 {
			user := fmt.Sprint("user_", name, round)
			k := &checkedToken{}
			_, body, err := ask(t.Context(), http.MethodPost, c.replicas[0].url+"/api/chatkit/session", c.credential(user, "sess_1"), "application/json", `{"deviceId":"phone"}`)
			var got answer
			if err != nil || json.Unmarshal(body, &got) != nil || got.Session.ChatKitSessionID == "" {
				t.Fatalf("%s, %v", body, err)
			}
			k.token = got.Session.ChatKitSessionID
			var group sync.WaitGroup
			c.checking(&group, k)
			until(t, &k.good, 5)
			fault.before()
			c.signOut(k, user, got.Session.ID)
			fault.after()
			if t.Failed() {
				k.stop.Store(true)
				group.Wait()
				t.FailNow()
			}
			until(t, &k.late, 5)
			k.stop.Store(true)
			group.Wait()
		}
	}
}

// remember waits until all replicas answer checks from memory.
func (c *cluster) remember() {
	c.t.Helper()
	for _, r := range c.replicas {
		r.logs.await(c.t, fromMemory)
	}
}

// A new configuration has reached one replica, which has another lease, or none:
// it answers nothing from memory, reports that, and what it ends is over for those
// that go on by the one in force.
func TestCache_AnotherLease(t *testing.T) {
	t.Parallel()
	for name, another := range map[string]string{"Shorter": "CHATKIT_CACHE_LEASE=1ms", "None": "CHATKIT_CACHE_SESSIONS=0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, pgtest.New(t), "CHATKIT_CACHE_LEASE=500ms", "CHATKIT_CACHE_SESSIONS=100")
			c.remember()
			changed := append(slices.Clone(c.environ), another)
			if name == "None" {
				changed = append(changed, "CHATKIT_CACHE_LEASE=0s")
			}
			fresh := startReplica(t, changed).serving(t)
			c.replicas[2].stop(t)
			c.replicas[2] = fresh
			for round := range 4 {
				user := fmt.Sprint("user_", round)
				opened := c.open(c.replicas[0], user)
				k := &checkedToken{token: opened.Session.ChatKitSessionID}
				var group sync.WaitGroup
				c.checking(&group, k)
				until(t, &k.good, 5)
				status, body, err := ask(t.Context(), http.MethodDelete, fresh.url+"/api/chatkit/sessions/"+opened.Session.ID, c.credential(user, "sess_1"), "", "")
				if err != nil || status != http.StatusNoContent {
					t.Errorf("sign-out: %d %s, %v", status, body, err)
				}
				k.revoked.Store(true)
				until(t, &k.late, 5)
				k.stop.Store(true)
				group.Wait()
			}
			_, ready, err := ask(t.Context(), http.MethodGet, fresh.url+"/readyz", "", "", "")
			says := strings.Contains(string(ready), "CHATKIT_CACHE_LEASE is 1ms on this replica but 500ms is in force")
			if err != nil || says != (name == "Shorter") {
				t.Errorf("/readyz says %s, %v", ready, err)
			}
			if name == "Shorter" {
				fresh.logs.await(t, regexp.MustCompile(`"token checks do not use the cache.*"inForce":"500ms"`))
			}
		})
	}
}

// A session that ends behind the service's back shows that checks go by what
// was remembered, for as long as a lease and no longer.
func TestCache_IsUsed(t *testing.T) {
	t.Parallel()
	for _, sessions := range []int{0, 100} {
		t.Run(fmt.Sprint(sessions), func(t *testing.T) {
			t.Parallel()
			database := pgtest.New(t)
			kept, err := postgres.Open(t.Context(), postgres.Config{URL: database})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = kept.Close() })
			s := onStore(t, kept, "INTROSPECTION_KEYS="+backendKey, "CHATKIT_CACHE_LEASE=5s", fmt.Sprint("CHATKIT_CACHE_SESSIONS=", sessions))
			opened := s.open(t, "user_1", "")
			conn := pgtest.Open(t, database)
			began := time.Now()
			if !s.good(t, opened.Session.ChatKitSessionID) {
				t.Fatal("a new token is invalid")
			}
			if _, err := conn.ExecContext(t.Context(), "UPDATE chatkit_sessions SET status = 'revoked', token_sealed = NULL, ended_at = now(), end_reason = 'user' WHERE id = $1", opened.Session.ID); err != nil {
				t.Fatal(err)
			}
			good := s.good(t, opened.Session.ChatKitSessionID)
			if inTime := time.Since(began) < 5*time.Second; good != (sessions > 0) && inTime {
				t.Errorf("good is %v", good)
			}
		})
	}
}

// asShared is a store as the service uses it: announced, and checked from memory.
type asShared struct {
	ports.SessionStore
	ports.SecretFinder
	ports.UsageStore
	ports.ActivityStore
	ports.AdminStore
	ports.SessionCleaner
	ports.StoreProbe
	ports.LeaseRegistry
}

// What the service puts around its store keeps the store's contract.
func TestCache_StoreContract(t *testing.T) {
	t.Parallel()
	c, _, err := parseSettings(testEnviron(t, "CHATKIT_CACHE_LEASE=10ms", "CHATKIT_CACHE_SESSIONS=100"))
	if err != nil {
		t.Fatal(err)
	}
	// Everything in the suite happens at noon of that day.
	clock := &movableClock{now: noon}
	database := func(t *testing.T, path string) *sqlite.Store {
		t.Helper()
		opened, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = opened.Close() })
		return opened
	}
	open := func(t *testing.T, folder string) ports.Store {
		t.Helper()
		opened := database(t, filepath.Join(folder, "sessions.db"))
		registry := database(t, filepath.Join(folder, "lease.db")) // in the other one there is a lease in force
		shared, err := share(t.Context(), c, slog.New(slog.DiscardHandler), opened, rates{}, clock, telemetry.New())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		var kept sync.WaitGroup
		kept.Go(func() { shared.leases.Run(ctx) })
		t.Cleanup(func() { stop(); kept.Wait() })
		return asShared{shared.leases, shared.leases, opened, opened, opened, opened, opened, registry}
	}
	porttest.Sessions(t, func(t *testing.T) (ports.Store, ports.Store) {
		t.Helper()
		folder := t.TempDir()
		return open(t, folder), open(t, folder)
	})
}
