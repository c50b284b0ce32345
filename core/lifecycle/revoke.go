package lifecycle

import (
	"context"
	"errors"
	"maps"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errProtected = errors.New("the other sign-in is newer and was verified in the last ten minutes")

// The reasons for the end of a session in its timeline.
const (
	reasonSignOut    = "sign_out"
	reasonSignOutAll = "sign_out_all"
)

// Revoker signs a user's sessions out. It implements ports.Revoker.
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
	_, err = r.signOutAsUser(ctx, caller, ports.Scope{User: caller.User, Session: id}, reasonSignOut, func(_ time.Time, seen ports.Seen) (session.SignOut, error) {
		return session.SignOutOne(seen.Sessions, id, caller.Holder, seen.HolderBlocked), nil
	})
	return err
}

// RevokeAll implements ports.Revoker.
func (r *Revoker) RevokeAll(ctx context.Context, caller access.Caller, keep session.ID) (int, error) {
	return r.signOutAsUser(ctx, caller, ports.Scope{User: caller.User}, reasonSignOutAll, func(now time.Time, seen ports.Seen) (session.SignOut, error) {
		return r.Policy.SignOutAll(now, caller.Bearer, keep, seen.Sessions, seen.SignIns)
	})
}

// signOutAsUser signs out what the caller's user may sign out. It fails, and ends
// nothing, if that affects a sign-in that is protected from the caller's, or if it
// affects other sign-ins and the caller needs step-up for that.
func (r *Revoker) signOutAsUser(ctx context.Context, caller access.Caller, scope ports.Scope, reason string, effect signOutEffect) (int, error) {
	by := endedBy{session.EndUser, map[string]string{session.DetailBy: session.DetailByUser, session.DetailReason: reason}}
	return r.signOut(ctx, caller, scope, by, func(now time.Time, seen ports.Seen) (session.SignOut, error) {
		out, err := effect(now, seen)
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

// endedBy says who ends sessions, for their rows and their timelines.
type endedBy struct {
	reason session.EndReason
	detail map[string]string // of the activity
}

// signOutEffect returns the effect of a sign-out on the sessions and sign-ins
// read under the store's lock.
type signOutEffect func(now time.Time, seen ports.Seen) (session.SignOut, error)

// signOut carries out a sign-out, by a user or an admin, and returns the number of
// sessions that it revoked. Sessions that have expired end as expired and do not
// count.
func (d Deps) signOut(ctx context.Context, caller access.Caller, scope ports.Scope, by endedBy, effect signOutEffect) (int, error) {
	revoked := 0
	scope.By, scope.Settled = caller.Bearer, true
	err := d.Store.Update(ctx, scope, func(seen ports.Seen) (ports.Changes, error) {
		now := d.Clock.Now()
		out, err := effect(now, seen)
		if err != nil {
			return ports.Changes{}, err
		}
		changes := ports.Changes{Sessions: out.Sessions}
		for i := range changes.Sessions {
			s := &changes.Sessions[i]
			if d.Policy.StatusAt(now, *s) == session.StatusExpired {
				changes.Activity = append(changes.Activity, expire(s, now))
				continue
			}
			revoked++
			s.Revoke(by.reason, now)
			changes.Activity = append(changes.Activity, record(caller, *s, now, session.ActivityRevoked, maps.Clone(by.detail)))
		}
		changes.Moment = out.Moment
		changes.SignIns = seen.SignIns.Block(now, out.Blocks...)
		if caller.User == scope.User && !changes.IsZero() {
			changes.SignIns = append(changes.SignIns, seen.SignIns.See(caller.Bearer, now))
		}
		return changes, nil
	})
	if err != nil {
		return 0, err
	}
	return revoked, nil
}
