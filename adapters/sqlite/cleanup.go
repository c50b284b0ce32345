package sqlite

import (
	"context"
	"time"
)

// ExpireDue implements ports.SessionCleaner.
func (s *Store) ExpireDue(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.batch(ctx, micros(now), limit, noteDueSQL, expireSQL)
}

// PurgeEnded implements ports.SessionCleaner.
func (s *Store) PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, micros(before), limit, purgeSQL)
}

// PurgeSignIns implements ports.SessionCleaner.
func (s *Store) PurgeSignIns(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, micros(before), limit, purgeSignInsSQL)
}

// PurgeActivity implements ports.SessionCleaner.
func (s *Store) PurgeActivity(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, micros(before), limit, purgeActivitySQL)
}

// batch runs statements on the same rows in one transaction and returns how many rows
// the last one changed.
func (s *Store) batch(ctx context.Context, at int64, limit int, statements ...string) (int, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	var n int64
	for _, text := range statements {
		result, err := tx.ExecContext(ctx, text, at, limit)
		if err != nil {
			return 0, kinded(err)
		}
		if n, err = result.RowsAffected(); err != nil {
			return 0, kinded(err)
		}
	}
	return int(n), kinded(tx.Commit())
}
