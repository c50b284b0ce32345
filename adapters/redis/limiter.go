package redis

import (
	"context"

	"github.com/go-redis/redis_rate/v10"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Limiter counts for all replicas on one Redis together, by its clock. It
// implements ports.RateLimiter.
type Limiter struct {
	client *Client
	shared *redis_rate.Limiter
	local  ports.RateLimiter
}

var (
	_ ports.RateLimiter = (*Limiter)(nil)
	_ ports.Degradable  = (*Limiter)(nil)
)

// NewLimiter returns a Limiter. local is what counts when Redis does not: it
// hears of all that this replica allows, so that it goes on from there.
func NewLimiter(client *Client, local ports.RateLimiter) *Limiter {
	return &Limiter{client: client, shared: redis_rate.NewLimiter(client.redis), local: local}
}

// Allow implements ports.RateLimiter.
func (l *Limiter) Allow(ctx context.Context, key ports.LimitKey, limit session.Limit) (ports.Allowance, error) {
	name := string(key.Group) + ":" + key.Who
	var result *redis_rate.Result
	err := l.client.do(ctx, name, func(ctx context.Context) (err error) {
		result, err = l.shared.Allow(ctx, keyPrefix+slot(name), redis_rate.Limit{Rate: limit.Most, Burst: limit.Most, Period: limit.Within})
		return err
	})
	if err != nil {
		return l.local.Allow(ctx, key, limit)
	}
	allowed := result.Allowed > 0
	if allowed {
		_, _ = l.local.Allow(ctx, key, limit) // Redis has decided
	}
	// Its own Remaining is one too few where its arithmetic rounds.
	remaining, next := limit.Left(result.ResetAfter)
	return ports.Allowance{Allowed: allowed, Remaining: remaining, Next: next}, nil
}

// Degraded implements ports.Degradable.
func (l *Limiter) Degraded() string {
	if l.client.down.Load() {
		return "rate limits count on this replica alone: Redis does not answer"
	}
	return ""
}
