package memory_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chatkit-session/adapters/memory"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const lease = 2 * time.Second

var (
	leaseToken = session.TokenHash{1}
	errLost    = errors.New("the store is lost")
)

// wall is the clock of a bubble.
type wall struct{}

func (wall) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// stored is a session of an hour.
func stored(change ...func(*session.Stored)) session.Session {
	now := wall{}.Now()
	s := session.Stored{
		ID: "id_1", User: "user_1", Device: "phone", Workflow: "workflow_1", Status: session.StatusActive, SignIn: "sess_1",
		Credential: session.Credential{Hash: leaseToken}, CreatedAt: now, LastActivityAt: now, ExpiresAt: now.Add(time.Hour),
	}
	for _, c := range change {
		c(&s)
	}
	return session.Restore(s)
}

// truth is a store of one session, whose reads can be held before and after
// they look.
type truth struct {
	ports.SessionStore
	ports.SecretFinder
	session       session.Session
	lost          bool
	reads         int
	before, after chan struct{} // nil: reads are not held
}

func (s *truth) FindByToken(_ context.Context, hash session.TokenHash) (session.Session, error) {
	s.reads++
	if s.before != nil {
		<-s.before
	}
	found, lost := s.session, s.lost
	if s.after != nil {
		<-s.after
	}
	previous, _ := found.Previous()
	switch {
	case lost:
		return session.Session{}, session.Wrap(session.KindUnavailable, errLost)
	case found.Status() != session.StatusActive || (hash != found.Credential().Hash && hash != previous):
		return session.Session{}, session.Wrap(session.KindNotFound, errLost)
	}
	return found, nil
}

func (s *truth) Update(_ context.Context, _ ports.Scope, change func([]session.Session) (ports.Changes, error)) error {
	if s.lost {
		return session.Wrap(session.KindUnavailable, errLost)
	}
	changes, err := change([]session.Session{s.session})
	if err != nil {
		return err
	}
	for _, changed := range changes.Sessions {
		if changed.ID() == s.session.ID() {
			s.session = changed
		}
	}
	return nil
}

func leases(t *testing.T, s *truth, sessions int) *memory.Leases {
	t.Helper()
	policy := session.DefaultPolicy()
	policy.Usual.IdleTimeout = 10 * time.Minute
	l, err := memory.NewLeases(memory.LeaseConfig{Lease: lease, Sessions: sessions, Policy: policy, Clock: wall{}}, s, s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func revoke(s *session.Session) { s.Revoke(session.EndUser, wall{}.Now()) }

// update changes the session and returns how long that took.
func update(t *testing.T, l *memory.Leases, scope ports.Scope, change func(*session.Session)) time.Duration {
	t.Helper()
	began := time.Now()
	err := l.Update(t.Context(), scope, func(seen []session.Session) (ports.Changes, error) {
		if change == nil {
			return ports.Changes{}, nil
		}
		change(&seen[0]) // in place, as callers may
		return ports.Changes{Sessions: seen}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func TestLeases_FindByToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, l *memory.Leases, s *truth) (reads int){
		"OnceALease": func(t *testing.T, l *memory.Leases, _ *truth) int {
			for range 3 {
				finds(t, l, nil)
			}
			<-time.After(lease - time.Nanosecond)
			finds(t, l, nil)
			return 1
		},
		"AgainAfterIt": func(t *testing.T, l *memory.Leases, _ *truth) int {
			finds(t, l, nil)
			<-time.After(lease)
			finds(t, l, nil)
			return 2
		},
		"ALeaseDoesNotGetLongerByItsUse": func(t *testing.T, l *memory.Leases, _ *truth) int {
			for range 4 {
				finds(t, l, nil)
				<-time.After(lease / 2)
			}
			return 2
		},
		"NobodysToken": func(t *testing.T, l *memory.Leases, s *truth) int {
			s.session = stored(func(s *session.Stored) { s.Credential.Hash = session.TokenHash{9} })
			finds(t, l, session.KindNotFound)
			finds(t, l, session.KindNotFound)
			return 2
		},
		"ALostStore": func(t *testing.T, l *memory.Leases, s *truth) int {
			s.lost = true
			finds(t, l, session.KindUnavailable)
			s.lost = false
			finds(t, l, nil)
			return 2
		},
		"WhatIsNotGood": func(t *testing.T, l *memory.Leases, s *truth) int {
			s.session = stored(func(s *session.Stored) { s.ExpiresAt = s.CreatedAt })
			finds(t, l, nil)
			s.session = stored()
			finds(t, l, nil)
			return 2
		},
		"WhatIsNotGoodAnyMore": func(t *testing.T, l *memory.Leases, s *truth) int {
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
				if want := test(t, leases(t, s, 10), s); s.reads != want {
					t.Errorf("%d reads, want %d", s.reads, want)
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
	t.Run("KeepsNone", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &truth{session: stored()}
			l := leases(t, s, 0)
			finds(t, l, nil)
			if finds(t, l, nil); s.reads != 2 {
				t.Errorf("%d reads", s.reads)
			}
			if waited := update(t, l, ports.Scope{}, revoke); waited < lease {
				t.Errorf("waited for %v, but others keep some", waited)
			}
		})
	})
}

func finds(t *testing.T, l *memory.Leases, want error) {
	t.Helper()
	if found, err := l.FindByToken(t.Context(), leaseToken); !errors.Is(err, want) || (err == nil && found.User() != stored().User()) {
		t.Errorf("FindByToken = %v, %v", found.User(), err)
	}
}

func TestLeases_Update(t *testing.T) {
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
		"GraceOfAsLong":      {ports.Scope{}, rotate(lease + lease/10), true},
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
				if want := lease + lease/10; (c.waits && waited != want) || (!c.waits && waited != 0) {
					t.Errorf("took %v", waited)
				}
			})
		})
	}
	t.Run("CallerGivesUp", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &truth{session: stored()}
			ctx, cancel := context.WithTimeout(t.Context(), lease)
			defer cancel()
			err := leases(t, s, 10).Update(ctx, ports.Scope{}, func(seen []session.Session) (ports.Changes, error) {
				revoke(&seen[0])
				return ports.Changes{Sessions: seen}, nil
			})
			if !errors.Is(err, session.KindUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Update = %v", err)
			}
		})
	})
	for name, s := range map[string]*truth{"StoreLost": {lost: true}, "Refused": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := leases(t, s, 10).Update(t.Context(), ports.Scope{Settled: true}, func([]session.Session) (ports.Changes, error) {
					return ports.Changes{}, session.Wrap(session.KindNotFound, errLost)
				})
				if !errors.Is(err, errLost) || time.Since(began) != 0 {
					t.Errorf("Update = %v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// The steps that a history is made of.
const (
	stepRead   = "read"   // a check begins; the cache may answer it at once
	stepLook   = "look"   // the store looks for it
	stepAnswer = "answer" // the store's answer comes, and is kept
	stepRevoke = "revoke" // another replica ends the session, and waits
	stepTick   = "tick"   // half a lease passes
)

// mostSteps bounds the histories: enough for a read that is held while a
// session ends, and for another one after that.
const mostSteps = 8

// TestLeases_EveryHistory lets a check, a slow store, a revocation and time
// itself take turns in every order there is, of so many steps, with two checks
// at a time on one replica. In none of them is a token good to a check that
// began after the revocation had returned.
func TestLeases_EveryHistory(t *testing.T) {
	t.Parallel()
	histories, good, refused := 0, 0, 0
	var explore func(history []string)
	explore = func(history []string) {
		h := play(t, history)
		histories, good, refused = histories+1, good+h.good, refused+h.refused
		if h.bad {
			t.Fatalf("a token is good after it was revoked: %v", history)
		}
		if len(history) == mostSteps {
			return
		}
		for _, next := range h.next {
			explore(append(slices.Clip(history), next))
		}
	}
	explore(nil)
	t.Logf("%d histories: %d checks found a good token, %d a revoked one", histories, good, refused)
	if good == 0 || refused == 0 {
		t.Error("they show nothing")
	}
}

// history is what became of the steps that were played.
type history struct {
	next          []string // what can come next
	good, refused int
	bad           bool
}

// play lets the steps happen, one after the other.
func play(t *testing.T, steps []string) (h history) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPlayer(t)
		for _, step := range steps {
			p.step(step)
			synctest.Wait()
		}
		h = p.history
		h.next = p.next()
		p.finish()
	})
	return h
}

