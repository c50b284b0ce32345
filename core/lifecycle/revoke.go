package lifecycle

import (
	"context"
	"errors"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errKeepsNone = errors.New("the session to keep is no active one of the caller")

// Why a session is signed out, as its timeline says it.
const (
	reasonOne = "sign_out"
	reasonAll = "sign_out_all"
)

// Revoker signs sessions out. It implements ports.Revoker.
type Revoker struct{ Parts }

var _ ports.Revoker = (*Revoker)(nil)

// NewRevoker returns a Revoker.
func NewRevoker(parts Parts) *Revoker { return &Revoker{parts} }

// Revoke implements ports.Revoker.
func (r *Revoker) Revoke(ctx context.Context, caller access.Caller, id session.ID) error {
	if _, err := r.Store.FindByID(ctx, caller.User, id); err != nil {
		return err
	}
	_, err := r.end(ctx, caller, func(active []session.Session) ([]session.Session, error) { return only(active, id), nil }, reasonOne)
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
	}, reasonAll)
}

// end signs out those of the caller's active sessions that choose returns.
func (r *Revoker) end(ctx context.Context, caller access.Caller, choose func([]session.Session) ([]session.Session, error), reason string) (int, error) {
	return r.signOut(ctx, caller.User, caller, signingOut{as: session.EndUser, by: session.DetailByUser, reason: reason},
		func(active []session.Session) ([]session.Session, error) {
			ends, err := choose(active)
			if err != nil {
				return nil, err
			}
			for _, s := range ends {
				if s.SignIn() != caller.SignIn {
					return ends, r.StepUp.Require(caller)
				}
			}
			return ends, nil
		})
}

// signingOut says in whose name sessions end.
type signingOut struct {
	as         session.EndReason
	by, reason string
}

// signOut ends those of the user's active sessions that choose returns, and
// returns how many.
func (p Parts) signOut(ctx context.Context, user session.UserID, caller access.Caller, how signingOut, choose func([]session.Session) ([]session.Session, error)) (int, error) {
	ended := 0
	err := p.Store.Update(ctx, ports.Scope{User: user}, func(active []session.Session) (ports.Changes, error) {
		ends, err := choose(active)
		if err != nil {
			return ports.Changes{}, err
		}
		now := p.Clock.Now()
		changes := ports.Changes{Sessions: ends}
		for i := range ends {
			ends[i].SignOut(caller.SignIn, how.as, now)
			detail := map[string]string{session.DetailBy: how.by, session.DetailReason: how.reason}
			changes.Activity = append(changes.Activity, note(caller, ends[i], now, session.ActivityRevoked, detail))
		}
		ended = len(ends)
		return changes, nil
	})
	if err != nil {
		return 0, err
	}
	return ended, nil
}

// only returns the session with this id, if it is there.
func only(active []session.Session, id session.ID) []session.Session {
	for _, s := range active {
		if s.ID() == id {
			return []session.Session{s}
		}
	}
	return nil
}
