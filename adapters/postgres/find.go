package postgres

import (
	"cmp"
	"context"
	"errors"

	"github.com/google/uuid"

	"chatkit-session/core/session"
)

// Find implements ports.SessionStore in one statement.
func (s *Store) Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	statement, args := s.findOnDevice, []any{slot.User.String(), slot.Device.String(), slot.Workflow.String(), slot.Actor.String()}
	if slot.Device.IsZero() {
		statement, args = s.findGenerated, []any{slot.User.String(), slot.Workflow.String(), by.String(), slot.Actor.String()}
	}
	var found row
	if err := statement.get(ctx, s.db, found.fields(), args...); err != nil {
		return session.Session{}, err
	}
	return found.session()
}

// FindByToken implements ports.SecretFinder: in one statement for a session's
// own token, in another if it is none, for the one before. To look for both in
// one takes a fifteenth of every check; where the last check found nothing, as
// in a flood of random tokens, that is less than a second statement. Nothing
// falls between two: a token that is not a session's own never becomes one.
func (s *Store) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	if s.missed.Load() {
		found, err := s.outline(ctx, s.findByEither, hash)
		s.missed.Store(err != nil)
		return found, err
	}
	found, err := s.outline(ctx, s.findByToken, hash)
	if errors.Is(err, session.KindNotFound) {
		found, err = s.outline(ctx, s.findByPrevious, hash)
		s.missed.Store(err != nil)
	}
	return found, err
}

// outline reads an active session's outline.
func (s *Store) outline(ctx context.Context, by statement, hash session.TokenHash) (session.Session, error) {
	found := row{Status: string(session.StatusActive)}
	if err := by.get(ctx, s.db, found.outline(), hash[:]); err != nil {
		return session.Session{}, err
	}
	return found.session()
}

// FindByOffer implements ports.SecretFinder in one statement, or in two when it
// finds nothing.
func (s *Store) FindByOffer(ctx context.Context, code session.TokenHash, by session.Bearer) (session.Session, error) {
	return s.find(ctx, s.findByOffer, by, code[:])
}

// find reads a session for by. Where there is none, nothing said whether by is
// blocked.
func (s *Store) find(ctx context.Context, statement statement, by session.Bearer, args ...any) (session.Session, error) {
	var r row
	err := statement.get(ctx, s.db, append(r.fields(), &r.ByBlocked), append(bearerArgs(by), args...)...)
	if errors.Is(err, session.KindNotFound) {
		return session.Session{}, cmp.Or(s.refuseBlocked(ctx, by), err)
	}
	if err != nil {
		return session.Session{}, err
	}
	found, err := r.session()
	if err == nil && r.ByBlocked {
		err = errSignedOut
	}
	return found, err
}

// refuseBlocked returns an error when by is blocked.
func (s *Store) refuseBlocked(ctx context.Context, by session.Bearer) error {
	var blocked bool
	if err := s.isBlocked.get(ctx, s.db, []any{&blocked}, bearerArgs(by)...); err != nil {
		return err
	}
	if blocked {
		return errSignedOut
	}
	return nil
}

var errSignedOut = session.Wrap(session.KindSignedOut, errors.New("this sign-in was signed out"))

// bearerArgs are the arguments of blockedSQL.
func bearerArgs(by session.Bearer) []any {
	return []any{by.User.String(), by.SignIn.String(), by.Actor.String(), optional(by.Verified)}
}

// FindByID implements ports.SessionStore in one statement, or in two when it
// finds nothing.
func (s *Store) FindByID(ctx context.Context, user session.UserID, id session.ID, by session.Bearer) (session.Session, error) {
	return s.find(ctx, s.findByID, by, optionalID(id), user.String())
}

// optionalID is NULL for no id, and for one that is none of ours the last of
// all, which nothing has.
func optionalID(id session.ID) *uuid.UUID {
	if id.IsZero() {
		return nil
	}
	key, err := keyOf(id)
	if err != nil {
		key = uuid.Max
	}
	return &key
}

var errForeignID = errors.New("the id is none of ours")

// keyOf is the row's key for an id. The server's type takes a UUID in any
// spelling, and ids have one: any other is KindNotFound.
func keyOf(id session.ID) (uuid.UUID, error) {
	key, err := uuid.Parse(id.String())
	if err != nil || key.String() != id.String() {
		return uuid.UUID{}, session.Wrap(session.KindNotFound, errForeignID)
	}
	return key, nil
}
