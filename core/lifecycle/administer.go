package lifecycle

import (
	"cmp"
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
	Parts
	admin ports.AdminStore
}

var _ ports.Administrator = (*Administrator)(nil)

// NewAdministrator returns an Administrator.
func NewAdministrator(parts Parts, admin ports.AdminStore) *Administrator {
	return &Administrator{parts, admin}
}

// Revoke implements ports.Administrator.
func (a *Administrator) Revoke(ctx context.Context, admin access.Caller, id session.ID) error {
	if err := a.StepUp.Require(admin); err != nil {
		return err
	}
	owner, err := a.admin.OwnerOf(ctx, id)
	if err != nil {
		return err
	}
	_, err = a.end(ctx, admin, owner, reasonOne, func(_ time.Time, active []session.Session) ([]session.Session, error) { return only(active, id), nil })
	return err
}

// RevokeAll implements ports.Administrator.
func (a *Administrator) RevokeAll(ctx context.Context, admin access.Caller, user session.UserID) (int, error) {
	if err := a.StepUp.Require(admin); err != nil {
		return 0, err
	}
	return a.end(ctx, admin, user, reasonAll, func(_ time.Time, active []session.Session) ([]session.Session, error) { return active, nil })
}

func (a *Administrator) end(ctx context.Context, admin access.Caller, user session.UserID, reason string, choose chooser) (int, error) {
	how := signingOut{as: session.EndAdmin, by: session.DetailByAdmin, reason: reason}
	// The user learns who it was, and not from where.
	told := access.Caller{SignIn: admin.SignIn, ActedBy: cmp.Or(admin.ActedBy, admin.User.String())}
	return a.signOut(ctx, user, told, how, choose)
}

// Stats implements ports.Administrator.
func (a *Administrator) Stats(ctx context.Context) (ports.Stats, error) {
	now := a.Clock.Now()
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	return a.admin.Stats(ctx, a.Policy.Cutoff(now), today.AddDate(0, 0, 1-statsDays))
}
