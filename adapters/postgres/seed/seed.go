// Package seed fills the tables of sessions and of sign-ins fast, for
// measurements. It writes
// past the ports: no rule of the core is asked, so the rows themselves must
// keep to what the table promises.
package seed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Devices of a measured user, by the state that their sessions are in.
const (
	// DeviceFresh has just been opened: opening it again reuses the session.
	DeviceFresh = "load-fresh"
	// DeviceDue, with a number below DuePerUser behind it, has a session that
	// opening refreshes under the default policy.
	DeviceDue = "load-due-"
)

// DuePerUser is how many sessions of a measured user are due for a refresh.
const DuePerUser = 5

// PerUser is how many sessions a measured user has.
const PerUser = 1 + DuePerUser

// Plan says what to write.
type Plan struct {
	// Users are measured: each gets PerUser active sessions.
	Users []session.UserID
	// Sessions is how many there are to be, those of Users among them; the rest
	// belongs to others, whose sessions are active, expired and revoked.
	Sessions int
	// Due is how many there are beside them that are active past their time, for
	// a clean-up to end.
	Due int
	// Bulk drops the table's indexes and makes them again from all rows, in much
	// less time than keeping them takes. An error leaves the table without: it is
	// for databases that are made anew then.
	Bulk bool
	// Workflow is what all of them are for.
	Workflow session.WorkflowID
	// Sealer seals the tokens, so that the service can show them.
	Sealer ports.Sealer
	// Now is what their times are counted from.
	Now time.Time
	// Wrote, if there is one, is told after each batch how many rows are there.
	Wrote func(rows int)
}

// batch is how many rows one transaction copies.
const batch = 50_000

// Fill writes the plan's sessions by COPY, each held by its user's one sign-in,
// and returns how many. conn's login must own the tables: COPY cannot write under row-level security. Every batch is a
// transaction of its own, so an error leaves those before it. A plan can be
// filled once into a table: its users' devices are then taken.
func Fill(ctx context.Context, conn *sql.DB, plan Plan) (int, error) {
	again, err := dropIndexes(ctx, conn, plan.Bulk)
	if err != nil {
		return 0, explained(err)
	}
	written, err := copyAll(ctx, conn, plan)
	if err != nil {
		return written, explained(err)
	}
	for _, statement := range append(again, "VACUUM (ANALYZE) chatkit_sessions", signInsSQL, "VACUUM (ANALYZE) chatkit_sign_ins") {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return written, err
		}
	}
	return written, nil
}

// explained says what to do about what is easily forgotten.
func explained(err error) error {
	var refused *pq.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Code {
	case "42P01": // undefined_table
		return fmt.Errorf("the schema is missing, run chatkit-session migrate first: %w", err)
	case "23505": // unique_violation
		return fmt.Errorf("these users have been seeded, take another database: %w", err)
	}
	return err
}

// dropIndexes drops those that hold no constraint, if it is to, and returns
// the statements that make them.
func dropIndexes(ctx context.Context, conn *sql.DB, really bool) (again []string, err error) {
	if !really {
		return nil, nil
	}
	const indexes = `SELECT format('DROP INDEX %I', c.relname), pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE i.indrelid = 'chatkit_sessions'::regclass AND NOT i.indisprimary ORDER BY c.relname`
	rows, err := conn.QueryContext(ctx, indexes)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // they are read
	var drops []string
	for rows.Next() {
		var drop, create string
		if err := rows.Scan(&drop, &create); err != nil {
			return nil, err
		}
		drops, again = append(drops, drop), append(again, create)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	_, err = conn.ExecContext(ctx, strings.Join(drops, ";"))
	return again, err
}

func copyAll(ctx context.Context, conn *sql.DB, plan Plan) (written int, err error) {
	b := newBuilder(plan)
	for total := b.total(); written < total; {
		n := min(batch, total-written)
		if err := copyRows(ctx, conn, b, written, n); err != nil {
			return written, fmt.Errorf("copy rows %d to %d: %w", written, written+n, err)
		}
		written += n
		if plan.Wrote != nil {
			plan.Wrote(written)
		}
	}
	return written, nil
}

func copyRows(ctx context.Context, conn *sql.DB, b *builder, first, n int) (err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	stmt, err := tx.PrepareContext(ctx, copySQL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	for i := range n {
		row, err := b.row(first + i)
		if err != nil {
			return err
		}
		if _, err := stmt.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	if _, err := stmt.ExecContext(ctx); err != nil { // ends the COPY
		return err
	}
	return tx.Commit()
}
