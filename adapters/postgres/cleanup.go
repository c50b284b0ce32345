package postgres

import (
	"context"
	"time"
)

// ExpireDue implements ports.SessionCleaner.
func (s *Store) ExpireDue(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.batch(ctx, expireSQL, now, limit)
}

// PurgeEnded implements ports.SessionCleaner.
func (s *Store) PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, purgeSQL, before, limit)
}

// PurgeSignIns implements ports.SessionCleaner.
func (s *Store) PurgeSignIns(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, purgeSignInsSQL, before, limit)
}

// PurgeActivity implements ports.SessionCleaner.
func (s *Store) PurgeActivity(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, purgeActivitySQL, before, limit)
}

// batch runs a statement that returns its number of rows, in a transaction of its
// own. It does nothing while another replica cleans up. The advisory lock ends with
// the transaction, even if this replica dies.
func (s *Store) batch(ctx context.Context, text string, args ...any) (n int, err error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	var mine bool
	if err := tx.GetContext(ctx, &mine, tryCleanerLockSQL); err != nil || !mine {
		return 0, kinded(err)
	}
	if err := tx.GetContext(ctx, &n, text, args...); err != nil {
		return 0, kinded(err)
	}
	return n, commit(ctx, tx)
}
