package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"chatkit-session/adapters/lease"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

func TestCache_FindByToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, c *lease.Cache, s *fakeStore) (reads int){
		"HitsWithinLease": func(t *testing.T, c *lease.Cache, _ *fakeStore) int {
			for range 3 {
				lookUp(t, c, nil)
			}
			<-time.After(leaseLength - time.Nanosecond)
			lookUp(t, c, nil)
			return 1
		},
		"MissesAfterLease": func(t *testing.T, c *lease.Cache, _ *fakeStore) int {
			lookUp(t, c, nil)
			<-time.After(leaseLength)
			lookUp(t, c, nil)
			return 2
		},
		"UseDoesNotExtendLease": func(t *testing.T, c *lease.Cache, _ *fakeStore) int {
			for range 4 {
				lookUp(t, c, nil)
				<-time.After(leaseLength / 2)
			}
			return 2
		},
		"UnknownTokenIsNotCached": func(t *testing.T, c *lease.Cache, s *fakeStore) int {
			s.session = stored(func(s *session.Stored) { s.Credential.Hash = session.TokenHash{9} })
			lookUp(t, c, session.KindNotFound)
			lookUp(t, c, session.KindNotFound)
			return 2
		},
		"ErrorIsNotCached": func(t *testing.T, c *lease.Cache, s *fakeStore) int {
			s.down = true
			lookUp(t, c, session.KindUnavailable)
			s.down = false
			lookUp(t, c, nil)
			return 2
		},
		"ExpiredSessionIsNotUsed": func(t *testing.T, c *lease.Cache, s *fakeStore) int {
			s.session = stored(func(s *session.Stored) { s.ExpiresAt = s.CreatedAt })
			lookUp(t, c, nil)
			s.session = stored()
			lookUp(t, c, nil)
			return 2
		},
		"SessionThatBecomesIdleIsNotUsed": func(t *testing.T, c *lease.Cache, s *fakeStore) int {
			s.session = stored(func(s *session.Stored) { s.LastActivityAt = s.CreatedAt.Add(time.Second - 10*time.Minute) })
			lookUp(t, c, nil)
			<-time.After(time.Second)
			s.session = stored() // used again
			lookUp(t, c, nil)
			return 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &fakeStore{session: stored()}
				if want := test(t, newCache(t, s, 10), s); s.reads != want || int(s.misses.Load()) != want {
					t.Errorf("%d reads of the store, %d misses reported, want %d", s.reads, s.misses.Load(), want)
				}
			})
		})
	}
	t.Run("MaxSessions", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{}
			c := newCache(t, s, 10)
			for n := range 100 {
				hash := session.TokenHash{byte(n)}
				s.session = stored(func(s *session.Stored) { s.Credential.Hash = hash })
				if _, err := c.FindByToken(t.Context(), hash); err != nil {
					t.Fatal(err)
				}
			}
			if n := c.Len(); n == 0 || n > 10 {
				t.Errorf("%d entries, want 1 to 10", n)
			}
		})
	})
	t.Run("ReportsHits", func(t *testing.T) {
		t.Parallel()
		s := &fakeStore{session: stored()}
		c := newCache(t, s, 10)
		for range 3 {
			lookUp(t, c, nil)
		}
		if hits, misses := s.hits.Load(), s.misses.Load(); hits != 2 || misses != 1 {
			t.Errorf("%d hits and %d misses reported, want 2 and 1", hits, misses)
		}
	})
	t.Run("Disabled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{session: stored()}
			c := newCache(t, s, 0)
			lookUp(t, c, nil)
			if lookUp(t, c, nil); s.reads != 2 {
				t.Errorf("%d reads of the store, want 2", s.reads)
			}
			if waited := update(t, c, ports.Scope{}, revoke); waited < leaseLength {
				t.Errorf("Update took %v, but other replicas may have entries", waited)
			}
		})
	})
}

