package lifecycle

import (
	"context"
	"errors"
	"time"

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
	_, err := r.end(ctx, caller, reasonOne, func(_ time.Time, active []session.Session) ([]session.Session, error) {
		return only(active, id), nil
	})
	return err
}

// RevokeAll implements ports.Revoker.
func (r *Revoker) RevokeAll(ctx context.Context, caller access.Caller, keep session.ID) (int, error) {
	return r.end(ctx, caller, reasonAll, func(now time.Time, active []session.Session) ([]session.Session, error) {
		ends, kept := make([]session.Session, 0, len(active)), keep.IsZero()
		for _, s := range active {
			if s.ID() == keep && r.Policy.StatusAt(now, s) == session.StatusActive {
				kept = true
				continue
			}
			ends = append(ends, s)
		}
		if !kept {
			return nil, session.Wrap(session.KindNotFound, errKeepsNone)
		}
		return ends, nil
	})
}

// end signs out those of the caller's active sessions that choose returns.
func (r *Revoker) end(ctx context.Context, caller access.Caller, reason string, choose chooser) (int, error) {
	how := signingOut{as: session.EndUser, by: session.DetailByUser, reason: reason}
	return r.signOut(ctx, caller.User, caller, how, func(now time.Time, active []session.Session) ([]session.Session, error) {
		ends, err := choose(now, active)
		if err != nil {
			return nil, err
		}
		for _, s := range ends {
			if s.SignIn() != caller.SignIn && r.Policy.StatusAt(now, s) == session.StatusActive {
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

// chooser returns those of a user's active sessions that are to end.
type chooser func(now time.Time, active []session.Session) ([]session.Session, error)

// signOut ends those of the user's active sessions that choose returns, and
// returns how many. Those whose time is up end as expired and do not count.
func (p Parts) signOut(ctx context.Context, user session.UserID, caller access.Caller, how signingOut, choose chooser) (int, error) {
	ended := 0
	err := p.Store.Update(ctx, ports.Scope{User: user, Settled: true}, func(active []session.Session) (ports.Changes, error) {
		now := p.Clock.Now()
		ends, err := choose(now, active)
		if err != nil {
			return ports.Changes{}, err
		}
		changes := ports.Changes{Sessions: ends}
		for i := range ends {
			s := &ends[i]
			if p.Policy.StatusAt(now, *s) == session.StatusExpired {
				s.Expire(now)
				changes.Activity = append(changes.Activity, expired(*s, now))
				continue
			}
			ended++
			s.SignOut(caller.SignIn, how.as, now)
			detail := map[string]string{session.DetailBy: how.by, session.DetailReason: how.reason}
			changes.Activity = append(changes.Activity, note(caller, *s, now, session.ActivityRevoked, detail))
		}
		return changes, nil
	})
	if err != nil {
		return 0, err
	}
	return ended, nil
}

// only returns the session with this id, if it is there.
func only(list []session.Session, id session.ID) []session.Session {
	for _, s := range list {
		if s.ID() == id {
			return []session.Session{s}
		}
	}
	return nil
}
