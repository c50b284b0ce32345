package sqlite

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"chatkit-session/core/session"
)

// row is a row of chatkit_sessions.
type row struct {
	ID                 string  `db:"id"`
	User               string  `db:"clerk_user_id"`
	Device             string  `db:"device_id"`
	Generated          bool    `db:"device_generated"`
	Workflow           string  `db:"workflow_id"`
	Actor              string  `db:"actor"`
	SignIn             string  `db:"sign_in_id"`
	Holder             *string `db:"holder_sign_in_id"`
	Status             string  `db:"status"`
	TokenHash          []byte  `db:"token_hash"`
	TokenSealed        []byte  `db:"token_sealed"`
	PreviousTokenHash  []byte  `db:"previous_token_hash"`
	PreviousTokenUntil *int64  `db:"previous_token_until"`
	SupersededSeen     bool    `db:"superseded_seen"`
	OfferHash          []byte  `db:"offer_hash"`
	OfferUntil         *int64  `db:"offer_until"`
	OfferRefused       int     `db:"offer_refused"`
	Metadata           string  `db:"metadata"`
	Remembered         bool    `db:"remembered"`
	ExpiresAt          int64   `db:"expires_at"`
	LastActivityAt     int64   `db:"last_activity_at"`
	CreatedAt          int64   `db:"created_at"`
	EndedAt            *int64  `db:"ended_at"`
	EndReason          *string `db:"end_reason"`
	Opens              int     `db:"opens"`
	Checks             int     `db:"checks"`
	source
}

// source is the address and client columns, which several tables have.
type source struct {
	Address       *string `db:"address"`
	ClientBrowser string  `db:"client_browser"`
	ClientOS      string  `db:"client_os"`
	ClientKind    string  `db:"client_kind"`
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

func newRow(s session.Session) (row, error) {
	stored := s.Stored()
	metadata, err := encodeMetadata(stored.Metadata)
	if err != nil {
		return row{}, fmt.Errorf("encode metadata: %w", err)
	}
	return row{
		ID: stored.ID, User: stored.User, Device: stored.Device, Generated: stored.Generated, Workflow: stored.Workflow,
		Actor: stored.Actor, SignIn: stored.SignIn, Holder: nullIfEmpty(stored.SignIn), Status: string(stored.Status),
		TokenHash: hashBytes(stored.Credential.Hash), TokenSealed: stored.Credential.Sealed,
		PreviousTokenHash: hashBytes(stored.Previous), PreviousTokenUntil: optionalMicros(stored.PreviousUntil), SupersededSeen: stored.SupersededSeen,
		OfferHash: hashBytes(stored.Offer.Code), OfferUntil: optionalMicros(stored.Offer.Until), OfferRefused: stored.Offer.Refused,
		Metadata: metadata, Remembered: stored.Remembered,
		ExpiresAt: micros(stored.ExpiresAt), LastActivityAt: micros(stored.LastActivityAt), CreatedAt: micros(stored.CreatedAt),
		EndedAt: optionalMicros(stored.EndedAt), EndReason: nullIfEmpty(string(stored.EndReason)),
		Opens: stored.Opens, Checks: stored.Checks, source: newSource(stored.Source),
	}, nil
}

// encodeMetadata does not escape <, > and &, so that the stored text is about as large
// as the core measured.
func encodeMetadata(m session.Metadata) (string, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(m.Tree())
	return strings.TrimSuffix(text.String(), "\n"), err
}

func (r row) session() (session.Session, error) {
	var tree map[string]any
	if err := json.Unmarshal([]byte(r.Metadata), &tree); err != nil {
		return session.Session{}, fmt.Errorf("metadata of session %s: %w", r.ID, err)
	}
	stored := session.Stored{
		ID: r.ID, User: r.User, Device: r.Device, Workflow: r.Workflow, SignIn: r.holder(), Actor: r.Actor,
		Generated:      r.Generated,
		Status:         session.Status(r.Status),
		Credential:     session.Credential{Hash: hash(r.TokenHash), Sealed: r.TokenSealed},
		Previous:       hash(r.PreviousTokenHash),
		PreviousUntil:  optionalTime(r.PreviousTokenUntil),
		SupersededSeen: r.SupersededSeen,
		Offer:          session.Offer{Code: hash(r.OfferHash), Until: optionalTime(r.OfferUntil), Refused: r.OfferRefused},
		Metadata:       session.RestoreMetadata(tree),
		Remembered:     r.Remembered,
		CreatedAt:      fromMicros(r.CreatedAt),
		ExpiresAt:      fromMicros(r.ExpiresAt),
		LastActivityAt: fromMicros(r.LastActivityAt),
		EndedAt:        optionalTime(r.EndedAt),
		Opens:          r.Opens,
		Checks:         r.Checks,
		Source:         r.source.source(),
	}
	if r.EndReason != nil {
		stored.EndReason = session.EndReason(*r.EndReason)
	}
	return session.Restore(stored), nil
}

// holder returns the sign-in that holds the session. If a process of an older version
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
	User      string `db:"clerk_user_id"`
	SignIn    string `db:"sign_in_id"`
	Actor     string `db:"actor"`
	FirstSeen int64  `db:"first_seen_at"`
	Verified  int64  `db:"verified_at"`
	BlockedAt *int64 `db:"blocked_at"`
}

