// Package pointread does the least that any session service on PostgreSQL has
// to: one prepared read of one row through lib/pq. It is what the service's
// speed is measured against, and no part of it.
package pointread

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// The service's columns and its two ways to find a row.
const (
	columns = `id, clerk_user_id, device_id, device_generated, workflow_id, sign_in_id, status,
	token_hash, token_sealed, previous_token_hash, previous_token_until, superseded_seen,
	offer_hash, offer_until, offer_refused, metadata, remembered,
	expires_at, last_activity_at, created_at, ended_at, end_reason, blocks_sign_in,
	opens, checks, address, client_browser, client_os, client_kind`

	byDeviceSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = $1 AND device_id = $2 AND workflow_id = $3 AND status = 'active'`

	byTokenSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE token_hash = $1 AND status = 'active'`
)

// ErrNone is that there is no such row.
var ErrNone = errors.New("no active session")

// Reader reads rows.
type Reader struct {
	byDevice, byToken *sql.Stmt
}

// New prepares the reads on conn.
func New(ctx context.Context, conn *sql.DB) (*Reader, error) {
	r := &Reader{}
	var err error
	if r.byDevice, err = conn.PrepareContext(ctx, byDeviceSQL); err != nil {
		return nil, err
	}
	if r.byToken, err = conn.PrepareContext(ctx, byTokenSQL); err != nil {
		_ = r.byDevice.Close()
		return nil, err
	}
	return r, nil
}

// Close gives the statements up.
func (r *Reader) Close() error { return errors.Join(r.byDevice.Close(), r.byToken.Close()) }

// Row is a session as the table holds it, its times and bytes left as they
// came.
type Row struct {
	ID, User, Device, Workflow, SignIn, Status string
	TokenHash, Sealed, Metadata                []byte
	CreatedAt, ExpiresAt                       time.Time

	generated, supersededSeen, remembered, blocks bool
	previousHash, offerHash                       []byte
	previousUntil, offerUntil, endedAt            sql.NullTime
	lastActivityAt                                time.Time
	endReason, address                            sql.NullString
	offerRefused, opens, checks                   int
	browser, os, kind                             string
}

// ByDevice reads the active row of a user's device, ErrNone when there is none.
func (r *Reader) ByDevice(ctx context.Context, user, device, workflow string) (Row, error) {
	return scan(r.byDevice.QueryRowContext(ctx, user, device, workflow))
}

// ByToken reads the active row whose token has the hash, ErrNone when there is
// none.
func (r *Reader) ByToken(ctx context.Context, hash []byte) (Row, error) {
	return scan(r.byToken.QueryRowContext(ctx, hash))
}

func scan(found *sql.Row) (w Row, err error) {
	err = found.Scan(
		&w.ID, &w.User, &w.Device, &w.generated, &w.Workflow, &w.SignIn, &w.Status,
		&w.TokenHash, &w.Sealed, &w.previousHash, &w.previousUntil, &w.supersededSeen,
		&w.offerHash, &w.offerUntil, &w.offerRefused, &w.Metadata, &w.remembered,
		&w.ExpiresAt, &w.lastActivityAt, &w.CreatedAt, &w.endedAt, &w.endReason, &w.blocks,
		&w.opens, &w.checks, &w.address, &w.browser, &w.os, &w.kind,
	)
	if errors.Is(err, sql.ErrNoRows) {
		return w, ErrNone
	}
	return w, err
}
