package sqlite

import (
	"encoding/json"
	"fmt"
	"time"

	"chatkit-session/core/session"
)

// row is a session as the table holds it.
type row struct {
	ID                 string  `db:"id"`
	User               string  `db:"clerk_user_id"`
	Device             string  `db:"device_id"`
	Generated          bool    `db:"device_generated"`
	Workflow           string  `db:"workflow_id"`
	SignIn             string  `db:"sign_in_id"`
	Status             string  `db:"status"`
	TokenHash          []byte  `db:"token_hash"`
	TokenSealed        []byte  `db:"token_sealed"`
	PreviousTokenHash  []byte  `db:"previous_token_hash"`
	PreviousTokenUntil *int64  `db:"previous_token_until"`
	Metadata           string  `db:"metadata"`
	ExpiresAt          int64   `db:"expires_at"`
	LastActivityAt     int64   `db:"last_activity_at"`
	CreatedAt          int64   `db:"created_at"`
	EndedAt            *int64  `db:"ended_at"`
	EndReason          *string `db:"end_reason"`
	BlocksSignIn       bool    `db:"blocks_sign_in"`
}

func newRow(s session.Session) (row, error) {
	metadata, err := json.Marshal(s.Metadata().Tree())
	if err != nil {
		return row{}, fmt.Errorf("encode metadata: %w", err)
	}
	r := row{
		ID: s.ID().String(), User: s.User().String(), Device: s.Device().String(), Generated: s.Generated(),
		Workflow: s.Workflow().String(), SignIn: s.SignIn().String(), Status: string(s.Status()),
		TokenHash: hashBytes(s.Credential().Hash), TokenSealed: s.Credential().Sealed,
		Metadata:  string(metadata),
		ExpiresAt: micros(s.ExpiresAt()), LastActivityAt: micros(s.LastActivityAt()), CreatedAt: micros(s.CreatedAt()),
		EndedAt: optionalMicros(s.EndedAt()), BlocksSignIn: s.BlocksSignIn(),
	}
	previous, until := s.Previous()
	r.PreviousTokenHash, r.PreviousTokenUntil = hashBytes(previous), optionalMicros(until)
	if reason := string(s.EndReason()); reason != "" {
		r.EndReason = &reason
	}
	return r, nil
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
	var tree map[string]any
	if err := json.Unmarshal([]byte(r.Metadata), &tree); err != nil {
		return session.Session{}, fmt.Errorf("metadata of session %s: %w", r.ID, err)
	}
	stored := session.Stored{
		ID: r.ID, User: r.User, Device: r.Device, Workflow: r.Workflow, SignIn: r.SignIn,
		Generated:      r.Generated,
		Status:         session.Status(r.Status),
		Credential:     session.Credential{Hash: hash(r.TokenHash), Sealed: r.TokenSealed},
		Previous:       hash(r.PreviousTokenHash),
		PreviousUntil:  optionalTime(r.PreviousTokenUntil),
		Metadata:       session.RestoreMetadata(tree),
		CreatedAt:      fromMicros(r.CreatedAt),
		ExpiresAt:      fromMicros(r.ExpiresAt),
		LastActivityAt: fromMicros(r.LastActivityAt),
		EndedAt:        optionalTime(r.EndedAt),
		BlocksSignIn:   r.BlocksSignIn,
	}
	if r.EndReason != nil {
		stored.EndReason = session.EndReason(*r.EndReason)
	}
	return session.Restore(stored), nil
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

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// optionalMicros is NULL for the zero time.
func optionalMicros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	us := micros(t)
	return &us
}

func optionalTime(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return fromMicros(*us)
}
