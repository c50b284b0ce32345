package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// statsDays is how many days Stats covers, including today.
const statsDays = 30

// Administrator signs out any user's sessions and counts them. It implements
// ports.Administrator.
type Administrator struct {
	Deps
	admin ports.AdminStore
}

var _ ports.Administrator = (*Administrator)(nil)

// NewAdministrator returns an Administrator.
func NewAdministrator(deps Deps, admin ports.AdminStore) *Administrator {
	return &Administrator{deps, admin}
}

// Revoke implements ports.Administrator.
func (a *Administrator) Revoke(ctx context.Context, admin access.Caller, id session.ID) error {
	if err := admin.InPerson(); err != nil {
		return err
	}
	owner, err := a.admin.OwnerOf(ctx, id, admin.Bearer)
	if err := a.requireStepUpAfter(err, admin); err != nil {
		return err
	}
	_, err = a.signOutAsAdmin(ctx, admin, ports.Scope{User: owner, Session: id}, reasonSignOut, func(_ time.Time, seen ports.Seen) (session.SignOut, error) {
		return session.SignOutOne(seen.Sessions, id, admin.Holder, seen.HolderBlocked), nil
	})
	return err
}

// RevokeAll implements ports.Administrator.
func (a *Administrator) RevokeAll(ctx context.Context, admin access.Caller, user session.UserID) (int, error) {
	if err := admin.InPerson(); err != nil {
		return 0, err
	}
	return a.signOutAsAdmin(ctx, admin, ports.Scope{User: user}, reasonSignOutAll, func(now time.Time, seen ports.Seen) (session.SignOut, error) {
		return session.SignOutUser(now, admin.Bearer, user, seen.Sessions, seen.SignIns), nil
	})
}

// signOutAsAdmin signs out any user. It requires step-up under the store's lock,
// so that a blocked sign-in is told that it is blocked, not to verify a factor.
func (a *Administrator) signOutAsAdmin(ctx context.Context, admin access.Caller, scope ports.Scope, reason string, effect signOutEffect) (int, error) {
	by := endedBy{session.EndAdmin, map[string]string{
		session.DetailBy: session.DetailByAdmin, session.DetailReason: reason, session.DetailActor: admin.User.String(),
	}}
	caller := access.Caller{Bearer: admin.Bearer} // the user must not see the admin's address
	return a.signOut(ctx, caller, scope, by, func(now time.Time, seen ports.Seen) (session.SignOut, error) {
		if err := a.StepUp.Require(admin, now); err != nil {
			return session.SignOut{}, err
		}
		return effect(now, seen)
	})
}

// Stats implements ports.Administrator.
func (a *Administrator) Stats(ctx context.Context, admin access.Caller) (ports.Stats, error) {
	if err := admin.InPerson(); err != nil {
		return ports.Stats{}, err
	}
	now := a.Clock.Now()
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	return a.admin.Stats(ctx, admin.Bearer, a.Policy.Cutoff(now), today.AddDate(0, 0, 1-statsDays))
}
