package postgres

import (
	"context"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// List implements ports.SessionStore in one statement. It is not prepared, so that it
// is planned for the query's values: a generic plan would visit every session that
// the user ever had.
func (s *Store) List(ctx context.Context, query ports.ListQuery) ([]session.Session, error) {
	args := append(append(bearerArgs(query.By), cutoffArgs(query.Cutoff)...), query.User.String(), query.Actor.String(), string(query.Status), optional(query.After.At), optionalID(query.After.ID), query.Limit)
	rows, err := s.db.QueryxContext(ctx, listSQL, args...)
	if err != nil {
		return nil, kinded(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var list []session.Session
	for bytes := 0; query.GoesOn(bytes) && rows.Next(); {
		var r row
		if err := rows.Scan(append(r.fields(), &r.ByBlocked)...); err != nil {
			return nil, kinded(err)
		}
		if r.ByBlocked {
			return nil, errSignedOut
		}
		s, err := r.session()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
		bytes += s.Metadata().Size()
	}
	if err := rows.Err(); err != nil || len(list) > 0 {
		return list, kinded(err)
	}
	return nil, s.refuseBlocked(ctx, query.By)
}

// cutoffArgs returns the arguments of pastSQL.
func cutoffArgs(c session.Cutoff) []any {
	return []any{c.ExpiresAt, c.Usual.CreatedAt, c.Remembered.CreatedAt, optional(c.Usual.LastActivityAt), optional(c.Remembered.LastActivityAt)}
}
