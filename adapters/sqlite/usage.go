package sqlite

import (
	"context"
	"time"

	"chatkit-session/core/session"
)

// Touch implements ports.UsageStore. No session is ever busy: there is one writer.
func (s *Store) Touch(ctx context.Context, uses []session.Use) ([]session.ID, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	for _, use := range uses {
		if _, err := tx.NamedExecContext(ctx, touchSQL, newUseRow(use)); err != nil {
			return nil, kinded(err)
		}
		if _, err := tx.ExecContext(ctx, totalSQL, micros(use.At.Truncate(24*time.Hour)), use.Opens, use.Checks); err != nil {
			return nil, kinded(err)
		}
	}
	return nil, kinded(tx.Commit())
}
