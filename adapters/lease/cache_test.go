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
	for name, test := range map[string]func(t *testing.T, l *lease.Cache, s *truth) (reads int){
		"OnceALease": func(t *testing.T, l *lease.Cache, _ *truth) int {
			for range 3 {
				finds(t, l, nil)
			}
			<-time.After(leaseLength - time.Nanosecond)
			finds(t, l, nil)
			return 1
		},
		"AgainAfterIt": func(t *testing.T, l *lease.Cache, _ *truth) int {
			finds(t, l, nil)
			<-time.After(leaseLength)
			finds(t, l, nil)
			return 2
		},
		"ALeaseDoesNotGetLongerByItsUse": func(t *testing.T, l *lease.Cache, _ *truth) int {
			for range 4 {
				finds(t, l, nil)
				<-time.After(leaseLength / 2)
			}
			return 2
		},
		"NobodysToken": func(t *testing.T, l *lease.Cache, s *truth) int {
			s.session = stored(func(s *session.Stored) { s.Credential.Hash = session.TokenHash{9} })
			finds(t, l, session.KindNotFound)
			finds(t, l, session.KindNotFound)
			return 2
		},
		"ALostStore": func(t *testing.T, l *lease.Cache, s *truth) int {
			s.lost = true
			finds(t, l, session.KindUnavailable)
			s.lost = false
			finds(t, l, nil)
			return 2
		},
		"WhatIsNotGood": func(t *testing.T, l *lease.Cache, s *truth) int {
			s.session = stored(func(s *session.Stored) { s.ExpiresAt = s.CreatedAt })
			finds(t, l, nil)
			s.session = stored()
			finds(t, l, nil)
			return 2
		},
		"WhatIsNotGoodAnyMore": func(t *testing.T, l *lease.Cache, s *truth) int {
			s.session = stored(func(s *session.Stored) { s.LastActivityAt = s.CreatedAt.Add(time.Second - 10*time.Minute) })
			finds(t, l, nil)
			<-time.After(time.Second)
			s.session = stored() // somebody used it
			finds(t, l, nil)
			return 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &truth{session: stored()}
				if want := test(t, leases(t, s, 10), s); s.reads != want || int(s.looks.asked.Load()) != want {
					t.Errorf("%d reads, of which it tells %d, want %d", s.reads, s.looks.asked.Load(), want)
				}
			})
		})
	}
	t.Run("KeepsNoMoreThanSaid", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &truth{}
			l := leases(t, s, 10)
			for n := range 100 {
				hash := session.TokenHash{byte(n)}
				s.session = stored(func(s *session.Stored) { s.Credential.Hash = hash })
				if _, err := l.FindByToken(t.Context(), hash); err != nil {
					t.Fatal(err)
				}
			}
			if kept := l.Kept(); kept == 0 || kept > 10 {
				t.Errorf("%d are kept", kept)
			}
		})
	})
	t.Run("TellsWhatItRemembered", func(t *testing.T) {
		t.Parallel()
		s := &truth{session: stored()}
		l := leases(t, s, 10)
		for range 3 {
			finds(t, l, nil)
		}
		if remembered, asked := s.looks.remembered.Load(), s.looks.asked.Load(); remembered != 2 || asked != 1 {
			t.Errorf("it tells that it remembered %d and asked %d", remembered, asked)
		}
	})
	t.Run("KeepsNone", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &truth{session: stored()}
			l := leases(t, s, 0)
			finds(t, l, nil)
			if finds(t, l, nil); s.reads != 2 {
				t.Errorf("%d reads", s.reads)
			}
			if waited := update(t, l, ports.Scope{}, revoke); waited < leaseLength {
				t.Errorf("waited for %v, but others keep some", waited)
			}
		})
	})
}

func TestCache_Update(t *testing.T) {
	t.Parallel()
	rotate := func(grace time.Duration) func(*session.Session) {
		return func(s *session.Session) {
			now := wall{}.Now()
			s.Rotate(session.Credential{Hash: session.TokenHash{2}}, now, now.Add(time.Hour), now.Add(grace))
		}
	}
	for name, c := range map[string]struct {
		scope  ports.Scope
		change func(*session.Session)
		waits  bool
	}{
		"Revoked":            {ports.Scope{}, revoke, true},
		"Rotated":            {ports.Scope{}, rotate(30 * time.Second), false},
		"RotatedWithNoGrace": {ports.Scope{}, rotate(0), true},
		"GraceTooShort":      {ports.Scope{}, rotate(leaseLength + leaseLength/10 + 10*time.Second), true},
		"GraceLongEnough":    {ports.Scope{}, rotate(leaseLength + leaseLength/10 + 10*time.Second + time.Microsecond), false},
		"Used":               {ports.Scope{}, func(s *session.Session) { s.Use(wall{}.Now()) }, false},
		"NotChanged":         {ports.Scope{}, nil, false},
		"SettledNotChanged":  {ports.Scope{Settled: true}, nil, true},
		"New": {ports.Scope{}, func(s *session.Session) {
			*s = stored(func(s *session.Stored) { s.ID, s.Status = "id_2", session.StatusRevoked })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				waited := update(t, leases(t, &truth{session: stored()}, 10), c.scope, c.change)
				if want := leaseLength + leaseLength/10; (c.waits && waited != want) || (!c.waits && waited != 0) {
					t.Errorf("took %v", waited)
				}
			})
		})
	}
	t.Run("WhoeverGivesUp", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), leaseLength/2)
			defer cancel()
			began := time.Now()
			err := leases(t, &truth{session: stored()}, 10).Update(ctx, ports.Scope{}, revokes)
			if waited := time.Since(began); err != nil || waited < leaseLength {
				t.Errorf("Update = %v after %v", err, waited)
			}
		})
	})
	// To the replica that ends it the session is over, to another not yet.
	t.Run("ByAnyClock", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &truth{session: stored()}
			late := leasesBy(t, s, 10, behind{9 * time.Second})
			<-time.After(10*time.Minute - time.Second) // the rest of its idle time
			finds(t, late, nil)
			<-time.After(time.Second)
			update(t, leases(t, s, 0), ports.Scope{}, func(s *session.Session) { s.Expire(wall{}.Now()) })
			finds(t, late, session.KindNotFound)
		})
	})
	t.Run("OverForAllClocks", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &truth{session: stored()}
			<-time.After(10*time.Minute + 10*time.Second)
			if waited := update(t, leases(t, s, 0), ports.Scope{}, func(s *session.Session) { s.Expire(wall{}.Now()) }); waited != 0 {
				t.Errorf("took %v", waited)
			}
		})
	})
	// The grace may be over by the time that a rotation is durable.
	t.Run("SlowCommit", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &truth{session: stored(), commit: make(chan struct{})}
			began := time.Now()
			go func() {
				<-time.After(20 * time.Second)
				s.commit <- struct{}{}
			}()
			update(t, leases(t, s, 10), ports.Scope{}, rotate(30*time.Second))
			if took := time.Since(began); took < 20*time.Second+leaseLength {
				t.Errorf("took %v", took)
			}
		})
	})
	for name, s := range map[string]*truth{"StoreLost": {lost: true}, "Refused": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := leases(t, s, 10).Update(t.Context(), ports.Scope{Settled: true}, func(ports.Seen) (ports.Changes, error) {
					return ports.Changes{}, session.Wrap(session.KindNotFound, errLost)
				})
				if !errors.Is(err, errLost) || time.Since(began) != 0 {
					t.Errorf("Update = %v after %v", err, time.Since(began))
				}
			})
		})
	}
}
