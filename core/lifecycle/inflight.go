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

var errOverloaded = errors.New("too much work is in flight")

// inFlightLimit bounds how many callers are in flight, and queues the others:
//
//  1. enter admits a caller at once while fewer than capacity are in flight.
//  2. Otherwise the caller joins a first-in, first-out queue. It is refused at
//     once if the queue is full, or if the caller at its head has waited for
//     longer than maxHeadWait: then the queue is served too slowly, whatever its
//     length. So one bound is right for fast and for slow machines, and new
//     callers are refused instead of those that have waited already.
//  3. A caller that leaves passes its place to the caller at the head.
//  4. A queued caller is refused after maxWait, or when its context ends.
type inFlightLimit struct {
	clock    ports.Clock
	capacity int
	// maxQueue is how many callers may wait; 0 for any number.
	maxQueue int
	// maxHeadWait is how long the caller at the head may have waited when another
	// one joins; maxWait is how long a caller waits. 0 disables each.
	maxHeadWait, maxWait time.Duration

	mu       sync.Mutex
	inFlight int
	queue    []*waiter
}

type waiter struct {
	since    time.Time
	admitted chan struct{} // closed when the caller is in flight
}

// enter waits until the caller is in flight. leave must be called; further calls
// change nothing.
//
// Errors: KindOverloaded at once when the caller may not join the queue, and
// after maxWait; KindUnavailable when ctx ends first.
func (l *inFlightLimit) enter(ctx context.Context) (leave func(), err error) {
	w, err := l.join()
	if err != nil {
		return nil, err
	}
	if w != nil {
		if err := l.wait(ctx, w); err != nil {
			return nil, err
		}
	}
	return sync.OnceFunc(l.leave), nil
}

// join returns nil when the caller is in flight already.
func (l *inFlightLimit) join() (*waiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inFlight < l.capacity {
		l.inFlight++
		return nil, nil //nolint:nilnil // the caller does not wait
	}
	now := l.clock.Now()
	if l.isFull(now) {
		return nil, session.Wrap(session.KindOverloaded, errOverloaded)
	}
	w := &waiter{now, make(chan struct{})}
	l.queue = append(l.queue, w)
	return w, nil
}

func (l *inFlightLimit) isFull(now time.Time) bool {
	switch {
	case len(l.queue) == 0:
		return false
	case l.maxQueue > 0 && len(l.queue) >= l.maxQueue:
		return true
	}
	return l.maxHeadWait > 0 && now.Sub(l.queue[0].since) > l.maxHeadWait
}

func (l *inFlightLimit) wait(ctx context.Context, w *waiter) error {
	timeout := make(<-chan time.Time)
	if l.maxWait > 0 {
		timer := time.NewTimer(l.maxWait)
		defer timer.Stop()
		timeout = timer.C
	}
	var err error
	select {
	case <-w.admitted:
		return nil
	case <-timeout:
		err = session.Wrap(session.KindOverloaded, errOverloaded)
	case <-ctx.Done():
		err = session.Wrap(session.KindUnavailable, ctx.Err())
	}
	if !l.dequeue(w) {
		l.leave() // it was admitted in the meantime
	}
	return err
}

// dequeue removes w from the queue, and reports whether it was still there.
func (l *inFlightLimit) dequeue(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, w)
	if i < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	return true
}

// leave passes the leaving caller's place to the head of the queue.
func (l *inFlightLimit) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.inFlight--
		return
	}
	head := l.queue[0]
	l.queue[0] = nil // release it: the backing array lives on
	l.queue = l.queue[1:]
	close(head.admitted)
}
