package postgres

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// row is a row of chatkit_sessions. Rows are written as JSON, so that one statement
// takes any number of them.
type row struct {
	ID                 string          `db:"id" json:"id"`
	User               string          `db:"clerk_user_id" json:"clerk_user_id"`
	Device             string          `db:"device_id" json:"device_id"`
	Generated          bool            `db:"device_generated" json:"device_generated"`
	Workflow           string          `db:"workflow_id" json:"workflow_id"`
	Actor              string          `db:"actor" json:"actor"`
	SignIn             string          `db:"sign_in_id" json:"sign_in_id"`
	Holder             *string         `db:"holder_sign_in_id" json:"holder_sign_in_id"`
	Status             string          `db:"status" json:"status"`
	TokenHash          bytea           `db:"token_hash" json:"token_hash"`
	TokenSealed        bytea           `db:"token_sealed" json:"token_sealed"`
	PreviousTokenHash  bytea           `db:"previous_token_hash" json:"previous_token_hash"`
	PreviousTokenUntil *time.Time      `db:"previous_token_until" json:"previous_token_until"`
	SupersededSeen     bool            `db:"superseded_seen" json:"superseded_seen"`
	OfferHash          bytea           `db:"offer_hash" json:"offer_hash"`
	OfferUntil         *time.Time      `db:"offer_until" json:"offer_until"`
	OfferRefused       int             `db:"offer_refused" json:"offer_refused"`
	Metadata           json.RawMessage `db:"metadata" json:"metadata"`
	Remembered         bool            `db:"remembered" json:"remembered"`
	ExpiresAt          time.Time       `db:"expires_at" json:"expires_at"`
	LastActivityAt     time.Time       `db:"last_activity_at" json:"last_activity_at"`
	CreatedAt          time.Time       `db:"created_at" json:"created_at"`
	EndedAt            *time.Time      `db:"ended_at" json:"ended_at"`
	EndReason          *string         `db:"end_reason" json:"end_reason"`
	Opens              int             `db:"opens" json:"opens"`
	Checks             int             `db:"checks" json:"checks"`
	source
	// ByBlocked is whether the caller's sign-in is blocked.
	ByBlocked bool `db:"by_blocked" json:"-"`
}

// source is the address and client columns, which several tables have.
type source struct {
	Address       *string `db:"address" json:"address"`
	ClientBrowser string  `db:"client_browser" json:"client_browser"`
	ClientOS      string  `db:"client_os" json:"client_os"`
	ClientKind    string  `db:"client_kind" json:"client_kind"`
}

func newSource(s session.Source) source {
	columns := source{ClientBrowser: s.Client.Browser, ClientOS: s.Client.OS, ClientKind: s.Client.Kind}
	if s.Address.IsValid() {
		text := s.Address.String()
		columns.Address = &text
	}
	return columns
}

func (s source) source() session.Source {
	from := session.Source{Client: session.Client{Browser: s.ClientBrowser, OS: s.ClientOS, Kind: s.ClientKind}}
	if s.Address != nil {
		from.Address, _ = netip.ParseAddr(*s.Address) // an invalid address is an unknown one
	}
	return from
}

// fields returns the destinations of the columns, in their order. Finding them by
// name would take a third of the time of a hot read.
func (r *row) fields() []any {
	return []any{
		&r.ID, &r.User, &r.Device, &r.Generated, &r.Workflow, &r.Actor, &r.SignIn, &r.Holder, &r.Status,
		&r.TokenHash, &r.TokenSealed, &r.PreviousTokenHash, &r.PreviousTokenUntil, &r.SupersededSeen,
		&r.OfferHash, &r.OfferUntil, &r.OfferRefused, (*[]byte)(&r.Metadata), &r.Remembered,
		&r.ExpiresAt, &r.LastActivityAt, &r.CreatedAt, &r.EndedAt, &r.EndReason,
		&r.Opens, &r.Checks, &r.Address, &r.ClientBrowser, &r.ClientOS, &r.ClientKind,
	}
}

