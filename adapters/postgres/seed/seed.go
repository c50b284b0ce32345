// Package seed fills the table of sessions fast, for measurements. It writes
// past the ports: no rule of the core is asked, so the rows themselves must
// keep to what the table promises.
package seed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

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

// Fill writes the plan's rows by COPY and returns how many. conn's login must
// own the table: COPY cannot write under row-level security. Every batch is a
// transaction of its own, so an error leaves those before it. A plan can be
// filled once into a table: its users' devices are then taken.
func Fill(ctx context.Context, conn *sql.DB, plan Plan) (int, error) {
	total := max(plan.Sessions, len(plan.Users)*PerUser)
	b, written := newBuilder(plan), 0
	for written < total {
		n := min(batch, total-written)
		if err := copyRows(ctx, conn, b, written, n); err != nil {
			return written, fmt.Errorf("copy rows %d to %d: %w", written, written+n, err)
		}
		written += n
		if plan.Wrote != nil {
			plan.Wrote(written)
		}
	}
	_, err := conn.ExecContext(ctx, "ANALYZE chatkit_sessions")
	return written, err
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
