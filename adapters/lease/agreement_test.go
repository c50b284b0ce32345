package lease_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatkit-session/adapters/lease"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const (
	trust   = 3 * time.Second
	warmUp  = 4 * time.Second
	longest = 5 * time.Second
)

// registry is a ports.LeaseRegistry in memory.
type registry struct {
	mu          sync.Mutex
	lease       time.Duration
	since, held time.Time
	down        bool
	calls       int
}

// set changes the registry under its lock.
func (r *registry) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *registry) HoldLease(_ context.Context, own, kept time.Duration) (ports.LeaseInForce, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.down {
		return ports.LeaseInForce{}, session.Wrap(session.KindUnavailable, errDown)
	}
	now := time.Now()
	free := r.lease == 0 || now.Sub(r.held) >= kept
	switch {
	case own > 0 && free:
		r.lease, r.since, r.held = own, now, now
	case own > 0 && r.lease == own:
		r.held = now
	case free:
		return ports.LeaseInForce{}, nil
	}
	return ports.LeaseInForce{Lease: r.lease, For: now.Sub(r.since)}, nil
}

// replica is a Cache that renews its lease until it is stopped or the test ends.
type replica struct {
	*lease.Cache
	stop    func()
	changes []string // reported by OnChange, such as "caching 2s"
}

