package postgres

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// statement is a statement of the hot paths: prepared, unless the store goes
// through a pooler that hands connections on between transactions.
type statement struct {
	text     string
	prepared *sqlx.Stmt
}

// prepare makes the statement ready for db. A prepared point read takes less
// than half the time of another.
func prepare(ctx context.Context, db *sqlx.DB, text string, unprepared bool) (statement, error) {
	if unprepared {
		return statement{text: text}, nil
	}
	stmt, err := db.PreparexContext(ctx, text)
	if err != nil {
		return statement{}, fmt.Errorf("prepare: %w", kinded(err))
	}
	return statement{text, stmt}, nil
}

// get reads one row, in db or in a transaction.
func (s statement) get(ctx context.Context, db sqlx.QueryerContext, args ...any) (r row, err error) {
	tx, inTx := db.(*sqlx.Tx)
	switch {
	case s.prepared == nil:
		err = sqlx.GetContext(ctx, db, &r, s.text, args...)
	case inTx:
		err = tx.StmtxContext(ctx, s.prepared).GetContext(ctx, &r, args...) //nolint:sqlclosecheck // it ends with the transaction
	default:
		err = s.prepared.GetContext(ctx, &r, args...)
	}
	return r, kinded(err)
}

// exec runs the statement in a transaction and returns how many rows it
// changed.
func (s statement) exec(ctx context.Context, tx *sqlx.Tx, args ...any) (int64, error) {
	var result sql.Result
	var err error
	if s.prepared == nil {
		result, err = tx.ExecContext(ctx, s.text, args...)
	} else {
		result, err = tx.StmtxContext(ctx, s.prepared).ExecContext(ctx, args...)
	}
	if err != nil {
		return 0, kinded(err)
	}
	return result.RowsAffected()
}
