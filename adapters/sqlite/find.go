package sqlite

import (
	"cmp"
	"context"
	"errors"

	"github.com/jmoiron/sqlx"

	"chatkit-session/core/session"
)

// Find implements ports.SessionStore.
func (s *Store) Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	if slot.Device.IsZero() {
		return s.find(ctx, findGeneratedSQL, slot.User.String(), slot.Workflow.String(), by.String(), slot.Actor.String())
	}
	return s.find(ctx, findOnDeviceSQL, slot.User.String(), slot.Device.String(), slot.Workflow.String(), slot.Actor.String())
}

// FindByToken implements ports.SecretFinder.
func (s *Store) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	found, err := s.find(ctx, findByTokenSQL, hash[:])
	return found.Outline(), err
}

// FindByOffer implements ports.SecretFinder.
func (s *Store) FindByOffer(ctx context.Context, code session.TokenHash, by session.Bearer) (session.Session, error) {
	if err := refuseBlocked(ctx, s.reads, by); err != nil {
		return session.Session{}, err
	}
	return s.find(ctx, findByOfferSQL, code[:])
}

// refuseBlocked returns an error if the bearer's sign-in is blocked. In SQLite an extra
// statement costs no round trip.
func refuseBlocked(ctx context.Context, db sqlx.QueryerContext, by session.Bearer) error {
	var blocked bool
	err := sqlx.GetContext(ctx, db, &blocked, isBlockedSQL, by.User.String(), by.SignIn.String(), by.Actor.String(), optionalMicros(by.Verified))
	if err != nil {
		return kinded(err)
	}
	if blocked {
		return session.Wrap(session.KindSignedOut, errors.New("this sign-in was signed out"))
	}
	return nil
}

func (s *Store) find(ctx context.Context, text string, args ...any) (session.Session, error) {
	var r row
	if err := s.finds[text].GetContext(ctx, &r, args...); err != nil {
		return session.Session{}, kinded(err)
	}
	return r.session()
}

// FindByID implements ports.SessionStore.
func (s *Store) FindByID(ctx context.Context, user session.UserID, id session.ID, by session.Bearer) (session.Session, error) {
	found, err := s.find(ctx, findByIDSQL, id.String(), user.String())
	if err == nil || errors.Is(err, session.KindNotFound) {
		err = cmp.Or(refuseBlocked(ctx, s.reads, by), err)
	}
	return found, err
}
