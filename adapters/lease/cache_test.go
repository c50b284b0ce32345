package lease_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chatkit-session/adapters/lease"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const leaseLength = 2 * time.Second

var (
	leaseToken = session.TokenHash{1}
	errLost    = errors.New("the store is lost")
)

// wall is the clock of a bubble.
type wall struct{}

func (wall) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// behind is the clock of a replica that is late.
type behind struct{ by time.Duration }

func (b behind) Now() time.Time { return wall{}.Now().Add(-b.by) }

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

// truth is a store of one session.
type truth struct {
	ports.SessionStore
	ports.SecretFinder
	session session.Session
	lost    bool
	reads   int
	// looks counts those that memory answered, and those that it did not.
	looks  struct{ remembered, asked atomic.Int32 }
	commit chan struct{} // holds an Update before it is durable; nil does not
}

// held holds a read before and after the store looks.
type held struct{ look, answer chan struct{} }

type heldKey struct{}

func (s *truth) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	s.reads++
	hold, isHeld := ctx.Value(heldKey{}).(held)
	if isHeld {
		<-hold.look
	}
	found, lost := s.session.Outline(), s.lost
	if isHeld {
		<-hold.answer
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

func (s *truth) Update(_ context.Context, _ ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	if s.lost {
		return session.Wrap(session.KindUnavailable, errLost)
	}
	changes, err := change(ports.Seen{Sessions: []session.Session{s.session}})
	if err != nil {
		return err
	}
	if s.commit != nil {
		<-s.commit
	}
	for _, changed := range changes.Sessions {
		if changed.ID() == s.session.ID() {
			s.session = changed
		}
	}
	return nil
}

func leases(t *testing.T, s *truth, sessions int) *lease.Cache {
	t.Helper()
	return leasesBy(t, s, sessions, wall{})
}

func leasesBy(t *testing.T, s *truth, sessions int, clock ports.Clock) *lease.Cache {
	t.Helper()
	policy := session.DefaultPolicy()
	policy.Usual.IdleTimeout = 10 * time.Minute
	looked := func(remembered bool) {
		if remembered {
			s.looks.remembered.Add(1)
		} else {
			s.looks.asked.Add(1)
		}
	}
	l, err := lease.New(lease.Config{Lease: leaseLength, Sessions: sessions, Policy: policy, Clock: clock, OnLookup: looked}, s, s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func revoke(s *session.Session) { s.Revoke(session.EndUser, wall{}.Now()) }

func revokes(seen ports.Seen) (ports.Changes, error) {
	revoke(&seen.Sessions[0])
	return ports.Changes{Sessions: seen.Sessions}, nil
}

// update changes the session and returns how long that took.
func update(t *testing.T, l *lease.Cache, scope ports.Scope, change func(*session.Session)) time.Duration {
	t.Helper()
	began := time.Now()
	err := l.Update(t.Context(), scope, func(seen ports.Seen) (ports.Changes, error) {
		if change == nil {
			return ports.Changes{}, nil
		}
		change(&seen.Sessions[0]) // in place, as callers may
		return ports.Changes{Sessions: seen.Sessions}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

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

func finds(t *testing.T, l *lease.Cache, want error) {
	t.Helper()
	if found, err := l.FindByToken(t.Context(), leaseToken); !errors.Is(err, want) || (err == nil && found.User() != stored().User()) {
		t.Errorf("FindByToken = %v, %v", found.User(), err)
	}
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

// The steps that a history is made of. There are two checks on one replica, and
// a revocation on another.
const (
	stepRead   = "read"   // a check begins; the cache may answer it at once
	stepLook   = "look"   // the store looks for it
	stepAnswer = "answer" // the store's answer comes, and is kept
	stepBegin  = "begin"  // somebody decides to end the session
	stepCommit = "commit" // that is durable
	stepReturn = "return" // they are told so, when it is time
	stepTick   = "tick"   // more than half of the wait passes
)

const (
	// mostSteps bounds the histories: enough for a read that is held while a
	// session ends, and for another one after that.
	mostSteps = 8
	mostTicks = 2
)

// step is something that happens, to one of the checks where it is about one.
type step struct {
	what  string
	check int
}

// TestCache_EveryHistory lets two checks, a slow store, a revocation and time
// itself take turns in every order there is, of so many steps. In none of them
// is a token good to a check that began after the revocation had returned.
func TestCache_EveryHistory(t *testing.T) {
	t.Parallel()
	histories, good, refused := 0, 0, 0
	var explore func(steps []step)
	explore = func(steps []step) {
		h := play(t, steps)
		histories, good, refused = histories+1, good+h.good, refused+h.refused
		if h.bad {
			t.Fatalf("a token is good after it was revoked: %v", steps)
		}
		if len(steps) == mostSteps {
			return
		}
		for _, next := range h.next {
			explore(append(slices.Clip(steps), next))
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
	next          []step // what can come next
	good, refused int
	bad           bool
}

// play lets the steps happen, one after the other.
func play(t *testing.T, steps []step) (h history) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPlayer(t)
		for _, s := range steps {
			p.play(s)
			synctest.Wait()
		}
		h = p.history
		h.next = p.next()
		p.finish()
	})
	return h
}

// Where a check, or the revocation, is.
const (
	idle = iota
	begun
	looked // or durable
)

// player is a history on its way.
type player struct {
	history
	t      *testing.T
	store  *truth
	cache  *lease.Cache // of the replica that checks
	other  *lease.Cache // of the one that revokes
	checks [2]struct {
		held
		at int
	}
	ticks    int
	revoking int
	revoked  atomic.Bool
	ended    chan struct{}
}

func newPlayer(t *testing.T) *player {
	t.Helper()
	store := &truth{session: stored(), commit: make(chan struct{})}
	p := &player{t: t, store: store, cache: leases(t, store, 10), other: leases(t, store, 10), ended: make(chan struct{})}
	for i := range p.checks {
		p.checks[i].held = held{make(chan struct{}), make(chan struct{})}
	}
	return p
}

func (p *player) play(s step) {
	check := &p.checks[s.check]
	switch s.what {
	case stepRead:
		p.read(s.check)
	case stepLook:
		check.look <- struct{}{}
		check.at = looked
	case stepAnswer:
		check.answer <- struct{}{}
		check.at = idle
	case stepBegin:
		p.revoking = begun
		go func() {
			update(p.t, p.other, ports.Scope{}, revoke)
			p.revoked.Store(true)
			close(p.ended)
		}()
	case stepCommit:
		p.revoking = looked
		p.store.commit <- struct{}{}
	case stepReturn:
		<-p.ended
	case stepTick:
		p.ticks++
		<-time.After(leaseLength * 3 / 5)
	}
}

// read begins a check, and judges it when it is done.
func (p *player) read(n int) {
	check := &p.checks[n]
	check.at = begun
	afterwards, reads := p.revoked.Load(), p.store.reads
	go func() {
		_, err := p.cache.FindByToken(context.WithValue(p.t.Context(), heldKey{}, check.held), leaseToken)
		if err != nil {
			p.refused++
			return
		}
		p.good++
		p.bad = p.bad || afterwards
	}()
	synctest.Wait()
	if p.store.reads == reads { // the cache answered
		check.at = idle
	}
}

func (p *player) next() (next []step) {
	for n, check := range p.checks {
		first := n == 0 || p.checks[0].at != idle // as good as the other way round
		if check.at == idle && first {
			next = append(next, step{stepRead, n})
		}
		if check.at == begun {
			next = append(next, step{stepLook, n})
		}
		if check.at == looked {
			next = append(next, step{stepAnswer, n})
		}
	}
	switch {
	case p.revoking == idle:
		next = append(next, step{what: stepBegin})
	case p.revoking == begun:
		next = append(next, step{what: stepCommit})
	case !p.revoked.Load():
		next = append(next, step{what: stepReturn})
	}
	if p.ticks < mostTicks {
		next = append(next, step{what: stepTick})
	}
	return next
}

// finish ends what still runs.
func (p *player) finish() {
	for n := range p.checks {
		for ; p.checks[n].at != idle; synctest.Wait() {
			p.play(step{map[int]string{begun: stepLook, looked: stepAnswer}[p.checks[n].at], n})
		}
	}
	if p.revoking == begun {
		p.play(step{what: stepCommit})
	}
	if p.revoking == looked {
		<-p.ended
	}
}
