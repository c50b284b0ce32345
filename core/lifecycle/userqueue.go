package lifecycle

import (
	"context"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// mostOfUser is how many changes of one user's sessions there may be on this
// replica at a time: one is made, the others wait for it here, and hold nothing.
const mostOfUser = 16

// turnOf waits until nobody else changes the user's sessions on this replica.
// Who waits is not in flight: a user whose lock is stuck fills nothing.
func (b *Bulkhead) turnOf(ctx context.Context, user session.UserID) (done func(), err error) {
	b.mu.Lock()
	of := b.ofUser[user]
	if of == nil {
		of = &userLine{line: line{clock: b.clock, most: 1, longest: mostOfUser - 1}}
		b.ofUser[user] = of
	}
	of.callers++
	waits := of.callers > 1
	b.mu.Unlock()
	if waits {
		ports.Rest(ctx)
	}
	leave, err := of.enter(ctx)
	if err != nil {
		b.forget(user, of)
		return nil, err
	}
	return func() { leave(); b.forget(user, of) }, nil
}

// forget drops the line of a user whom nobody asks for any more.
func (b *Bulkhead) forget(user session.UserID, of *userLine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if of.callers--; of.callers == 0 {
		delete(b.ofUser, user)
	}
}

// userLine is the line for one user's changes.
type userLine struct {
	line
	callers int // inside, waiting or about to; Bulkhead.mu guards it
}
