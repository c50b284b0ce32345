package postgres

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"chatkit-session/core/session"
)

// row is a session as the table holds it.
type row struct {
	ID                 string         `db:"id"`
	User               string         `db:"clerk_user_id"`
	Device             string         `db:"device_id"`
	Generated          bool           `db:"device_generated"`
	Workflow           string         `db:"workflow_id"`
	SignIn             string         `db:"sign_in_id"`
	Status             string         `db:"status"`
	TokenHash          []byte         `db:"token_hash"`
	TokenSealed        []byte         `db:"token_sealed"`
	PreviousTokenHash  []byte         `db:"previous_token_hash"`
	PreviousTokenUntil sql.NullTime   `db:"previous_token_until"`
	Metadata           string         `db:"metadata"`
	ExpiresAt          time.Time      `db:"expires_at"`
	LastActivityAt     time.Time      `db:"last_activity_at"`
	CreatedAt          time.Time      `db:"created_at"`
	EndedAt            sql.NullTime   `db:"ended_at"`
	EndReason          sql.NullString `db:"end_reason"`
	BlocksSignIn       bool           `db:"blocks_sign_in"`
}

func newRow(s session.Session) (row, error) {
	metadata, err := json.Marshal(s.Metadata().Tree())
	if err != nil {
		return row{}, fmt.Errorf("encode metadata: %w", err)
	}
	previous, until := s.Previous()
	return row{
		ID: s.ID().String(), User: s.User().String(), Device: s.Device().String(), Generated: s.Generated(),
		Workflow: s.Workflow().String(), SignIn: s.SignIn().String(), Status: string(s.Status()),
		TokenHash: hashBytes(s.Credential().Hash), TokenSealed: s.Credential().Sealed,
		PreviousTokenHash: hashBytes(previous), PreviousTokenUntil: nullTime(until),
		Metadata:  string(metadata),
		ExpiresAt: s.ExpiresAt(), LastActivityAt: s.LastActivityAt(), CreatedAt: s.CreatedAt(),
		EndedAt:   nullTime(s.EndedAt()),
		EndReason: sql.NullString{String: string(s.EndReason()), Valid: s.EndReason() != ""}, BlocksSignIn: s.BlocksSignIn(),
	}, nil
}

func (r row) insertArgs() []any {
	return []any{
		r.ID, r.User, r.Device, r.Generated, r.Workflow, r.SignIn, r.Status,
		r.TokenHash, r.TokenSealed, r.PreviousTokenHash, r.PreviousTokenUntil, r.Metadata,
		r.ExpiresAt, r.LastActivityAt, r.CreatedAt, r.EndedAt, r.EndReason, r.BlocksSignIn,
	}
}

// updateArgs leaves out what never changes.
func (r row) updateArgs() []any {
	return []any{
		r.ID, r.Device, r.Generated, r.SignIn, r.Status,
		r.TokenHash, r.TokenSealed, r.PreviousTokenHash, r.PreviousTokenUntil, r.Metadata,
		r.ExpiresAt, r.LastActivityAt, r.EndedAt, r.EndReason, r.BlocksSignIn,
	}
}

func (r row) session() (session.Session, error) {
	metadata, err := parseMetadata(r.Metadata)
	if err != nil {
		return session.Session{}, fmt.Errorf("metadata of session %s: %w", r.ID, err)
	}
	return session.Restore(session.Stored{
		ID: r.ID, User: r.User, Device: r.Device, Workflow: r.Workflow, SignIn: r.SignIn,
		Generated:      r.Generated,
		Status:         session.Status(r.Status),
		Credential:     session.Credential{Hash: hash(r.TokenHash), Sealed: r.TokenSealed},
		Previous:       hash(r.PreviousTokenHash),
		PreviousUntil:  timeOrZero(r.PreviousTokenUntil),
		Metadata:       metadata,
		CreatedAt:      r.CreatedAt.UTC(),
		ExpiresAt:      r.ExpiresAt.UTC(),
		LastActivityAt: r.LastActivityAt.UTC(),
		EndedAt:        timeOrZero(r.EndedAt),
		EndReason:      session.EndReason(r.EndReason.String),
		BlocksSignIn:   r.BlocksSignIn,
	}), nil
}

func parseMetadata(text string) (session.Metadata, error) {
	if text == "{}" { // most of them
		return session.Metadata{}, nil
	}
	var tree map[string]any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return session.Metadata{}, err
	}
	return session.RestoreMetadata(tree), nil
}

// hashBytes is NULL for the zero hash.
func hashBytes(h session.TokenHash) []byte {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

func hash(b []byte) (h session.TokenHash) {
	copy(h[:], b)
	return h
}

func nullTime(t time.Time) sql.NullTime { return sql.NullTime{Time: t, Valid: !t.IsZero()} }

func timeOrZero(t sql.NullTime) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}
