// Package memory keeps in this process what need not outlive it.
package memory

import (
	"context"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// DefaultKeys is how many keys a Limiter knows unless its Config says
// otherwise: some megabytes.
const DefaultKeys = 1 << 16

// Config says how much to keep.
type Config struct {
	// Keys is how many keys are known at most; 0 means DefaultKeys. When there
	// are more, those that were not used for longest start anew.
	Keys int
	// Clock is the time; it must be set.
	Clock ports.Clock
}

// Limiter counts on this replica alone, by the generic cell rate algorithm, as
// redis_rate does: of a key it keeps when its limit is whole again, and nothing
// else. It implements ports.RateLimiter.
type Limiter struct {
	clock ports.Clock
	// most bounds each of the generations.
	most int

	mu sync.Mutex
	// Keys that are used move from old to young. When young is full it becomes
	// old, and what was left in old is forgotten.
	young, old map[ports.LimitKey]time.Time
}

var _ ports.RateLimiter = (*Limiter)(nil)

// NewLimiter returns a Limiter that has seen nothing.
func NewLimiter(config Config) *Limiter {
	if config.Keys == 0 {
		config.Keys = DefaultKeys
	}
	return &Limiter{clock: config.Clock, most: max(config.Keys/2, 1), young: map[ports.LimitKey]time.Time{}}
}

// Allow implements ports.RateLimiter.
func (l *Limiter) Allow(ctx context.Context, key ports.LimitKey, limit session.Limit) (ports.Allowance, error) {
	if err := ctx.Err(); err != nil {
		return ports.Allowance{}, session.Wrap(session.KindUnavailable, err)
	}
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	full, known := l.young[key]
	if !known {
		full = l.old[key]
	}
	if full.Before(now) {
		full = now
	}
	taken := full.Add(limit.Interval())
	allowed := taken.Sub(now) <= limit.Interval()*time.Duration(limit.Most)
	if allowed {
		full = taken
	}
	l.keep(key, full, known)
	remaining, next := limit.Left(full.Sub(now))
	return ports.Allowance{Allowed: allowed, Remaining: remaining, Next: next}, nil
}

// keep remembers when the key's limit is whole again.
func (l *Limiter) keep(key ports.LimitKey, full time.Time, known bool) {
	if !known && len(l.young) >= l.most {
		l.old, l.young = l.young, map[ports.LimitKey]time.Time{}
	}
	l.young[key] = full
}
