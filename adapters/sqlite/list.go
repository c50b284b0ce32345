package sqlite

import (
	"context"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// List implements ports.SessionStore.
func (s *Store) List(ctx context.Context, query ports.ListQuery) ([]session.Session, error) {
	if err := refuseBlocked(ctx, s.reads, query.By); err != nil {
		return nil, err
	}
	args := append(cutoffArgs(query.Cutoff), query.User.String(), string(query.Status), optionalMicros(query.After.At), query.After.ID.String(), query.Limit, query.Actor.String())
	rows, err := s.reads.QueryxContext(ctx, listSQL, args...)
	if err != nil {
		return nil, kinded(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var list []session.Session
	for bytes := 0; query.GoesOn(bytes) && rows.Next(); {
		var r row
		if err := rows.StructScan(&r); err != nil {
			return nil, kinded(err)
		}
		s, err := r.session()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
		bytes += s.Metadata().Size()
	}
	return list, kinded(rows.Err())
}

// cutoffArgs returns the arguments of statusAtSQL.
func cutoffArgs(c session.Cutoff) []any {
	return []any{micros(c.ExpiresAt), micros(c.Usual.CreatedAt), micros(c.Remembered.CreatedAt), optionalMicros(c.Usual.LastActivityAt), optionalMicros(c.Remembered.LastActivityAt)}
}
