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

// Update implements ports.SessionStore in five round trips:
//
//  1. BEGIN.
//  2. Take the user's advisory lock, and read the database's clock. A statement of
//     its own, so that the snapshot of the next one includes what the lock's last
//     holder committed.
//  3. Read the rows in scope and lock them, against the clean-up and SQL that is
//     written by hand.
//  4. Write all changes in one statement.
//  5. COMMIT.
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

// takeUser takes the user's advisory lock. It returns an error if the service's
// clock differs from the database's.
func (s *Store) takeUser(ctx context.Context, tx *sqlx.Tx, user session.UserID) error {
	var now time.Time
	before := s.clock.Now()
	if err := s.lockUser.one(ctx, tx, []any{&now}, user.String()); err != nil {
		return err
	}
	return session.CheckClock(now, before, s.clock.Now())
}

// see reads what is in scope and locks the sessions' rows.
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

// besides reads the columns of the first row of scopeSQL that are not its session's,
// and reports whether the row has a session.
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

// ignored is a destination of Scan that discards the column.
type ignored struct{}

// Scan implements sql.Scanner.
func (ignored) Scan(any) error { return nil }

// store writes the changes in one statement.
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
