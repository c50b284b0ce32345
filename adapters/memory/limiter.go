// Package memory limits rates in this process, for a service without Redis.
package memory

import (
	"context"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// DefaultKeys is the default of Config.Keys. So many keys take some megabytes.
const DefaultKeys = 1 << 16

// Config configures a Limiter.
type Config struct {
	// Keys is the maximum number of keys in each group; 0 means DefaultKeys. The
	// least recently used keys are evicted and start anew. Each group has a
	// maximum of its own, because an attacker can make up addresses but not users.
	Keys int
	// Clock tells the time. Required.
	Clock ports.Clock
}

// Limiter limits the rate on this replica alone, with the generic cell rate algorithm
// (GCRA), as redis_rate does. For each key it stores one time: when the full limit is
// available again. It implements ports.RateLimiter.
type Limiter struct {
	clock ports.Clock
	// most is the maximum size of a generation.
	most int

	mu     sync.Mutex
	groups map[ports.LimitGroup]*generations
}

// generations are the keys of a group:
//
//  1. A key that is used moves from old to young.
//  2. When young is full, it becomes old, and the keys left in old are evicted.
type generations struct{ young, old map[string]time.Time }

var _ ports.RateLimiter = (*Limiter)(nil)

// NewLimiter returns a Limiter without keys.
func NewLimiter(config Config) *Limiter {
	if config.Keys == 0 {
		config.Keys = DefaultKeys
	}
	return &Limiter{clock: config.Clock, most: max(config.Keys/2, 1), groups: map[ports.LimitGroup]*generations{}}
}

// Allow implements ports.RateLimiter.
func (l *Limiter) Allow(ctx context.Context, key ports.LimitKey, limit session.Limit) (ports.Allowance, error) {
	if err := ctx.Err(); err != nil {
		return ports.Allowance{}, session.Wrap(session.KindUnavailable, err)
	}
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := l.groups[key.Group]
	if keys == nil {
		keys = &generations{young: map[string]time.Time{}}
		l.groups[key.Group] = keys
	}
	full, known := keys.young[key.Subject]
	if !known {
		full = keys.old[key.Subject]
	}
	if full.Before(now) {
		full = now
	}
	if most := now.Add(limit.Within); full.After(most) {
		full = most // the clock was set back
	}
	taken := full.Add(limit.Interval())
	allowed := taken.Sub(now) <= limit.Interval()*time.Duration(limit.Most)
	if allowed {
		full = taken
	}
	keys.keep(key.Subject, full, known, l.most)
	remaining, next := limit.Left(full.Sub(now))
	return ports.Allowance{Allowed: allowed, Remaining: remaining, Next: next}, nil
}

// keep stores when who's full limit is available again.
func (g *generations) keep(who string, full time.Time, known bool, most int) {
	if !known && len(g.young) >= most {
		g.old, g.young = g.young, map[string]time.Time{}
	}
	g.young[who] = full
}
