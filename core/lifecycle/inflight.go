package lifecycle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errTooMuch = errors.New("too much is in flight")

// line bounds how many are inside at a time. The others wait in a line for
// their turn, first come, first served.
//
// Whether one more may join the line goes by how long its first has waited: a
// line of which the first waited for longer than oldest is served too slowly,
// however many wait in it. So the same bound is right for fast machines and for
// slow ones, and those who are refused learn it at once, instead of those who
// waited already.
type line struct {
	clock ports.Clock
	// most is how many may be inside.
	most int
	// longest is how many may wait, 0 for any number.
	longest int
	// oldest is how long the first may have waited when another joins, and
	// patience how long anybody waits; 0 is for ever.
	oldest, patience time.Duration

	mu      sync.Mutex
	inside  int
	waiting []*turn
}

// turn is the place of somebody who waits.
type turn struct {
	since  time.Time
	called chan struct{} // closed when they are inside
}

// enter waits for its turn. leave must be called; more than once, it changes
// nothing.
//
// Errors: KindOverloaded at once when no more may wait, and after patience;
// KindUnavailable when ctx ends before.
func (l *line) enter(ctx context.Context) (leave func(), err error) {
	mine, err := l.join()
	if err != nil {
		return nil, err
	}
	if mine != nil {
		if err := l.wait(ctx, mine); err != nil {
			return nil, err
		}
	}
	return sync.OnceFunc(l.next), nil
}

// join returns nil when its caller is inside at once.
func (l *line) join() (*turn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inside < l.most {
		l.inside++
		return nil, nil //nolint:nilnil // no turn is needed
	}
	now := l.clock.Now()
	if l.isFull(now) {
		return nil, session.Wrap(session.KindOverloaded, errTooMuch)
	}
	mine := &turn{now, make(chan struct{})}
	l.waiting = append(l.waiting, mine)
	return mine, nil
}

func (l *line) isFull(now time.Time) bool {
	switch {
	case len(l.waiting) == 0:
		return false
	case l.longest > 0 && len(l.waiting) >= l.longest:
		return true
	}
	return l.oldest > 0 && now.Sub(l.waiting[0].since) > l.oldest
}

func (l *line) wait(ctx context.Context, mine *turn) error {
	patience := make(<-chan time.Time)
	if l.patience > 0 {
		timer := time.NewTimer(l.patience)
		defer timer.Stop()
		patience = timer.C
	}
	var err error
	select {
	case <-mine.called:
		return nil
	case <-patience:
		err = session.Wrap(session.KindOverloaded, errTooMuch)
	case <-ctx.Done():
		err = session.Wrap(session.KindUnavailable, ctx.Err())
	}
	if !l.quit(mine) {
		l.next() // it was called meanwhile
	}
	return err
}

// quit takes a turn out of the line, unless it was called.
func (l *line) quit(mine *turn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, mine)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// next gives the place of somebody who leaves to the first who waits.
func (l *line) next() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.inside--
		return
	}
	first := l.waiting[0]
	l.waiting[0] = nil // the array outlives it
	l.waiting = l.waiting[1:]
	close(first.called)
}
