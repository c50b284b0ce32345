package sqlite

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// begin starts a write transaction, waiting for another process's to end for
// as long as ctx allows.
func (s *Store) begin(ctx context.Context) (*sqlx.Tx, error) {
	var tx *sqlx.Tx
	err := patiently(ctx, func() (err error) {
		tx, err = s.writes.BeginTxx(ctx, nil)
		return err
	})
	return tx, kinded(err)
}

// patiently repeats try while the database is busy and ctx has not ended.
func patiently(ctx context.Context, try func() error) error {
	for {
		if err := try(); !busy(err) || ctx.Err() != nil {
			return err
		}
	}
}
