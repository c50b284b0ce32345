package lease_test

import (
	"context"
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

// registry is what replicas agree by, in this process.
type registry struct {
	mu          sync.Mutex
	lease       time.Duration
	since, held time.Time
	lost        bool
	asked       int
}

// set changes the registry.
func (r *registry) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *registry) HoldLease(_ context.Context, leaseLength, kept time.Duration) (ports.LeaseInForce, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.lost {
		return ports.LeaseInForce{}, session.Wrap(session.KindUnavailable, errLost)
	}
	now := time.Now()
	free := r.lease == 0 || now.Sub(r.held) >= kept
	switch {
	case leaseLength > 0 && free:
		r.lease, r.since, r.held = leaseLength, now, now
	case leaseLength > 0 && r.lease == leaseLength:
		r.held = now
	case free:
		return ports.LeaseInForce{}, nil
	}
	return ports.LeaseInForce{Lease: r.lease, For: now.Sub(r.since)}, nil
}

// replica is one with a lease of its own, that keeps it until the test ends.
type replica struct {
	*lease.Cache
	stop func()
	said []string
}

func newReplica(t *testing.T, s *truth, r *registry, leaseLength time.Duration, sessions int) *replica {
	t.Helper()
	made := &replica{}
	var err error
	made.Cache, err = lease.New(lease.Config{
		Lease: leaseLength, Sessions: sessions, Policy: session.DefaultPolicy(), Clock: wall{}, Registry: r, MaxLease: longest, Trust: trust,
		OnChange: func(remembers bool, inForce time.Duration) {
			said := "forgets: " + inForce.String()
			if remembers {
				said = "remembers: " + inForce.String()
			}
			made.said = append(made.said, said)
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

// remembers reports whether the second of two checks costs no read.
func (r *replica) remembers(t *testing.T, s *truth) bool {
	t.Helper()
	finds(t, r.Cache, nil)
	reads := s.reads
	finds(t, r.Cache, nil)
	return s.reads == reads
}

func TestCache_Agreement(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, s *truth, r *registry){
		"OnceWarm": func(t *testing.T, s *truth, r *registry) {
			one := newReplica(t, s, r, leaseLength, 10)
			<-time.After(warmUp - time.Millisecond)
			if one.remembers(t, s) {
				t.Error("it remembers before everybody can know of the lease")
			}
			<-time.After(2 * time.Second)
			if !one.remembers(t, s) || one.Degraded() != "" {
				t.Errorf("it does not remember: %q", one.Degraded())
			}
			later := newReplica(t, s, r, leaseLength, 10)
			if !later.remembers(t, s) {
				t.Error("one that comes later does not remember by the lease in force")
			}
		},
		"AnotherLease": func(t *testing.T, s *truth, r *registry) {
			one := newReplica(t, s, r, leaseLength, 10)
			other := newReplica(t, s, r, time.Second, 10)
			<-time.After(3 * warmUp)
			if !one.remembers(t, s) || other.remembers(t, s) {
				t.Error("it remembers by a lease that is not in force, or not by the one that is")
			}
			if said := other.Degraded(); !strings.Contains(said, "CHATKIT_CACHE_LEASE is 1s here, and 2s is in force") {
				t.Errorf("it says %q", said)
			}
			if len(other.said) != 1 || other.said[0] != "forgets: 2s" || len(one.said) != 1 || one.said[0] != "remembers: 2s" {
				t.Errorf("they say %v, %v", one.said, other.said)
			}
			if waited := update(t, other.Cache, ports.Scope{}, revoke); waited != leaseLength+leaseLength/10 {
				t.Errorf("it waits %v for others", waited)
			}
		},
		"NoLease": func(t *testing.T, s *truth, r *registry) {
			newReplica(t, s, r, leaseLength, 10)
			none := newReplica(t, s, r, 0, 0)
			<-time.After(2 * time.Second)
			if waited := update(t, none.Cache, ports.Scope{}, revoke); waited != leaseLength+leaseLength/10 {
				t.Errorf("it waits %v for others", waited)
			}
		},
		"NobodyHasOne": func(t *testing.T, s *truth, r *registry) {
			none := newReplica(t, s, r, 0, 0)
			for _, scope := range []ports.Scope{{}, {Settled: true}} {
				if waited := update(t, none.Cache, scope, revoke); waited != 0 {
					t.Errorf("it waits %v for nobody", waited)
				}
			}
			if none.Degraded() != "" {
				t.Errorf("it says %q", none.Degraded())
			}
		},
		// The lease changes once nobody holds the one before: what an edit of the
		// settings comes to.
		"Changed": func(t *testing.T, s *truth, r *registry) {
			old := newReplica(t, s, r, leaseLength, 10)
			fresh := newReplica(t, s, r, time.Second, 10)
			<-time.After(2 * warmUp)
			finds(t, old.Cache, nil)
			old.stop()
			synctest.Wait()
			<-time.After(3 * warmUp)
			if !fresh.remembers(t, s) || fresh.Degraded() != "" {
				t.Errorf("it does not remember: %q", fresh.Degraded())
			}
			if old.remembers(t, s) {
				t.Error("the old one remembers still")
			}
		},
		"RegistryLost": func(t *testing.T, s *truth, r *registry) {
			one, none := newReplica(t, s, r, leaseLength, 10), newReplica(t, s, r, 0, 0)
			<-time.After(2 * warmUp)
			r.set(func() { r.lost = true })
			<-time.After(trust + time.Second)
			if one.remembers(t, s) || !strings.Contains(one.Degraded(), "is not known") {
				t.Errorf("it remembers, and says %q", one.Degraded())
			}
			if waited := update(t, none.Cache, ports.Scope{}, revoke); waited != longest+longest/10 {
				t.Errorf("while nobody knows, it waits %v", waited)
			}
			r.set(func() { r.lost = false })
			<-time.After(3 * warmUp)
			s.session = stored()
			if !one.remembers(t, s) {
				t.Error("it does not remember again")
			}
		},
		// What was remembered before the lease was away does not count after it.
		"AwayAndBack": func(t *testing.T, s *truth, r *registry) {
			one := newReplica(t, s, r, longest, 10)
			<-time.After(2 * warmUp)
			if !one.remembers(t, s) {
				t.Fatal("it does not remember")
			}
			r.set(func() { r.lease, r.held = 0, time.Time{} }) // as if nobody had held it
			<-time.After(trust)
			reads := s.reads
			finds(t, one.Cache, nil)
			if s.reads == reads {
				t.Error("it goes by what it knew before")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, &truth{session: stored()}, &registry{}) })
		})
	}
}

// A replica that nobody reminds of the registry asks when it ends a session.
func TestCache_AsksRegistryBeforeWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := &truth{session: stored()}, &registry{}
		none := newReplica(t, s, r, 0, 0)
		none.stop()
		<-time.After(time.Minute)
		newReplica(t, s, r, leaseLength, 10)
		asked := r.asked
		update(t, none.Cache, ports.Scope{}, func(s *session.Session) { s.Use(wall{}.Now()) })
		if r.asked != asked {
			t.Error("it asks though nothing ends")
		}
		if waited := update(t, none.Cache, ports.Scope{}, revoke); waited != leaseLength+leaseLength/10 {
			t.Errorf("it waits %v", waited)
		}
	})
}
