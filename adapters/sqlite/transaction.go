package sqlite

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// begin begins a write transaction. It waits for another process's transaction until
// ctx ends.
func (s *Store) begin(ctx context.Context) (*sqlx.Tx, error) {
	var tx *sqlx.Tx
	err := patiently(ctx, func() (err error) {
		tx, err = s.writes.BeginTxx(ctx, nil)
		return err
	})
	return tx, kinded(err)
}

// patiently repeats try while the database is busy, until ctx ends.
func patiently(ctx context.Context, try func() error) error {
	for {
		if err := try(); !busy(err) || ctx.Err() != nil {
			return err
		}
	}
}
