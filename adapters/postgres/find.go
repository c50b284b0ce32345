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

// FindByToken implements ports.SecretFinder. It looks for a session's current token
// and, in a second statement, for a previous token. One statement for both makes
// every check a fifteenth slower, so it is used only after a lookup that found
// nothing, as in a flood of random tokens. No session can be missed between the two
// statements: a previous token never becomes a current one.
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

// outline reads the outline of an active session.
func (s *Store) outline(ctx context.Context, by statement, hash session.TokenHash) (session.Session, error) {
	found := row{Status: string(session.StatusActive)}
	if err := by.get(ctx, s.db, found.outline(), hash[:]); err != nil {
		return session.Session{}, err
	}
	return found.session()
}

// FindByOffer implements ports.SecretFinder in one statement, or in two if it finds
// nothing.
func (s *Store) FindByOffer(ctx context.Context, code session.TokenHash, by session.Bearer) (session.Session, error) {
	return s.find(ctx, s.findByOffer, by, code[:])
}

// find reads a session and whether the bearer's sign-in is blocked. Without a row it
// needs a second statement for the latter.
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

// refuseBlocked returns an error if the bearer's sign-in is blocked.
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

// bearerArgs returns the arguments of blockedSQL.
func bearerArgs(by session.Bearer) []any {
	return []any{by.User.String(), by.SignIn.String(), by.Actor.String(), optional(by.Verified)}
}

// FindByID implements ports.SessionStore in one statement, or in two if it finds
// nothing.
func (s *Store) FindByID(ctx context.Context, user session.UserID, id session.ID, by session.Bearer) (session.Session, error) {
	return s.find(ctx, s.findByID, by, optionalID(id), user.String())
}

// optionalID returns NULL for the zero id, and the largest UUID, which no row has,
// for an id that is not a UUID.
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

var errForeignID = errors.New("the id is not a UUID in canonical form")

// keyOf returns the row's key for an id. PostgreSQL accepts several spellings of a
// UUID, but an id has only one: others are KindNotFound.
func keyOf(id session.ID) (uuid.UUID, error) {
	key, err := uuid.Parse(id.String())
	if err != nil || key.String() != id.String() {
		return uuid.UUID{}, session.Wrap(session.KindNotFound, errForeignID)
	}
	return key, nil
}
