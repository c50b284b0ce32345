package lease

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"chatkit-session/ports"
)

// Replicas that share a store agree there on one lease, so that an edit of the
// settings that has reached only some of them breaks no promise:
//
//  1. A replica that is to remember answers says so to the registry, again and
//     again. The registry gives a lease to the first that asks, says to others
//     which one that is, and takes it back when nobody holds it any more for
//     longer than a replica may trust what it was told.
//  2. A replica remembers while its own lease is the one in force, by what it
//     was told no longer than trust ago, and only what it asked for once the
//     lease had been in force for a warm-up, which is longer than trust.
//  3. Whoever ends a session waits for the lease in force, or its own if that is
//     longer. It, too, goes by what it was told no longer than trust ago, as of
//     after its commit; else it asks, and if there is no answer waits for the
//     longest lease that a replica may have.
//
// Whatever was remembered of the session was asked for before the commit, so
// the lease came into force more than a warm-up before that, and trust being
// shorter, before what the one who ends it was told: it knows of the lease.

// defaultTrust is for how long a replica goes by what it was told.
const defaultTrust = 3 * time.Second

// warmUp is how long a lease must be in force before somebody remembers, and
// held for how long the registry keeps a lease that nobody holds again: longer
// than trust by any clock, by more than a tenth.
func warmUp(trust time.Duration) time.Duration { return trust + trust/3 }

// told is what a replica knows of the lease in force.
type told struct {
	lease time.Duration
	since time.Time // when it came into force, or later
	asked time.Time
}

// inForce is a replica's view of the lease in force.
type agreement struct {
	registry ports.LeaseRegistry
	trust    time.Duration
	own      time.Duration
	longest  time.Duration
	// remembers says that this replica is to remember.
	remembers bool
	changed   func(remembers bool, inForce time.Duration)

	last atomic.Pointer[told]
	// said is what changed was told last.
	said atomic.Pointer[said]
}

// said is what there is to say of the lease in force.
type said struct {
	remembers bool
	lease     time.Duration
}

// renew asks the registry. Only one at a time matters: the last is the newest.
func (f *agreement) renew(ctx context.Context) (told, error) {
	var hold time.Duration
	if f.remembers {
		hold = f.own
	}
	asked := time.Now()
	found, err := f.registry.HoldLease(ctx, hold, warmUp(f.trust))
	if err != nil {
		f.say()
		return told{}, err
	}
	now := told{lease: found.Lease, since: time.Now().Add(-found.For), asked: asked}
	f.last.Store(&now)
	f.say()
	return now, nil
}

// say tells when remembering begins and ends, and when another lease than this
// replica's keeps it from that; not that the warm-up begins.
func (f *agreement) say() {
	now := said{f.counts(time.Now()), f.known().lease}
	before := f.said.Load()
	begins := !now.remembers && now.lease == f.own && (before == nil || !before.remembers)
	if f.remembers && !begins && (before == nil || *before != now) {
		f.said.Store(&now)
		f.changed(now.remembers, now.lease)
	}
}

// known is what this replica was told lately; of no lease, never asked, when it
// was told nothing.
func (f *agreement) known() told {
	if last := f.last.Load(); last != nil && time.Since(last.asked) < f.trust {
		return *last
	}
	return told{}
}

// counts reports whether an answer may be remembered that the store was asked
// for at that time.
func (f *agreement) counts(asked time.Time) bool {
	if f.registry == nil {
		return true
	}
	now := f.known()
	return now.lease == f.own && f.own > 0 && asked.Sub(now.since) >= warmUp(f.trust)
}

// lease is how long whoever has ended a session must wait for, now. It asks the
// registry, briefly, when it was told nothing lately.
func (f *agreement) lease() time.Duration {
	if f.registry == nil {
		return f.own
	}
	now := f.known()
	if now.asked.IsZero() {
		ctx, cancel := context.WithTimeout(context.Background(), f.trust)
		defer cancel()
		var err error
		if now, err = f.renew(ctx); err != nil {
			return max(f.own, f.longest)
		}
	}
	return max(f.own, now.lease)
}

// Ask asks the registry once, so that what is in force is known before the first
// request; Keep asks again.
func (l *Cache) Renew(ctx context.Context) {
	if l.agreement.registry != nil {
		_, _ = l.agreement.renew(ctx) // without an answer nothing is remembered
	}
}

// Keep holds the lease, and watches which one is in force, until ctx ends.
func (l *Cache) Run(ctx context.Context) {
	if l.agreement.registry == nil {
		return
	}
	ticker := time.NewTicker(l.agreement.trust / 3)
	defer ticker.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, l.agreement.trust)
		l.Renew(asking)
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Degraded implements ports.Degradable: it says why this replica, which is to
// remember, does not.
func (l *Cache) Degraded() string {
	if l.kept == nil || l.agreement.registry == nil {
		return ""
	}
	now := l.agreement.known()
	switch {
	case now.asked.IsZero():
		return "checks are not answered from memory: the lease in force is not known"
	case now.lease != l.agreement.own:
		return fmt.Sprintf("checks are not answered from memory: CHATKIT_CACHE_LEASE is %s here, and %s is in force", l.agreement.own, now.lease)
	}
	return "" // or soon, when the lease has been in force for the warm-up
}
