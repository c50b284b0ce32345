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
//     once if the queue is full, if it would have to wait for longer than
//     maxQueueTime, by the average time that callers were in flight of late, or
//     if the caller at the head has waited for longer than that. So one bound is
//     right for fast and for slow machines, and new callers are refused instead
//     of those that have waited already.
//  3. A caller that leaves passes its place to the caller at the head.
//  4. A queued caller is refused after maxWait, or when its context ends. Where
//     spread is set, waits end between half of maxWait and maxWait, each caller's
//     at another time: callers that came together do not come back together.
type inFlightLimit struct {
	clock    ports.Clock
	capacity int
	// maxQueue is how many callers may wait; 0 for any number.
	maxQueue int
	// maxQueueTime is how long a caller that joins may be expected to wait; maxWait
	// is how long a caller waits. 0 disables each.
	maxQueueTime, maxWait time.Duration
	spread                bool

	mu       sync.Mutex
	inFlight int
	queue    []*waiter
	waited   int // how many callers have joined the queue
	// service is the average time that callers are in flight, the latest ones
	// counting most.
	service time.Duration
}

// serviceWeight is the weight of the callers before in the average.
const serviceWeight = 31

type waiter struct {
	since    time.Time
	maxWait  time.Duration
	admitted chan struct{} // closed when the caller is in flight
}

// Of two callers that join one after the other, the waits differ by spreadStep of
// spreads parts, and those of many are spread evenly: the two have no common
// divisor, and their ratio is near the golden one.
const (
	spreads    = 1000
	spreadStep = 617
)

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
	admitted := l.clock.Now()
	return sync.OnceFunc(func() { l.leave(l.clock.Now().Sub(admitted)) }), nil
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
	w := &waiter{since: now, maxWait: l.maxWait, admitted: make(chan struct{})}
	if l.spread {
		w.maxWait = l.maxWait/2 + l.maxWait/2*time.Duration(l.waited%spreads)/spreads
	}
	l.waited += spreadStep
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
	expected := l.service * time.Duration(len(l.queue)+1) / time.Duration(l.capacity)
	return l.maxQueueTime > 0 && (expected > l.maxQueueTime || now.Sub(l.queue[0].since) > l.maxQueueTime)
}

func (l *inFlightLimit) wait(ctx context.Context, w *waiter) error {
	timeout := make(<-chan time.Time)
	if w.maxWait > 0 {
		timer := time.NewTimer(w.maxWait)
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
		l.leave(0) // it was admitted in the meantime
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

// leave passes the place of a caller that was in flight for this long to the
// head of the queue.
func (l *inFlightLimit) leave(after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after > 0 { // a caller that gave up, or a clock that was set back, tells nothing
		l.service = (l.service*serviceWeight + after) / (serviceWeight + 1)
	}
	if len(l.queue) == 0 {
		l.inFlight--
		return
	}
	head := l.queue[0]
	l.queue[0] = nil // release it: the backing array lives on
	l.queue = l.queue[1:]
	close(head.admitted)
}
