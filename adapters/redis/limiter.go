package redis

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Limiter counts for all replicas on one Redis together, by its clock. It
// implements ports.RateLimiter.
type Limiter struct {
	client *Client
	local  ports.RateLimiter
}

var (
	_ ports.RateLimiter = (*Limiter)(nil)
	_ ports.Degradable  = (*Limiter)(nil)
)

// NewLimiter returns a Limiter. local is what counts when Redis does not: it
// hears of all that this replica allows, so that it goes on from there.
func NewLimiter(client *Client, local ports.RateLimiter) *Limiter {
	return &Limiter{client: client, local: local}
}

// Allow implements ports.RateLimiter.
func (l *Limiter) Allow(ctx context.Context, key ports.LimitKey, limit session.Limit) (ports.Allowance, error) {
	name := string(key.Group) + ":" + key.Subject
	var result *redis_rate.Result
	err := l.client.do(ctx, name, func(ctx context.Context) (err error) {
		result, err = l.count(ctx, keyPrefix+slot(name), limit)
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

// excess is how much longer than its time a limit may be whole again after:
// Redis keeps a key for whole seconds.
const excess = time.Second

// forget deletes a key that is kept for longer than it may be, and not one that
// was counted anew since somebody saw that.
var forget = goredis.NewScript(`
local left = redis.call("PTTL", KEYS[1])
if left == -1 or left > tonumber(ARGV[1]) then
  redis.call("DEL", KEYS[1])
end
return 0
`)

// count counts on Redis. Where its clock was set back, or another with an
// earlier one took over, what it knows is of no time that there is yet, and
// would be held against the key until then.
func (l *Limiter) count(ctx context.Context, key string, limit session.Limit) (*redis_rate.Result, error) {
	rate := redis_rate.Limit{Rate: limit.Most, Burst: limit.Most, Period: limit.Within}
	result, err := l.client.counter.Allow(ctx, key, rate)
	if err != nil || (0 <= result.ResetAfter && result.ResetAfter <= limit.Within+excess) { // negative is too long for a time
		return result, err
	}
	if err := forget.Run(ctx, l.client.redis, []string{libraryPrefix + key}, (limit.Within + excess).Milliseconds()).Err(); err != nil {
		return nil, err
	}
	return l.client.counter.Allow(ctx, key, rate)
}

// Degraded implements ports.Degradable.
func (l *Limiter) Degraded() string {
	if l.client.isLost() {
		return "rate limits count on this replica alone: Redis does not answer, or refuses to count; the log says why"
	}
	return ""
}
