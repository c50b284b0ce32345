package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Limits hold callers to how often they may ask. It implements ports.Limits.
type Limits struct {
	limiter ports.RateLimiter
	meter   ports.Meter
	clock   ports.Clock
	limits  map[ports.LimitGroup]session.Limit

	mu sync.Mutex
	// suspects are the networks without a failed check left, and until when.
	suspects boundedMap[session.Network, time.Time]
}

// maxSuspects bounds how many networks are known as suspects.
const maxSuspects = 20_000

var _ ports.Limits = (*Limits)(nil)

// NewLimits returns the Limits of groups; one that limits lacks, or has as
// zero, has none.
func NewLimits(limiter ports.RateLimiter, meter ports.Meter, clock ports.Clock, limits map[ports.LimitGroup]session.Limit) *Limits {
	return &Limits{limiter: limiter, meter: meter, clock: clock, limits: limits, suspects: newBoundedMap[session.Network, time.Time](maxSuspects)}
}

// Spend implements ports.Limits.
func (l *Limits) Spend(ctx context.Context, group ports.LimitGroup, by session.Holder) ([]ports.Quota, error) {
	return l.take(ctx, ports.LimitKey{Group: group, Subject: by.String()})
}

// SpendFailure implements ports.Limits. Nothing is asked about a suspect: where
// replicas count together, a flood of bad tokens is not theirs to count.
func (l *Limits) SpendFailure(ctx context.Context, source session.Source) ([]ports.Quota, error) {
	const group = ports.LimitFailuresOfAddress
	network := source.Network()
	if left := l.suspected(network); left > 0 {
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
func (l *Limits) Suspects(source session.Source) bool { return l.suspected(source.Network()) > 0 }

// suspected is for how long the network is still a suspect.
func (l *Limits) suspected(network session.Network) time.Duration {
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

// take takes one from key's quota, if it has one.
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