func TestCache_Update(t *testing.T) {
	t.Parallel()
	rotate := func(grace time.Duration) func(*session.Session) {
		return func(s *session.Session) {
			now := bubbleClock{}.Now()
			s.Rotate(session.Credential{Hash: session.TokenHash{2}}, now, now.Add(time.Hour), now.Add(grace))
		}
	}
	for name, c := range map[string]struct {
		scope  ports.Scope
		change func(*session.Session)
		waits  bool
	}{
		"Revoked":              {ports.Scope{}, revoke, true},
		"Rotated":              {ports.Scope{}, rotate(30 * time.Second), false},
		"RotatedWithoutGrace":  {ports.Scope{}, rotate(0), true},
		"GraceShorterThanWait": {ports.Scope{}, rotate(leaseLength + leaseLength/10 + 10*time.Second), true},
		"GraceLongerThanWait":  {ports.Scope{}, rotate(leaseLength + leaseLength/10 + 10*time.Second + time.Microsecond), false},
		"Used":                 {ports.Scope{}, func(s *session.Session) { s.Use(bubbleClock{}.Now()) }, false},
		"Unchanged":            {ports.Scope{}, nil, false},
		"SettledUnchanged":     {ports.Scope{Settled: true}, nil, true},
		"New": {ports.Scope{}, func(s *session.Session) {
			*s = stored(func(s *session.Stored) { s.ID, s.Status = "id_2", session.StatusRevoked })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				waited := update(t, newCache(t, &fakeStore{session: stored()}, 10), c.scope, c.change)
				want := time.Duration(0)
				if c.waits {
					want = leaseLength + leaseLength/10
				}
				if waited != want {
					t.Errorf("Update took %v, want %v", waited, want)
				}
			})
		})
	}
	t.Run("CallerGivesUp", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), leaseLength/2)
			defer cancel()
			began := time.Now()
			err := newCache(t, &fakeStore{session: stored()}, 10).Update(ctx, ports.Scope{}, revokes)
			if waited := time.Since(began); err != nil || waited < leaseLength {
				t.Errorf("Update = %v after %v", err, waited)
			}
		})
	})
	// By the clock of the replica that ends it the session is idle already, by the
	// other replica's clock it is not.
	t.Run("ClocksDiffer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{session: stored()}
			late := newCacheWith(t, s, 10, slowClock{9 * time.Second})
			<-time.After(10*time.Minute - time.Second) // the rest of its idle time
			lookUp(t, late, nil)
			<-time.After(time.Second)
			update(t, newCache(t, s, 0), ports.Scope{}, func(s *session.Session) { s.Expire(bubbleClock{}.Now()) })
			lookUp(t, late, session.KindNotFound)
		})
	})
	t.Run("ExpiredByEveryClock", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{session: stored()}
			<-time.After(10*time.Minute + 10*time.Second)
			if waited := update(t, newCache(t, s, 0), ports.Scope{}, func(s *session.Session) { s.Expire(bubbleClock{}.Now()) }); waited != 0 {
				t.Errorf("Update took %v, want no wait", waited)
			}
		})
	})
	// The grace may have passed by the time that the rotation is committed.
	t.Run("SlowCommit", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &fakeStore{session: stored(), commit: make(chan struct{})}
			began := time.Now()
			go func() {
				<-time.After(20 * time.Second)
				s.commit <- struct{}{}
			}()
			update(t, newCache(t, s, 10), ports.Scope{}, rotate(30*time.Second))
			if took := time.Since(began); took < 20*time.Second+leaseLength {
				t.Errorf("Update took %v, want the commit's 20s and the lease", took)
			}
		})
	})
	for name, s := range map[string]*fakeStore{"StoreDown": {down: true}, "Refused": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := newCache(t, s, 10).Update(t.Context(), ports.Scope{Settled: true}, func(ports.Seen) (ports.Changes, error) {
					return ports.Changes{}, session.Wrap(session.KindNotFound, errDown)
				})
				if !errors.Is(err, errDown) || time.Since(began) != 0 {
					t.Errorf("Update = %v after %v", err, time.Since(began))
				}
			})
		})
	}
}
