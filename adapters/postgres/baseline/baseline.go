// Package baseline is the least work that any session service on PostgreSQL must
// do: one prepared read of one row through lib/pq. loadgen measures the service
// against it; the service itself does not use it.
package baseline

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// The columns that a response needs, and the service's two ways to find a row.
const (
	columns = `id, clerk_user_id, device_id, workflow_id, token_hash, metadata, expires_at, created_at`

	byDeviceSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = $1 AND device_id = $2 AND workflow_id = $3 AND status = 'active'`

	byTokenSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE token_hash = $1 AND status = 'active'`
)

// ErrNotFound reports that no active row matches.
var ErrNotFound = errors.New("no active session")

// Reader reads rows with prepared statements.
type Reader struct {
	byDevice, byToken *sql.Stmt
}

// New prepares the statements on conn.
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

// Close closes the statements.
func (r *Reader) Close() error { return errors.Join(r.byDevice.Close(), r.byToken.Close()) }

// Row holds the columns that a response needs, as the driver returned them.
type Row struct {
	ID, User, Device, Workflow string
	TokenHash, Metadata        []byte
	ExpiresAt, CreatedAt       time.Time
}

// ByDevice reads the active row of a user's device. It returns ErrNotFound if
// there is none.
func (r *Reader) ByDevice(ctx context.Context, user, device, workflow string) (Row, error) {
	return scan(r.byDevice.QueryRowContext(ctx, user, device, workflow))
}

// ByToken reads the active row with the token hash. It returns ErrNotFound if
// there is none.
func (r *Reader) ByToken(ctx context.Context, hash []byte) (Row, error) {
	return scan(r.byToken.QueryRowContext(ctx, hash))
}

func scan(found *sql.Row) (w Row, err error) {
	err = found.Scan(&w.ID, &w.User, &w.Device, &w.Workflow, &w.TokenHash, &w.Metadata, &w.ExpiresAt, &w.CreatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return w, ErrNotFound
	}
	return w, err
}