// outline returns the destinations of outlineColumns.
func (r *row) outline() []any {
	return []any{
		&r.ID, &r.User, &r.Device, &r.Workflow, &r.Actor, &r.TokenHash, &r.PreviousTokenHash, &r.PreviousTokenUntil,
		&r.SupersededSeen, &r.Remembered, &r.ExpiresAt, &r.LastActivityAt, &r.CreatedAt,
	}
}

func newRow(s session.Session) (row, error) {
	stored := s.Stored()
	metadata, err := json.Marshal(stored.Metadata.Tree())
	if err != nil {
		return row{}, fmt.Errorf("encode metadata: %w", err)
	}
	return row{
		ID: stored.ID, User: stored.User, Device: stored.Device, Generated: stored.Generated, Workflow: stored.Workflow,
		Actor: stored.Actor, SignIn: stored.SignIn, Holder: nullIfEmpty(stored.SignIn), Status: string(stored.Status),
		TokenHash: hashBytes(stored.Credential.Hash), TokenSealed: stored.Credential.Sealed,
		PreviousTokenHash: hashBytes(stored.Previous), PreviousTokenUntil: optional(stored.PreviousUntil), SupersededSeen: stored.SupersededSeen,
		OfferHash: hashBytes(stored.Offer.Code), OfferUntil: optional(stored.Offer.Until), OfferRefused: stored.Offer.Refused,
		Metadata: metadata, Remembered: stored.Remembered,
		ExpiresAt: stored.ExpiresAt, LastActivityAt: stored.LastActivityAt, CreatedAt: stored.CreatedAt,
		EndedAt: optional(stored.EndedAt), EndReason: nullIfEmpty(string(stored.EndReason)),
		Opens: stored.Opens, Checks: stored.Checks, source: newSource(stored.Source),
	}, nil
}

func (r row) session() (session.Session, error) {
	metadata, err := parseMetadata(r.Metadata)
	if err != nil {
		return session.Session{}, fmt.Errorf("metadata of session %s: %w", r.ID, err)
	}
	stored := session.Stored{
		ID: r.ID, User: r.User, Device: r.Device, Workflow: r.Workflow, SignIn: r.holder(), Actor: r.Actor,
		Generated:      r.Generated,
		Status:         session.Status(r.Status),
		Credential:     session.Credential{Hash: hash(r.TokenHash), Sealed: r.TokenSealed},
		Previous:       hash(r.PreviousTokenHash),
		PreviousUntil:  timeOrZero(r.PreviousTokenUntil),
		SupersededSeen: r.SupersededSeen,
		Offer:          session.Offer{Code: hash(r.OfferHash), Until: timeOrZero(r.OfferUntil), Refused: r.OfferRefused},
		Metadata:       metadata,
		Remembered:     r.Remembered,
		CreatedAt:      r.CreatedAt.UTC(),
		ExpiresAt:      r.ExpiresAt.UTC(),
		LastActivityAt: r.LastActivityAt.UTC(),
		EndedAt:        timeOrZero(r.EndedAt),
		Opens:          r.Opens,
		Checks:         r.Checks,
		Source:         r.source.source(),
	}
	if r.EndReason != nil {
		stored.EndReason = session.EndReason(*r.EndReason)
	}
	return session.Restore(stored), nil
}

// holder returns the sign-in that holds the session. If a replica of an older version
// opened the session again, sign_in_id differs from the holder's column, and the
// holder is unknown.
func (r row) holder() string {
	if r.Holder == nil || *r.Holder != r.SignIn {
		return ""
	}
	return r.SignIn
}

// nullIfEmpty returns nil, which is NULL, for the empty text.
func nullIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// signInRow is a row of chatkit_sign_ins. With an empty SignIn it is the user's
// moment.
type signInRow struct {
	User      string     `json:"clerk_user_id"`
	SignIn    string     `json:"sign_in_id"`
	Actor     string     `json:"actor"`
	FirstSeen time.Time  `json:"first_seen_at"`
	Verified  time.Time  `json:"verified_at"`
	BlockedAt *time.Time `json:"blocked_at"`
}

func newSignInRow(user session.UserID, s session.SignIn) signInRow {
	return signInRow{
		User: user.String(), SignIn: s.Holder().SignIn.String(), Actor: s.Holder().Actor.String(),
		FirstSeen: s.FirstSeen(), Verified: s.Verified(), BlockedAt: optional(s.BlockedAt()),
	}
}

