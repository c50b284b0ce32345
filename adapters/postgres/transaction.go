package postgres

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"
)

// readCommitted is what the locks rely on, whatever the server's default is:
// each statement sees what was committed before it began.
var readCommitted = &sql.TxOptions{Isolation: sql.LevelReadCommitted}

// begin begins a transaction. ctx bounds that and the statements that get it,
// but never COMMIT, which the driver would ask the server to cancel: a server
// that waits for its standby then says that it has committed what it alone has,
// and shows it to others.
func (s *Store) begin(ctx context.Context) (*sqlx.Tx, error) {
	beginning, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	tx, err := s.db.BeginTxx(beginning, readCommitted)
	return tx, kinded(err)
}

// commit commits. When ctx ends it waits no longer, and whether it was done is
// not known.
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
