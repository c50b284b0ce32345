package lifecycle

import (
	"context"
	"errors"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errProtected = errors.New("the other sign-in is newer and was verified in the last ten minutes")

// Why a session is signed out, as its timeline says it.
const (
	reasonOne = "sign_out"
	reasonAll = "sign_out_all"
)

// Revoker signs sessions out. It implements ports.Revoker.
type Revoker struct{ Deps }

var _ ports.Revoker = (*Revoker)(nil)

// NewRevoker returns a Revoker.
func NewRevoker(deps Deps) *Revoker { return &Revoker{deps} }

// Revoke implements ports.Revoker.
func (r *Revoker) Revoke(ctx context.Context, caller access.Caller, id session.ID) error {
	found, err := r.Store.FindByID(ctx, caller.User, id, caller.Bearer)
	if err != nil {
		return err
	}
	if !caller.Manages(found.Actor()) {
		return session.Wrap(session.KindNotFound, errNoSuchSession)
	}
	_, err = r.end(ctx, caller, ports.Scope{User: caller.User, Session: id}, reasonOne, func(_ time.Time, seen ports.Seen) (session.SignOut, error) {
		return session.SignOutOne(seen.Sessions, id, caller.Holder, seen.HolderBlocked), nil
	})
	return err
}

// RevokeAll implements ports.Revoker.
func (r *Revoker) RevokeAll(ctx context.Context, caller access.Caller, keep session.ID) (int, error) {
	return r.end(ctx, caller, ports.Scope{User: caller.User}, reasonAll, func(now time.Time, seen ports.Seen) (session.SignOut, error) {
		return r.Policy.SignOutAll(now, caller.Bearer, keep, seen.Sessions, seen.SignIns)
	})
}

// end signs out what choose returns of the caller's, unless it means a sign-in
// that is protected from the caller's, or others than the caller's and the
// caller has not verified a factor recently enough.
func (r *Revoker) end(ctx context.Context, caller access.Caller, scope ports.Scope, reason string, choose chooser) (int, error) {
	how := signingOut{as: session.EndUser, detail: map[string]string{session.DetailBy: session.DetailByUser, session.DetailReason: reason}}
	return r.signOut(ctx, caller, scope, how, func(now time.Time, seen ports.Seen) (session.SignOut, error) {
		out, err := choose(now, seen)
		if err != nil {
			return session.SignOut{}, err
		}
		others := out.Others(now, r.Policy, caller.Holder)
		if seen.SignIns.AnyProtected(others, caller.Bearer, now) {
			return session.SignOut{}, session.Wrap(session.KindReverification, errProtected)
		}
		if len(others) > 0 || !out.Moment.IsZero() {
			err = r.StepUp.Require(caller, now)
		}
		return out, err
	})
}
