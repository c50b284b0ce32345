// Package memory keeps in this process what need not outlive it.
package memory

import (
	"context"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// DefaultKeys is how many keys of a group a Limiter knows unless its Config says
// otherwise: some megabytes.
const DefaultKeys = 1 << 16

// Config says how much to keep.
type Config struct {
	// Keys is how many keys of each group are known at most; 0 means
	// DefaultKeys. When there are more, those that were not used for longest
	// start anew. Those of one group push out none of another: anybody may
	// make up addresses, but not users.
	Keys int
	// Clock is the time; it must be set.
	Clock ports.Clock
}

// Limiter counts on this replica alone, by the generic cell rate algorithm, as
// redis_rate does: of a key it keeps when its limit is whole again, and nothing
// else. It implements ports.RateLimiter.
type Limiter struct {
	clock ports.Clock
	// most bounds each of a group's generations.
	most int

	mu     sync.Mutex
	groups map[ports.LimitGroup]*generations
}

// generations are the keys of a group. Those that are used move from old to
// young. When young is full it becomes old, and what was left in old is
// forgotten.
type generations struct{ young, old map[string]time.Time }

var _ ports.RateLimiter = (*Limiter)(nil)

// NewLimiter returns a Limiter that has seen nothing.
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
		full = most // the clock was set back: nobody has to wait for that
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

// keep remembers when the limit of who is whole again.
func (g *generations) keep(who string, full time.Time, known bool, most int) {
	if !known && len(g.young) >= most {
		g.old, g.young = g.young, map[string]time.Time{}
	}
	g.young[who] = full
}