func (r signInRow) signIn() session.SignIn {
	return session.RestoreSignIn(session.StoredSignIn{
		SignIn: r.SignIn, Actor: r.Actor, FirstSeen: r.FirstSeen.UTC(), Verified: r.Verified.UTC(), BlockedAt: timeOrZero(r.BlockedAt),
	})
}

// signInRows returns the rows of the changed sign-ins and of the user's moment.
func signInRows(user session.UserID, changes ports.SignInChanges) []signInRow {
	rows := make([]signInRow, 0, len(changes.SignIns)+1)
	for _, s := range changes.SignIns {
		rows = append(rows, newSignInRow(user, s))
	}
	if !changes.Moment.IsZero() {
		rows = append(rows, signInRow{User: user.String(), FirstSeen: changes.Moment, Verified: changes.Moment})
	}
	return rows
}

func parseMetadata(text json.RawMessage) (session.Metadata, error) {
	if len(text) == 0 || string(text) == "{}" { // of an outline, and of most sessions
		return session.Metadata{}, nil
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return session.Metadata{}, err
	}
	return session.RestoreMetadata(tree), nil
}

// activityRow is a row of chatkit_activity.
type activityRow struct {
	ID      string            `db:"id" json:"id"`
	User    string            `db:"clerk_user_id" json:"clerk_user_id"`
	Session string            `db:"session_id" json:"session_id"`
	Type    string            `db:"type" json:"type"`
	At      time.Time         `db:"at" json:"at"`
	Detail  map[string]string `db:"-" json:"detail"`
	Encoded json.RawMessage   `db:"detail" json:"-"`
	source
	ByBlocked bool `db:"by_blocked" json:"-"`
}

// newActivityRow returns the row of an activity with a new id (UUID v7). The ids
// order the activities of one Update, which have the same time.
func newActivityRow(a session.Activity) (activityRow, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return activityRow{}, err
	}
	detail := a.Detail
	if detail == nil {
		detail = map[string]string{}
	}
	return activityRow{
		ID: id.String(), User: a.User.String(), Session: a.Session.String(), Type: string(a.Type), At: a.At, Detail: detail, source: newSource(a.Source),
	}, nil
}

func (r activityRow) activity() (session.Activity, error) {
	if err := json.Unmarshal(r.Encoded, &r.Detail); err != nil {
		return session.Activity{}, fmt.Errorf("detail of activity %s: %w", r.ID, err)
	}
	return session.RestoreActivity(r.ID, r.User, r.Session, session.Activity{
		Type: session.ActivityType(r.Type), At: r.At.UTC(), Source: r.source.source(), Detail: r.Detail,
	}), nil
}

// useRow is a use in the form that touchSQL takes.
type useRow struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Opens  int       `json:"opens"`
	Checks int       `json:"checks"`
	source
}

// encode returns the rows of list as JSON. The result is text, because binary
// parameters do not support JSON.
func encode[T, R any](list []T, row func(T) (R, error)) (string, error) {
	rows := make([]R, len(list))
	for i, element := range list {
		var err error
		if rows[i], err = row(element); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(rows)
	return string(text), err
}

// asItIs is the conversion for encode of a list of rows.
func asItIs[R any](row R) (R, error) { return row, nil }

// bytea is bytes that are encoded in JSON as PostgreSQL's bytea; nil is NULL.
type bytea []byte

// Scan implements sql.Scanner.
func (b *bytea) Scan(value any) error {
	bytesOf, ok := value.([]byte)
	if !ok && value != nil {
		return fmt.Errorf("a bytea is %T", value)
	}
	*b = bytes.Clone(bytesOf)
	return nil
}

// MarshalJSON writes "\x…", or null.
func (b bytea) MarshalJSON() ([]byte, error) {
	if b == nil {
		return []byte("null"), nil
	}
	return []byte(`"\\x` + hex.EncodeToString(b) + `"`), nil
}

// hashBytes returns nil, which is NULL, for the zero hash.
func hashBytes(h session.TokenHash) bytea {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

func hash(b bytea) (h session.TokenHash) {
	copy(h[:], b)
	return h
}

// optional returns nil, which is NULL, for the zero time.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
