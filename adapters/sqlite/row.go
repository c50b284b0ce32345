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

// row is a session as the table holds it.
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

// source is where something was done from, in any table.
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
		from.Address, _ = netip.ParseAddr(*s.Address) // another hand's nonsense is an unknown address
	}
	return from
}

func newRow(s session.Session) (row, error) {
	metadata, err := encodeMetadata(s.Metadata())
	if err != nil {
		return row{}, fmt.Errorf("encode metadata: %w", err)
	}
	previous, until := s.Previous()
	r := row{
		ID: s.ID().String(), User: s.User().String(), Device: s.Device().String(), Generated: s.Generated(),
		Workflow: s.Workflow().String(), Actor: s.Actor().String(), SignIn: s.Holder().SignIn.String(), Holder: known(s.Holder().SignIn), Status: string(s.Status()),
		TokenHash: hashBytes(s.Credential().Hash), TokenSealed: s.Credential().Sealed,
		PreviousTokenHash: hashBytes(previous), PreviousTokenUntil: optionalMicros(until), SupersededSeen: s.SupersededSeen(),
		OfferHash: hashBytes(s.Offer().Code), OfferUntil: optionalMicros(s.Offer().Until), OfferRefused: s.Offer().Refused,
		Metadata: metadata, Remembered: s.Remembered(),
		ExpiresAt: micros(s.ExpiresAt()), LastActivityAt: micros(s.LastActivityAt()), CreatedAt: micros(s.CreatedAt()),
		EndedAt: optionalMicros(s.EndedAt()),
		Opens:   s.Opens(), Checks: s.Checks(), source: newSource(s.Source()),
	}
	if reason := string(s.EndReason()); reason != "" {
		r.EndReason = &reason
	}
	return r, nil
}

// encodeMetadata keeps <, > and & as they are, so that what is stored is about
// as large as the core measured.
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

// holder is the sign-in that holds the session. A process of an older version
// that opened it again wrote another sign-in and not the holder: then nobody is
// known to hold it.
func (r row) holder() string {
	if r.Holder == nil || *r.Holder != r.SignIn {
		return ""
	}
	return r.SignIn
}

// known is NULL for an unknown sign-in.
func known(signIn session.SignInID) *string {
	if signIn.IsZero() {
		return nil
	}
	text := signIn.String()
	return &text
}

// signInRow is a sign-in as the table holds it, or, with an empty SignIn, its
// user's moment.
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

// activityRow is an activity as the table holds it.
type activityRow struct {
	ID      string `db:"id"`
	User    string `db:"clerk_user_id"`
	Session string `db:"session_id"`
	Type    string `db:"type"`
	At      int64  `db:"at"`
	Detail  string `db:"detail"`
	source
}

// newActivityRow gives the activity an id that sorts after earlier ones (UUID
// v7): what one Update records has one time.
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

// useRow is a use as Touch's statement takes it.
type useRow struct {
	ID     string `db:"id"`
	At     int64  `db:"at"`
	Opens  int    `db:"opens"`
	Checks int    `db:"checks"`
	Known  bool   `db:"known"` // whether the client is
	source
}

func newUseRow(u session.Use) useRow {
	return useRow{
		ID: u.Session.String(), At: micros(u.At), Opens: u.Opens, Checks: u.Checks,
		Known: u.Source.Client != session.Client{}, source: newSource(u.Source),
	}
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
