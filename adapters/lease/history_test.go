package lease_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chatkit-session/adapters/lease"
	"chatkit-session/ports"
)

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
