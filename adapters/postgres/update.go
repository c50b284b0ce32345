package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Update implements ports.SessionStore in five round trips. It takes the
// user's lock in a statement of its own, so that the next one's snapshot has
// what the last holder committed, and locks the rows against the clean-up and
// against hand-written SQL. The statement that takes the lock reads the
// database's clock.
func (s *Store) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	if err := s.takeUser(ctx, tx, scope.User); err != nil {
		return err
	}
	seen, err := s.see(ctx, tx, scope)
	if err != nil {
		return err
	}
	changes, err := change(seen)
	if err != nil || changes.IsZero() {
		return err
	}
	if err := s.store(ctx, tx, scope.User, seen.Sessions, changes); err != nil {
		return err
	}
	return commit(ctx, tx)
}

// takeUser takes the user's lock, unless the service's clock is not the
// database's.
func (s *Store) takeUser(ctx context.Context, tx *sqlx.Tx, user session.UserID) error {
	var now time.Time
	before := s.clock.Now()
	if err := s.lockUser.one(ctx, tx, []any{&now}, user.String()); err != nil {
		return err
	}
	return session.CheckClock(now, before, s.clock.Now())
}

// see reads what is in scope, and locks the sessions.
func (s *Store) see(ctx context.Context, tx *sqlx.Tx, scope ports.Scope) (ports.Seen, error) {
	args := append(bearerArgs(scope.By), scope.User.String(), optionalID(scope.Session), scope.CreatedAfter, scope.NewDevices)
	rows, err := s.scope.rows(ctx, tx, args...)
	if err != nil {
		return ports.Seen{}, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var seen ports.Seen
	for first := true; rows.Next(); first = false {
		if there, err := besides(rows, first, &seen); err != nil || !there {
			return seen, err
		}
		var r row
		if err := rows.Scan(append([]any{ignored{}, ignored{}, ignored{}, ignored{}}, r.fields()...)...); err != nil {
			return seen, kinded(err)
		}
		found, err := r.session()
		if err != nil {
			return seen, err
		}
		seen.Sessions = append(seen.Sessions, found)
	}
	return seen, kinded(rows.Err())
}

// besides reads what the first row of scopeSQL says besides its session, and
// whether it has one.
func besides(rows *sqlx.Rows, first bool, seen *ports.Seen) (there bool, err error) {
	if !first {
		return true, nil
	}
	var blocked bool
	var encoded []byte
	fields := []any{&blocked, &seen.HolderBlocked, &encoded, &there}
	for range (&row{}).fields() {
		fields = append(fields, ignored{})
	}
	if err := rows.Scan(fields...); err != nil {
		return false, kinded(err)
	}
	if blocked {
		return false, errSignedOut
	}
	var known []signInRow
	if err := json.Unmarshal(encoded, &known); err != nil {
		return false, fmt.Errorf("sign-ins: %w", err)
	}
	for _, r := range known {
		seen.SignIns = append(seen.SignIns, r.signIn())
	}
	return there, nil
}

// ignored is where a column goes that is not needed.
type ignored struct{}

// Scan implements sql.Scanner.
func (ignored) Scan(any) error { return nil }

// store writes changes in one statement.
func (s *Store) store(ctx context.Context, tx *sqlx.Tx, user session.UserID, seen []session.Session, changes ports.Changes) error {
	replaced, created := changes.Split(seen)
	replacedRows, err1 := encode(replaced, func(r ports.Replacement) (row, error) { return newRow(r.Is) })
	createdRows, err2 := encode(created, newRow)
	activity, err3 := encode(changes.Activity, newActivityRow)
	signIns, err4 := encode(signInRows(user, changes.SignInChanges), asItIs[signInRow])
	forget, err5 := encode(changes.Forget, func(h session.Holder) (signInRow, error) {
		return signInRow{User: user.String(), SignIn: h.SignIn.String(), Actor: h.Actor.String()}, nil
	})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	return s.write.exec(ctx, tx, replacedRows, createdRows, activity, signIns, forget)
}