const mostChecks = 2

// player is a history on its way.
type player struct {
	history
	t         *testing.T
	store     *truth
	cache     *memory.Leases // of the replica that checks
	other     *memory.Leases // that of the one that revokes
	waiting   int            // checks before the store looks
	looked    int            // and after
	ticks     int
	revoking  bool
	revoked   atomic.Bool
	ended     chan struct{}
	stillBusy int
}

func newPlayer(t *testing.T) *player {
	t.Helper()
	store := &truth{session: stored(), before: make(chan struct{}), after: make(chan struct{})}
	return &player{t: t, store: store, cache: leases(t, store, 10), other: leases(t, store, 10), ended: make(chan struct{})}
}

func (p *player) step(step string) {
	switch step {
	case stepRead:
		p.read()
	case stepLook:
		p.store.before <- struct{}{}
		p.waiting--
		p.looked++
	case stepAnswer:
		p.looked--
		p.store.after <- struct{}{}
	case stepRevoke:
		p.revoking = true
		go func() {
			update(p.t, p.other, ports.Scope{Settled: true}, revoke)
			p.revoked.Store(true)
			close(p.ended)
		}()
	case stepTick:
		p.ticks++
		<-time.After(lease / 2)
	}
}

// read begins a check, and judges it when it is done.
func (p *player) read() {
	afterwards, reads := p.revoked.Load(), p.store.reads
	p.stillBusy++
	go func() {
		_, err := p.cache.FindByToken(p.t.Context(), leaseToken)
		p.stillBusy--
		if err != nil {
			p.refused++
			return
		}
		p.good++
		p.bad = p.bad || afterwards
	}()
	synctest.Wait()
	p.waiting += p.store.reads - reads
}

func (p *player) next() []string {
	next := make([]string, 0, mostChecks+3)
	if p.stillBusy < mostChecks {
		next = append(next, stepRead)
	}
	if p.waiting > 0 {
		next = append(next, stepLook)
	}
	if p.looked > 0 {
		next = append(next, stepAnswer)
	}
	if !p.revoking {
		next = append(next, stepRevoke)
	}
	if p.ticks < 4 {
		next = append(next, stepTick)
	}
	return next
}

// finish ends what still runs.
func (p *player) finish() {
	for p.waiting > 0 {
		p.step(stepLook)
		synctest.Wait()
	}
	for p.looked > 0 {
		p.step(stepAnswer)
		synctest.Wait()
	}
	if p.revoking {
		<-p.ended
	}
}
