package sqlite

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Update implements ports.SessionStore. The transaction holds SQLite's one
// write lock from its first statement.
func (s *Store) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	if err := refuseBlocked(ctx, tx, scope.By); err != nil {
		return err
	}
	seen, err := see(ctx, tx, scope)
	if err != nil {
		return err
	}
	changes, err := change(seen)
	if err != nil || changes.IsZero() {
		return err
	}
	if err := store(ctx, tx, seen.Sessions, changes); err != nil {
		return err
	}
	if err := storeSignIns(ctx, tx, scope.User, changes.SignInChanges); err != nil {
		return err
	}
	return kinded(tx.Commit())
}

// see reads what is in scope.
func see(ctx context.Context, tx *sqlx.Tx, scope ports.Scope) (seen ports.Seen, err error) {
	user, id := scope.User.String(), scope.Session.String()
	var rows []row
	if err := tx.SelectContext(ctx, &rows, scopeSQL, user, id, micros(scope.CreatedAfter), scope.NewDevices); err != nil {
		return seen, kinded(err)
	}
	if err := tx.GetContext(ctx, &seen.HolderBlocked, holderBlockedSQL, user, id); err != nil {
		return seen, kinded(err)
	}
	var signIns []signInRow
	if err := tx.SelectContext(ctx, &signIns, signInsSQL, user); err != nil {
		return seen, kinded(err)
	}
	for _, r := range signIns {
		seen.SignIns = append(seen.SignIns, r.signIn())
	}
	seen.Sessions, err = sessions(rows)
	return seen, err
}

// storeSignIns writes the changed sign-ins and the user's moment.
func storeSignIns(ctx context.Context, tx *sqlx.Tx, user session.UserID, changes ports.SignInChanges) error {
	asRow := func(s session.SignIn) (signInRow, error) { return newSignInRow(user, s), nil }
	for _, s := range changes.SignIns {
		if err := write(ctx, tx, rememberSQL, s, asRow); err != nil {
			return err
		}
	}
	for _, holder := range changes.Forget {
		forgotten := session.RestoreSignIn(session.StoredSignIn{SignIn: holder.SignIn.String(), Actor: holder.Actor.String()})
		if err := write(ctx, tx, forgetSQL, forgotten, asRow); err != nil {
			return err
		}
	}
	if changes.Moment.IsZero() {
		return nil
	}
	moment := session.RestoreSignIn(session.StoredSignIn{FirstSeen: changes.Moment, Verified: changes.Moment})
	return write(ctx, tx, rememberSQL, moment, asRow)
}

// store writes the changes of sessions and the activity. Sessions that end come first
// and new ones last, so that no two active ones conflict.
func store(ctx context.Context, tx *sqlx.Tx, seen []session.Session, changes ports.Changes) error {
	replaced, created := changes.Split(seen)
	live := func(r ports.Replacement) int {
		if r.Is.Status() == session.StatusActive {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(replaced, func(a, b ports.Replacement) int { return live(a) - live(b) })
	for _, r := range replaced {
		if err := write(ctx, tx, updateSQL, r.Is, newRow); err != nil {
			return err
		}
	}
	for _, s := range created {
		if err := write(ctx, tx, insertSQL, s, newRow); err != nil {
			return err
		}
	}
	for _, a := range changes.Activity {
		if err := write(ctx, tx, noteSQL, a, newActivityRow); err != nil {
			return err
		}
	}
	return nil
}

func write[T, R any](ctx context.Context, tx *sqlx.Tx, text string, value T, row func(T) (R, error)) error {
	r, err := row(value)
	if err != nil {
		return err
	}
	_, err = tx.NamedExecContext(ctx, text, r)
	return kinded(err)
}

func sessions(rows []row) ([]session.Session, error) {
	list := make([]session.Session, len(rows))
	for i, r := range rows {
		var err error
		if list[i], err = r.session(); err != nil {
			return nil, err
		}
	}
	return list, nil
}
