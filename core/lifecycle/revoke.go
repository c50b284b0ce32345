package lifecycle

import (
	"context"
	"errors"
	"slices"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var (
	errKeepsNone = errors.New("the session to keep is no active one of the caller")
	errProtected = errors.New("the other sign-in is newer and was verified in the last ten minutes")
)

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
	if !owns(caller, found) {
		return session.Wrap(session.KindNotFound, errNoSuchSession)
	}
	_, err = r.end(ctx, caller, ports.Scope{User: caller.User, Session: id}, reasonOne, func(_ time.Time, seen ports.Seen) (signOut, error) {
		return one(seen, id, caller.Holder)
	})
	return err
}

// owns reports whether a session of the caller's user is the caller's: an actor
// has the actor's own alone.
func owns(caller access.Caller, s session.Session) bool {
	return caller.Actor.IsZero() || caller.Actor == s.Actor()
}

// RevokeAll implements ports.Revoker.
func (r *Revoker) RevokeAll(ctx context.Context, caller access.Caller, keep session.ID) (int, error) {
	return r.end(ctx, caller, ports.Scope{User: caller.User}, reasonAll, func(now time.Time, seen ports.Seen) (signOut, error) {
		var out signOut
		spared := []session.Holder{caller.Holder}
		var held []session.Holder
		kept := keep.IsZero()
		for _, s := range seen.Sessions {
			switch {
			case !owns(caller, s):
			case s.ID() == keep && r.Policy.StatusAt(now, s) == session.StatusActive:
				kept = true
				spared = append(spared, s.Holder())
			default:
				out.end(s)
				held = append(held, s.Holder())
			}
		}
		if !kept {
			return signOut{}, session.Wrap(session.KindNotFound, errKeepsNone)
		}
		for _, holder := range append(held, seen.SignIns.Holders()...) {
			mine := caller.Actor.IsZero() || caller.Actor == holder.Actor
			if mine && !slices.Contains(spared, holder) {
				out.block(holder)
			}
		}
		if caller.Actor.IsZero() {
			out.moment = session.UserMoment(seen.SignIns.VerifiedBy(caller.Bearer, now), now)
		}
		return out, nil
	})
}

// end signs out what choose returns of the caller's, unless it means a sign-in
// that is protected from the caller's, or others than the caller's and the
// caller has not verified a factor recently enough.
func (r *Revoker) end(ctx context.Context, caller access.Caller, scope ports.Scope, reason string, choose chooser) (int, error) {
	how := signingOut{as: session.EndUser, detail: map[string]string{session.DetailBy: session.DetailByUser, session.DetailReason: reason}}
	return r.signOut(ctx, caller, scope, how, func(now time.Time, seen ports.Seen) (signOut, error) {
		out, err := choose(now, seen)
		if err != nil {
			return signOut{}, err
		}
		verified := seen.SignIns.VerifiedBy(caller.Bearer, now)
		others := !out.moment.IsZero()
		for _, holder := range out.affects(now, r.Policy) {
			if holder == caller.Holder {
				continue
			}
			others = true
			if seen.SignIns.Protected(holder, verified, now) {
				return signOut{}, session.Wrap(session.KindReverification, errProtected)
			}
		}
		if others {
			err = r.StepUp.Require(caller, now)
		}
		return out, err
	})
}