func newReplica(t *testing.T, s *fakeStore, r *registry, own time.Duration, sessions int) *replica {
	t.Helper()
	made := &replica{}
	var err error
	made.Cache, err = lease.New(lease.Config{
		Lease: own, Sessions: sessions, Policy: session.DefaultPolicy(), Clock: bubbleClock{}, Registry: r, MaxLease: longest, Trust: trust,
		OnChange: func(caching bool, inForce time.Duration) {
			what := "not caching "
			if caching {
				what = "caching "
			}
			made.changes = append(made.changes, what+inForce.String())
		},
	}, s, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	made.stop = cancel
	t.Cleanup(cancel)
	go made.Run(ctx)
	synctest.Wait()
	return made
}

// hits reports whether the second of two lookups reads nothing from the store.
func (r *replica) hits(t *testing.T, s *fakeStore) bool {
	t.Helper()
	lookUp(t, r.Cache, nil)
	reads := s.reads
	lookUp(t, r.Cache, nil)
	return s.reads == reads
}

func TestCache_Agreement(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, s *fakeStore, r *registry){
		"CachesAfterWarmUp": func(t *testing.T, s *fakeStore, r *registry) {
			one := newReplica(t, s, r, leaseLength, 10)
			<-time.After(warmUp - time.Millisecond)
			if one.hits(t, s) {
				t.Error("the replica caches before the end of the warm-up")
			}
			<-time.After(2 * time.Second)
			if !one.hits(t, s) || one.Degraded() != "" {
				t.Errorf("after the warm-up the replica does not cache: %q", one.Degraded())
			}
			later := newReplica(t, s, r, leaseLength, 10)
			if !later.hits(t, s) {
				t.Error("a replica that starts later with the lease in force does not cache")
			}
		},
		"AnotherLease": func(t *testing.T, s *fakeStore, r *registry) {
			one := newReplica(t, s, r, leaseLength, 10)
			other := newReplica(t, s, r, time.Second, 10)
			<-time.After(3 * warmUp)
			if !one.hits(t, s) || other.hits(t, s) {
				t.Error("only the replica whose lease is in force must cache")
			}
			if said := other.Degraded(); !strings.Contains(said, "CHATKIT_CACHE_LEASE is 1s on this replica but 2s is in force") {
				t.Errorf("Degraded = %q", said)
			}
			if !slices.Equal(one.changes, []string{"caching 2s"}) || !slices.Equal(other.changes, []string{"not caching 2s"}) {
				t.Errorf("OnChange reported %q and %q", one.changes, other.changes)
			}
			if waited := update(t, other.Cache, ports.Scope{}, revoke); waited != leaseLength+leaseLength/10 {
				t.Errorf("Update took %v, want the other replica's lease", waited)
			}
		},
		"NoLease": func(t *testing.T, s *fakeStore, r *registry) {
			newReplica(t, s, r, leaseLength, 10)
			none := newReplica(t, s, r, 0, 0)
			<-time.After(2 * time.Second)
			if waited := update(t, none.Cache, ports.Scope{}, revoke); waited != leaseLength+leaseLength/10 {
				t.Errorf("Update took %v, want the other replica's lease", waited)
			}
		},
		"NoneInForce": func(t *testing.T, s *fakeStore, r *registry) {
			none := newReplica(t, s, r, 0, 0)
			for _, scope := range []ports.Scope{{}, {Settled: true}} {
				if waited := update(t, none.Cache, scope, revoke); waited != 0 {
					t.Errorf("Update took %v, but no replica caches", waited)
				}
			}
			if none.Degraded() != "" {
				t.Errorf("Degraded = %q", none.Degraded())
			}
		},
		// A changed setting takes effect once no replica renews the old lease.
		"Replaced": func(t *testing.T, s *fakeStore, r *registry) {
			old := newReplica(t, s, r, leaseLength, 10)
			fresh := newReplica(t, s, r, time.Second, 10)
			<-time.After(2 * warmUp)
			lookUp(t, old.Cache, nil)
			old.stop()
			synctest.Wait()
			<-time.After(3 * warmUp)
			if !fresh.hits(t, s) || fresh.Degraded() != "" {
				t.Errorf("the replica with the new lease does not cache: %q", fresh.Degraded())
			}
			if old.hits(t, s) {
				t.Error("the replica with the old lease still caches")
			}
		},
		"RegistryDown": func(t *testing.T, s *fakeStore, r *registry) {
			one, none := newReplica(t, s, r, leaseLength, 10), newReplica(t, s, r, 0, 0)
			<-time.After(2 * warmUp)
			r.set(func() { r.down = true })
			<-time.After(trust + time.Second)
			if one.hits(t, s) || !strings.Contains(one.Degraded(), "did not report") {
				t.Errorf("without the registry the replica caches, or Degraded = %q", one.Degraded())
			}
			if waited := update(t, none.Cache, ports.Scope{}, revoke); waited != longest+longest/10 {
				t.Errorf("without the registry Update took %v, want the longest lease", waited)
			}
			r.set(func() { r.down = false })
			<-time.After(3 * warmUp)
			s.session = stored()
			if !one.hits(t, s) {
				t.Error("the replica does not cache again")
			}
		},
		// Entries from before the lease was released are not used once it is in force
		// again.
		"ReleasedAndRegisteredAgain": func(t *testing.T, s *fakeStore, r *registry) {
			one := newReplica(t, s, r, longest, 10)
			<-time.After(2 * warmUp)
			if !one.hits(t, s) {
				t.Fatal("the replica does not cache")
			}
			r.set(func() { r.lease, r.held = 0, time.Time{} }) // as if no replica had renewed it
			<-time.After(trust)
			reads := s.reads
			lookUp(t, one.Cache, nil)
			if s.reads == reads {
				t.Error("an entry from before the release was used")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, &fakeStore{session: stored()}, &registry{}) })
		})
	}
}

// A replica whose Run has stopped asks the registry before it waits.
func TestCache_AsksRegistryBeforeWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := &fakeStore{session: stored()}, &registry{}
		none := newReplica(t, s, r, 0, 0)
		none.stop()
		<-time.After(time.Minute)
		newReplica(t, s, r, leaseLength, 10)
		calls := r.calls
		update(t, none.Cache, ports.Scope{}, func(s *session.Session) { s.Use(bubbleClock{}.Now()) })
		if r.calls != calls {
			t.Error("the registry was asked although no token became invalid")
		}
		if waited := update(t, none.Cache, ports.Scope{}, revoke); waited != leaseLength+leaseLength/10 {
			t.Errorf("Update took %v, want the other replica's lease", waited)
		}
	})
}
