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

// The steps of an interleaving: two checks on one replica and a revocation on
// another.
const (
	stepCheck  = "check"  // a check starts; an entry may answer it at once
	stepRead   = "read"   // the store reads the session for the check
	stepAnswer = "answer" // the store's answer arrives and becomes an entry
	stepRevoke = "revoke" // the revocation starts
	stepCommit = "commit" // the revocation commits
	stepReturn = "return" // the revocation returns after its wait
	stepTick   = "tick"   // 3/5 of a lease passes
)

const (
	// maxSteps is enough for a read that is delayed while the session is revoked,
	// and for another check after that.
	maxSteps = 8
	maxTicks = 2
)

// step is one event; check is the index of the check that it belongs to, if any.
type step struct {
	what  string
	check int
}

// TestCache_EveryInterleaving plays every order of up to maxSteps steps of two
// checks, a slow store, a revocation and the passing of time. In none of them may
// a check that starts after the revocation has returned accept the token.
func TestCache_EveryInterleaving(t *testing.T) {
	t.Parallel()
	interleavings, accepted, refused := 0, 0, 0
	var explore func(steps []step)
	explore = func(steps []step) {
		h := play(t, steps)
		interleavings, accepted, refused = interleavings+1, accepted+h.accepted, refused+h.refused
		if h.violated {
			t.Fatalf("a token was accepted after its revocation had returned: %v", steps)
		}
		if len(steps) == maxSteps {
			return
		}
		for _, next := range h.next {
			explore(append(slices.Clip(steps), next))
		}
	}
	explore(nil)
	t.Logf("%d interleavings: %d checks accepted the token, %d refused it", interleavings, accepted, refused)
	if accepted == 0 || refused == 0 {
		t.Error("the interleavings must include accepted and refused checks")
	}
}

// outcome is the result of the steps that were played.
type outcome struct {
	next              []step // the steps that are possible next
	accepted, refused int
	violated          bool
}

// play plays the steps one after the other.
func play(t *testing.T, steps []step) (h outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPlayback(t)
		for _, s := range steps {
			p.play(s)
			synctest.Wait()
		}
		h = p.outcome
		h.next = p.next()
		p.finish()
	})
	return h
}

// The progress of a check or of the revocation.
const (
	idle = iota
	started
	readDone // or committed
)

// playback is an interleaving that is being played.
type playback struct {
	outcome
	t      *testing.T
	store  *fakeStore
	cache  *lease.Cache // of the replica that checks
	other  *lease.Cache // of the replica that revokes
	checks [2]struct {
		held
		at int
	}
	ticks    int
	revoking int
	revoked  atomic.Bool
	ended    chan struct{}
}

func newPlayback(t *testing.T) *playback {
	t.Helper()
	store := &fakeStore{session: stored(), commit: make(chan struct{})}
	p := &playback{t: t, store: store, cache: newCache(t, store, 10), other: newCache(t, store, 10), ended: make(chan struct{})}
	for i := range p.checks {
		p.checks[i].held = held{make(chan struct{}), make(chan struct{})}
	}
	return p
}

func (p *playback) play(s step) {
	check := &p.checks[s.check]
	switch s.what {
	case stepCheck:
		p.startCheck(s.check)
	case stepRead:
		check.look <- struct{}{}
		check.at = readDone
	case stepAnswer:
		check.answer <- struct{}{}
		check.at = idle
	case stepRevoke:
		p.revoking = started
		go func() {
			update(p.t, p.other, ports.Scope{}, revoke)
			p.revoked.Store(true)
			close(p.ended)
		}()
	case stepCommit:
		p.revoking = readDone
		p.store.commit <- struct{}{}
	case stepReturn:
		<-p.ended
	case stepTick:
		p.ticks++
		<-time.After(leaseLength * 3 / 5)
	}
}

// startCheck starts a check and records its result when it ends.
func (p *playback) startCheck(n int) {
	check := &p.checks[n]
	check.at = started
	afterRevocation, reads := p.revoked.Load(), p.store.reads
	go func() {
		_, err := p.cache.FindByToken(context.WithValue(p.t.Context(), heldKey{}, check.held), tokenHash)
		if err != nil {
			p.refused++
			return
		}
		p.accepted++
		p.violated = p.violated || afterRevocation
	}()
	synctest.Wait()
	if p.store.reads == reads { // an entry answered
		check.at = idle
	}
}

// next returns the steps that are possible now.
func (p *playback) next() (next []step) {
	for n, check := range p.checks {
		mayStart := n == 0 || p.checks[0].at != idle // the two checks are interchangeable
		if check.at == idle && mayStart {
			next = append(next, step{stepCheck, n})
		}
		if check.at == started {
			next = append(next, step{stepRead, n})
		}
		if check.at == readDone {
			next = append(next, step{stepAnswer, n})
		}
	}
	switch {
	case p.revoking == idle:
		next = append(next, step{what: stepRevoke})
	case p.revoking == started:
		next = append(next, step{what: stepCommit})
	case !p.revoked.Load():
		next = append(next, step{what: stepReturn})
	}
	if p.ticks < maxTicks {
		next = append(next, step{what: stepTick})
	}
	return next
}

// finish lets the checks and the revocation end.
func (p *playback) finish() {
	for n := range p.checks {
		for ; p.checks[n].at != idle; synctest.Wait() {
			p.play(step{map[int]string{started: stepRead, readDone: stepAnswer}[p.checks[n].at], n})
		}
	}
	if p.revoking == started {
		p.play(step{what: stepCommit})
	}
	if p.revoking == readDone {
		<-p.ended
	}
}
