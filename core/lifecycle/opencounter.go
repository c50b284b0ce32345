package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// openCounter counts how often each sign-in opens sessions, for
// session.RuleOpens.
type openCounter struct {
	limit session.Limit
	// batch is after how many opens of a sign-in the shared counter is told of
	// them: most opens must not wait for it.
	batch  int
	window *window[session.Holder, openCount]
}

// openCount is how many opens this replica counted, and how many of them it
// has added to the shared counter.
type openCount struct{ total, shared int }

func newOpenCounter(limit session.Limit, shared ports.SharedCounter) *openCounter {
	batch := 1
	if shared != nil {
		batch = max(1, limit.Most/20)
	}
	return &openCounter{limit: limit, batch: batch, window: newWindow[session.Holder, openCount](session.RuleOpens, limit, shared)}
}

// add counts an open, and reports whether the caller has to report that the
// sign-in exceeds the limit.
func (c *openCounter) add(ctx context.Context, now time.Time, by session.Holder) (report bool) {
	if c.limit.Most == 0 {
		return false
	}
	var local ports.Count // stays zero until a batch is full
	pending, start := c.window.add(now, by, func(count *openCount) {
		count.total++
		if count.total-count.shared >= c.batch || count.total == c.limit.Most+1 {
			local = ports.Count{Before: count.shared, After: count.total}
			count.shared = count.total
		}
	})
	if local.Before == local.After {
		return pending
	}
	return c.window.exceeded(start, by, local, func(shared ports.SharedCounter, key ports.CounterKey) (ports.Count, error) {
		return shared.Add(ctx, key, local.After-local.Before)
	}) || pending
}

// retryReport makes the sign-in's next open report it, because this caller's
// report was not stored.
func (c *openCounter) retryReport(now time.Time, by session.Holder) { c.window.retryReport(now, by) }
