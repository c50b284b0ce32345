package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Limits enforces the rate limits of requests. It implements ports.Limits.
type Limits struct {
	limiter ports.RateLimiter
	meter   ports.Meter
	clock   ports.Clock
	limits  map[ports.LimitGroup]session.Limit

	mu sync.Mutex
	// suspects are the networks that used up their quota of failed checks, with
	// the time at which they have one again.
	suspects boundedMap[session.Network, time.Time]
}

// maxSuspects bounds how many networks this replica remembers as suspects.
const maxSuspects = 20_000

var _ ports.Limits = (*Limits)(nil)

// NewLimits returns Limits with a limit for each group. A group whose limit is
// missing or zero is not limited.
func NewLimits(limiter ports.RateLimiter, meter ports.Meter, clock ports.Clock, limits map[ports.LimitGroup]session.Limit) *Limits {
	return &Limits{limiter: limiter, meter: meter, clock: clock, limits: limits, suspects: newBoundedMap[session.Network, time.Time](maxSuspects)}
}

// Spend implements ports.Limits.
func (l *Limits) Spend(ctx context.Context, group ports.LimitGroup, by session.Holder) ([]ports.Quota, error) {
	return l.take(ctx, ports.LimitKey{Group: group, Subject: by.String()})
}

// SpendFailure implements ports.Limits. It refuses a suspect without calling the
// limiter: a flood of invalid tokens must not load a limiter that replicas share.
func (l *Limits) SpendFailure(ctx context.Context, source session.Source) ([]ports.Quota, error) {
	const group = ports.LimitFailuresOfAddress
	network := source.Network()
	if left := l.suspectFor(network); left > 0 {
		l.meter.Refused(group)
		return []ports.Quota{{Group: group, Limit: l.limits[group], Allowance: ports.Allowance{Next: left}}}, session.KindRateLimited
	}
	quotas, err := l.take(ctx, ports.LimitKey{Group: group, Subject: network.String()})
	if errors.Is(err, session.KindRateLimited) {
		l.suspect(network, quotas[0].Next)
	}
	return quotas, err
}

// Suspects implements ports.Limits.
func (l *Limits) Suspects(source session.Source) bool { return l.suspectFor(source.Network()) > 0 }

// suspectFor returns how long the network remains a suspect; not positive if it
// is none.
func (l *Limits) suspectFor(network session.Network) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, known := l.suspects.get(network)
	if !known {
		return 0
	}
	return until.Sub(l.clock.Now())
}

func (l *Limits) suspect(network session.Network, left time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.suspects.set(network, l.clock.Now().Add(left))
}

// take takes one from the quota of key, unless its group is not limited.
func (l *Limits) take(ctx context.Context, key ports.LimitKey) ([]ports.Quota, error) {
	limit := l.limits[key.Group]
	if limit == (session.Limit{}) || key.Subject == "" {
		return nil, nil
	}
	allowance, err := l.limiter.Allow(ctx, key, limit)
	if err != nil {
		return nil, err
	}
	quotas := []ports.Quota{{Group: key.Group, Limit: limit, Allowance: allowance}}
	if !allowance.Allowed {
		l.meter.Refused(key.Group)
		return quotas, session.KindRateLimited
	}
	return quotas, nil
}
