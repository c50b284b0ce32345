package postgres

import (
	"context"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// ListActivity implements ports.ActivityStore in one statement.
func (s *Store) ListActivity(ctx context.Context, query ports.ActivityQuery) ([]session.Activity, error) {
	var rows []activityRow
	args := append(bearerArgs(query.By), query.User.String(), optionalID(query.Session), optional(query.After.At), optionalID(query.After.ID), query.Limit)
	err := s.db.SelectContext(ctx, &rows, activitySQL, args...)
	switch {
	case err != nil:
		return nil, kinded(err)
	case len(rows) == 0:
		return nil, s.refuseBlocked(ctx, query.By)
	case rows[0].ByBlocked:
		return nil, errSignedOut
	}
	list := make([]session.Activity, len(rows))
	for i, r := range rows {
		if list[i], err = r.activity(); err != nil {
			return nil, err
		}
	}
	return list, nil
}
