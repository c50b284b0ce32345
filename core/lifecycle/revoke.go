package lifecycle

import (
	"context"
	"errors"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errKeepsNone = errors.New("the session to keep is no active one of the caller")

// Revoker signs sessions out. It implements ports.Revoker.
type Revoker struct {
	store ports.SessionStore
	clock ports.Clock
}

var _ ports.Revoker = (*Revoker)(nil)

// NewRevoker returns a Revoker.
func NewRevoker(store ports.SessionStore, clock ports.Clock) *Revoker {
	return &Revoker{store: store, clock: clock}
}

// Revoke implements ports.Revoker.
func (r *Revoker) Revoke(ctx context.Context, caller access.Caller, id session.ID) error {
	if _, err := r.store.FindByID(ctx, caller.User, id); err != nil {
		return err
	}
	_, err := r.end(ctx, caller, func(active []session.Session) ([]session.Session, error) {
		for _, s := range active {
			if s.ID() == id {
				return []session.Session{s}, nil
			}
		}
		return nil, nil
	})
	return err
}

// RevokeAll implements ports.Revoker.
func (r *Revoker) RevokeAll(ctx context.Context, caller access.Caller, keep session.ID) (int, error) {
	return r.end(ctx, caller, func(active []session.Session) ([]session.Session, error) {
		ends := make([]session.Session, 0, len(active))
		for _, s := range active {
			if s.ID() != keep {
				ends = append(ends, s)
			}
		}
		if !keep.IsZero() && len(ends) == len(active) {
			return nil, session.Wrap(session.KindNotFound, errKeepsNone)
		}
		return ends, nil
	})
}

// end signs out those of the caller's active sessions that choose returns, and
// returns how many.
func (r *Revoker) end(ctx context.Context, caller access.Caller, choose func([]session.Session) ([]session.Session, error)) (int, error) {
	ended := 0
	err := r.store.UpdateAll(ctx, caller.User, func(active []session.Session) ([]session.Session, error) {
		ends, err := choose(active)
		if err != nil {
			return nil, err
		}
		now := r.clock.Now()
		for i := range ends {
			ends[i].SignOut(caller.SignIn, now)
		}
		ended = len(ends)
		return ends, nil
	})
	if err != nil {
		return 0, err
	}
	return ended, nil
}
