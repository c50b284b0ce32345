package sqlite

import (
	"context"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// ListActivity implements ports.ActivityStore.
func (s *Store) ListActivity(ctx context.Context, query ports.ActivityQuery) ([]session.Activity, error) {
	if err := refuseBlocked(ctx, s.reads, query.By); err != nil {
		return nil, err
	}
	var rows []activityRow
	err := s.reads.SelectContext(ctx, &rows, activitySQL, query.User.String(), query.Session.String(), optionalMicros(query.After.At), query.After.ID.String(), query.Limit)
	if err != nil {
		return nil, kinded(err)
	}
	list := make([]session.Activity, len(rows))
	for i, r := range rows {
		if list[i], err = r.activity(); err != nil {
			return nil, err
		}
	}
	return list, nil
}
