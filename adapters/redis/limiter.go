package redis

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Limiter limits the rate of all replicas together, by Redis's clock. It implements
// ports.RateLimiter.
type Limiter struct {
	client *Client
	local  ports.RateLimiter
}

var (
	_ ports.RateLimiter = (*Limiter)(nil)
	_ ports.Degradable  = (*Limiter)(nil)
)

// NewLimiter returns a Limiter. local limits this replica while Redis is unavailable.
// It also counts what Redis allows this replica, so that it continues from there.
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
		_, _ = l.local.Allow(ctx, key, limit) // only counted: Redis has decided
	}
	// redis_rate's Remaining can be one too low because it rounds.
	remaining, next := limit.Left(result.ResetAfter)
	return ports.Allowance{Allowed: allowed, Remaining: remaining, Next: next}, nil
}

// excess is how much longer than a limit's window a key may be kept: redis_rate
// rounds the expiry up to whole seconds.
const excess = time.Second

// forget deletes a key whose expiry is too far in the future. It checks the expiry
// again, because the key may have been replaced.
var forget = goredis.NewScript(`
local left = redis.call("PTTL", KEYS[1])
if left == -1 or left > tonumber(ARGV[1]) then
  redis.call("DEL", KEYS[1])
end
return 0
`)

// count counts in Redis. If Redis's clock was set back, or a server with an earlier
// clock took over, a key may hold a time in the future and refuse every request
// until then. So count deletes such a key and counts again.
func (l *Limiter) count(ctx context.Context, key string, limit session.Limit) (*redis_rate.Result, error) {
	rate := redis_rate.Limit{Rate: limit.Most, Burst: limit.Most, Period: limit.Within}
	result, err := l.client.counter.Allow(ctx, key, rate)
	if err != nil || (0 <= result.ResetAfter && result.ResetAfter <= limit.Within+excess) { // negative after an overflow
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
		return "rate limits count on this replica alone: Redis does not answer or refuses writes; see the log for the reason"
	}
	return ""
}