func newSignInRow(user session.UserID, s session.SignIn) signInRow {
	return signInRow{
		User: user.String(), SignIn: s.Holder().SignIn.String(), Actor: s.Holder().Actor.String(),
		FirstSeen: micros(s.FirstSeen()), Verified: micros(s.Verified()), BlockedAt: optionalMicros(s.BlockedAt()),
	}
}

func (r signInRow) signIn() session.SignIn {
	return session.RestoreSignIn(session.StoredSignIn{
		SignIn: r.SignIn, Actor: r.Actor, FirstSeen: fromMicros(r.FirstSeen), Verified: fromMicros(r.Verified), BlockedAt: optionalTime(r.BlockedAt),
	})
}

// activityRow is a row of chatkit_activity.
type activityRow struct {
	ID      string `db:"id"`
	User    string `db:"clerk_user_id"`
	Session string `db:"session_id"`
	Type    string `db:"type"`
	At      int64  `db:"at"`
	Detail  string `db:"detail"`
	source
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
	encoded, err := json.Marshal(detail)
	return activityRow{
		ID: id.String(), User: a.User.String(), Session: a.Session.String(), Type: string(a.Type), At: micros(a.At), Detail: string(encoded), source: newSource(a.Source),
	}, err
}

func (r activityRow) activity() (session.Activity, error) {
	var detail map[string]string
	if err := json.Unmarshal([]byte(r.Detail), &detail); err != nil {
		return session.Activity{}, fmt.Errorf("detail of activity %s: %w", r.ID, err)
	}
	return session.RestoreActivity(r.ID, r.User, r.Session, session.Activity{
		Type: session.ActivityType(r.Type), At: fromMicros(r.At), Source: r.source.source(), Detail: detail,
	}), nil
}

// useRow is a use in the form that touchSQL takes.
type useRow struct {
	ID     string `db:"id"`
	At     int64  `db:"at"`
	Opens  int    `db:"opens"`
	Checks int    `db:"checks"`
	Known  bool   `db:"known"` // whether the client is known
	source
}

func newUseRow(u session.Use) useRow {
	return useRow{
		ID: u.Session.String(), At: micros(u.At), Opens: u.Opens, Checks: u.Checks,
		Known: u.Source.Client != session.Client{}, source: newSource(u.Source),
	}
}

// hashBytes returns nil, which is NULL, for the zero hash.
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

// optionalMicros returns nil, which is NULL, for the zero time.
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
