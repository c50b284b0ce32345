package postgres

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// statement is a statement of a hot path. It is prepared unless the store connects
// through a pooler in transaction mode.
type statement struct {
	text     string
	prepared *sqlx.Stmt
}

// prepare prepares the statement. A prepared point read takes less than half the
// time of an unprepared one.
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

// get reads one row into fields.
func (s statement) get(ctx context.Context, db *sqlx.DB, fields []any, args ...any) error {
	if s.prepared == nil {
		return kinded(db.QueryRowContext(ctx, s.text, args...).Scan(fields...))
	}
	return kinded(s.prepared.QueryRowContext(ctx, args...).Scan(fields...))
}

// exec runs the statement in a transaction.
func (s statement) exec(ctx context.Context, tx *sqlx.Tx, args ...any) error {
	var err error
	if s.prepared == nil {
		_, err = tx.ExecContext(ctx, s.text, args...)
	} else {
		_, err = tx.StmtxContext(ctx, s.prepared).ExecContext(ctx, args...)
	}
	return kinded(err)
}

// one reads one row into fields in a transaction.
func (s statement) one(ctx context.Context, tx *sqlx.Tx, fields []any, args ...any) error {
	if s.prepared == nil {
		return kinded(tx.QueryRowContext(ctx, s.text, args...).Scan(fields...))
	}
	return kinded(tx.StmtxContext(ctx, s.prepared).QueryRowContext(ctx, args...).Scan(fields...)) //nolint:sqlclosecheck // closed with the transaction
}

// rows reads rows in a transaction; the caller closes them.
func (s statement) rows(ctx context.Context, tx *sqlx.Tx, args ...any) (*sqlx.Rows, error) {
	if s.prepared == nil {
		rows, err := tx.QueryxContext(ctx, s.text, args...)
		return rows, kinded(err)
	}
	rows, err := tx.StmtxContext(ctx, s.prepared).QueryxContext(ctx, args...) //nolint:sqlclosecheck // closed with the transaction
	return rows, kinded(err)
}
