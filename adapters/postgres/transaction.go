package postgres

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"
)

// readCommitted is the isolation level that the locks rely on: each statement sees
// what was committed before it began.
var readCommitted = &sql.TxOptions{Isolation: sql.LevelReadCommitted}

// begin begins a transaction. ctx applies to BEGIN and to the statements that it is
// passed to, but not to COMMIT. If the driver cancelled a COMMIT that waits for a
// synchronous standby, the server would report it as committed, and show it to
// others, although the standby does not have it.
func (s *Store) begin(ctx context.Context) (*sqlx.Tx, error) {
	beginning, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	tx, err := s.db.BeginTxx(beginning, readCommitted)
	return tx, kinded(err)
}

// commit commits the transaction. If ctx ends first, commit returns, and whether the
// transaction was committed is unknown.
func commit(ctx context.Context, tx *sqlx.Tx) error {
	if err := ctx.Err(); err != nil {
		return kinded(err)
	}
	done := make(chan error, 1)
	go func() { done <- tx.Commit() }()
	select {
	case err := <-done:
		return kinded(err)
	case <-ctx.Done():
		return kinded(ctx.Err())
	}
}
