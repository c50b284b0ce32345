package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// statsDays is how many days Stats looks back, today included.
const statsDays = 30

// Administrator looks after anybody's sessions. It implements
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
	if err != nil {
		return err
	}
	_, err = a.end(ctx, admin, ports.Scope{User: owner, Session: id}, reasonOne, func(_ time.Time, seen ports.Seen) (session.SignOut, error) {
		return session.SignOutOne(seen.Sessions, id, admin.Holder, seen.HolderBlocked), nil
	})
	return err
}

// RevokeAll implements ports.Administrator.
func (a *Administrator) RevokeAll(ctx context.Context, admin access.Caller, user session.UserID) (int, error) {
	if err := admin.InPerson(); err != nil {
		return 0, err
	}
	return a.end(ctx, admin, ports.Scope{User: user}, reasonAll, func(now time.Time, seen ports.Seen) (session.SignOut, error) {
		return session.SignOutUser(now, admin.Bearer, user, seen.Sessions, seen.SignIns), nil
	})
}

// end signs out what choose returns, if the admin has verified a factor recently
// enough. That is required under the store's lock: a blocked sign-in is told that
// it is blocked, not to verify a factor.
func (a *Administrator) end(ctx context.Context, admin access.Caller, scope ports.Scope, reason string, choose chooser) (int, error) {
	how := signingOut{as: session.EndAdmin, detail: map[string]string{
		session.DetailBy: session.DetailByAdmin, session.DetailReason: reason, session.DetailActor: admin.User.String(),
	}}
	caller := access.Caller{Bearer: admin.Bearer} // the user learns who it was, and not from where
	return a.signOut(ctx, caller, scope, how, func(now time.Time, seen ports.Seen) (session.SignOut, error) {
		if err := a.StepUp.Require(admin, now); err != nil {
			return session.SignOut{}, err
		}
		return choose(now, seen)
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
