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
func (s *Shares) turnOf(ctx context.Context, user session.UserID) (done func(), err error) {
	s.mu.Lock()
	of := s.ofUser[user]
	if of == nil {
		of = &userLine{line: line{clock: s.clock, most: 1, longest: mostOfUser - 1}}
		s.ofUser[user] = of
	}
	of.callers++
	waits := of.callers > 1
	s.mu.Unlock()
	if waits {
		ports.Rest(ctx)
	}
	leave, err := of.enter(ctx)
	if err != nil {
		s.forget(user, of)
		return nil, err
	}
	return func() { leave(); s.forget(user, of) }, nil
}

// forget drops the line of a user whom nobody asks for any more.
func (s *Shares) forget(user session.UserID, of *userLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of.callers--; of.callers == 0 {
		delete(s.ofUser, user)
	}
}

// userLine is the line for one user's changes.
type userLine struct {
	line
	callers int // inside, waiting or about to; Shares.mu guards it
}
