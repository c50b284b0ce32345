package lifecycle

import (
	"context"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Limits hold callers to how often they may ask. It implements ports.Limits.
type Limits struct {
	limiter ports.RateLimiter
	meter   ports.Meter
	limits  map[ports.LimitGroup]session.Limit
}

var _ ports.Limits = (*Limits)(nil)

// NewLimits returns the Limits of groups; one that limits lacks, or has as
// zero, has none.
func NewLimits(limiter ports.RateLimiter, meter ports.Meter, limits map[ports.LimitGroup]session.Limit) *Limits {
	return &Limits{limiter: limiter, meter: meter, limits: limits}
}

// Spend implements ports.Limits.
func (l *Limits) Spend(ctx context.Context, group ports.LimitGroup, user session.UserID) ([]ports.Quota, error) {
	return l.take(ctx, nil, ports.LimitKey{Group: group, Who: user.String()})
}

// SpendFailure implements ports.Limits.
func (l *Limits) SpendFailure(ctx context.Context, backend string, source session.Source) ([]ports.Quota, error) {
	quotas, err := l.take(ctx, nil, ports.LimitKey{Group: ports.LimitFailuresOfAddress, Who: source.Network().String()})
	if err != nil {
		return quotas, err
	}
	return l.take(ctx, quotas, ports.LimitKey{Group: ports.LimitFailuresOfKey, Who: backend})
}

// take adds key's quota, if it has one, to quotas.
func (l *Limits) take(ctx context.Context, quotas []ports.Quota, key ports.LimitKey) ([]ports.Quota, error) {
	limit := l.limits[key.Group]
	if limit == (session.Limit{}) || key.Who == "" {
		return quotas, nil
	}
	allowance, err := l.limiter.Allow(ctx, key, limit)
	if err != nil {
		return quotas, err
	}
	quotas = append(quotas, ports.Quota{Group: key.Group, Limit: limit, Allowance: allowance})
	if !allowance.Allowed {
		l.meter.Refused(key.Group)
		return quotas, session.KindRateLimited
	}
	return quotas, nil
}
