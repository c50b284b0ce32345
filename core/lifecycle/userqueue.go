package lifecycle

import (
	"context"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// maxUserUpdates is how many Updates of one user there may be on this replica:
// one is in flight, the others wait.
const maxUserUpdates = 16

// userQueue lets one Update of a user be in flight at a time on this replica.
// The others wait here, where they hold no connection and do not count as work in
// flight: a user whose lock is stuck affects nobody else.
type userQueue struct {
	inFlightLimit
	callers int // in flight, waiting or about to wait; Bulkhead.mu guards it
}

// enterUser waits until no other Update of the user is in flight. leave must be
// called.
func (b *Bulkhead) enterUser(ctx context.Context, user session.UserID) (leave func(), err error) {
	b.mu.Lock()
	queue := b.queues[user]
	if queue == nil {
		queue = &userQueue{inFlightLimit: inFlightLimit{clock: b.clock, capacity: 1, maxQueue: maxUserUpdates - 1}}
		b.queues[user] = queue
	}
	queue.callers++
	waits := queue.callers > 1
	b.mu.Unlock()
	if waits {
		ports.ReleaseInFlight(ctx)
	}
	next, err := queue.enter(ctx)
	if err != nil {
		b.leaveUser(user, queue)
		return nil, err
	}
	return func() { next(); b.leaveUser(user, queue) }, nil
}

// leaveUser removes the queue of a user after its last caller.
func (b *Bulkhead) leaveUser(user session.UserID, queue *userQueue) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if queue.callers--; queue.callers == 0 {
		delete(b.queues, user)
	}
}
