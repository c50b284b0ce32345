package lease

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"chatkit-session/ports"
)

// Replicas that share a store agree on one lease, the lease in force. A changed
// setting reaches one replica after the other, so two replicas may be configured
// with different leases for a while:
//
//  1. A replica that caches registers its own lease with the registry again and
//     again (renew). The registry puts the first one in force, tells every other
//     replica which one that is, and releases it once no replica has renewed it
//     for a warm-up.
//  2. A replica relies on the registry's last reply for the trust period. It
//     uses an entry only while that reply says that its own lease is in force,
//     and only if the entry was read at least a warm-up after the lease came
//     into force. A warm-up is a third longer than the trust period.
//  3. An update that makes a token invalid waits for the longer of its own lease
//     and the lease in force, going by a reply that is no older than the trust
//     period once the update has committed. Without such a reply it asks the
//     registry. If the registry does not reply, it waits for the longest lease
//     that a replica may be configured with.
//
// Why the update knows of the lease of every entry it must wait for: such an
// entry was read before the commit, so its lease came into force more than a
// warm-up before the commit. The trust period is shorter than that, so the reply
// that the update goes by was given after the lease came into force.

// defaultTrust is the default trust period.
const defaultTrust = 3 * time.Second

// warmUp is how long a lease must be in force before entries are used, and how
// long the registry keeps one that is not renewed. It exceeds the trust period
// by more than the rates of two clocks can differ, which is a tenth.
func warmUp(trust time.Duration) time.Duration { return trust + trust/3 }

// reply is what the registry told this replica.
type reply struct {
	lease   time.Duration // in force; 0 for none
	since   time.Time     // when it came into force, or later
	askedAt time.Time
}

// agreement is one replica's view of the lease in force.
type agreement struct {
	registry ports.LeaseRegistry // nil: no other replica uses the store
	trust    time.Duration
	own      time.Duration
	longest  time.Duration
	caches   bool // this replica is configured to cache
	onChange func(caching bool, inForce time.Duration)

	last     atomic.Pointer[reply]
	reported atomic.Pointer[state]
}

// state is what onChange reports.
type state struct {
	caching bool
	inForce time.Duration
}

// renew registers this replica's lease, or asks for the lease in force if this
// replica does not cache. When calls overlap, any of their replies may be kept:
// each carries the time it was asked at.
func (a *agreement) renew(ctx context.Context) (reply, error) {
	var own time.Duration
	if a.caches {
		own = a.own
	}
	askedAt := time.Now()
	found, err := a.registry.HoldLease(ctx, own, warmUp(a.trust))
	if err != nil {
		a.report()
		return reply{}, err
	}
	now := reply{lease: found.Lease, since: time.Now().Add(-found.For), askedAt: askedAt}
	a.last.Store(&now)
	a.report()
	return now, nil
}

// report calls onChange when caching starts, when it stops, and when another
// replica's lease prevents it. It does not report that the warm-up starts.
func (a *agreement) report() {
	now := state{a.allows(time.Now()), a.current().lease}
	before := a.reported.Load()
	warmingUp := !now.caching && now.inForce == a.own && (before == nil || !before.caching)
	if a.caches && !warmingUp && (before == nil || *before != now) {
		a.reported.Store(&now)
		a.onChange(now.caching, now.inForce)
	}
}

// current returns the last reply if it is within the trust period; otherwise it
// returns the zero reply.
func (a *agreement) current() reply {
	if last := a.last.Load(); last != nil && time.Since(last.askedAt) < a.trust {
		return *last
	}
	return reply{}
}

// allows reports whether an entry that was read at readAt may be used (step 2).
func (a *agreement) allows(readAt time.Time) bool {
	if a.registry == nil {
		return true
	}
	now := a.current()
	return now.lease == a.own && a.own > 0 && readAt.Sub(now.since) >= warmUp(a.trust)
}

// longestInUse returns the lease that an update must wait for now (step 3). It
// takes no longer than the trust period.
func (a *agreement) longestInUse() time.Duration {
	if a.registry == nil {
		return a.own
	}
	now := a.current()
	if now.askedAt.IsZero() {
		ctx, cancel := context.WithTimeout(context.Background(), a.trust)
		defer cancel()
		var err error
		if now, err = a.renew(ctx); err != nil {
			return max(a.own, a.longest)
		}
	}
	return max(a.own, now.lease)
}

// Renew registers this replica's lease once, so that the lease in force is known
// before the first request. Run repeats it.
func (c *Cache) Renew(ctx context.Context) {
	if c.agreement.registry != nil {
		_, _ = c.agreement.renew(ctx) // without a reply nothing is cached
	}
}

// Run renews this replica's lease three times per trust period until ctx ends.
func (c *Cache) Run(ctx context.Context) {
	if c.agreement.registry == nil {
		return
	}
	ticker := time.NewTicker(c.agreement.trust / 3)
	defer ticker.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, c.agreement.trust)
		c.Renew(attempt)
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Degraded implements ports.Degradable: it says why this replica does not cache
// although it is configured to. The warm-up is not reported.
func (c *Cache) Degraded() string {
	if c.entries == nil || c.agreement.registry == nil {
		return ""
	}
	now := c.agreement.current()
	switch {
	case now.askedAt.IsZero():
		return "checks are not answered from memory: the store did not report the lease in force"
	case now.lease != c.agreement.own:
		return fmt.Sprintf("checks are not answered from memory: CHATKIT_CACHE_LEASE is %s on this replica but %s is in force; set the same value on all replicas", c.agreement.own, now.lease)
	}
	return ""
}
