package session

import "time"

// Status is a state of a session.
type Status string

// The states of a session. Only an active session can be used.
const (
	StatusActive  Status = "active"
	StatusExpired Status = "expired"
	StatusRevoked Status = "revoked"
)

// ParseStatus returns the status with this name, or a KindInvalid error.
func ParseStatus(text string) (Status, error) {
	switch status := Status(text); status {
	case StatusActive, StatusExpired, StatusRevoked:
		return status, nil
	}
	return "", Invalid("status", "must be active, expired or revoked")
}

// EndReason is why a session ended.
type EndReason string

// The reasons.
const (
	// EndExpired means that the session expired.
	EndExpired EndReason = "expired"
	// EndUser means that the user signed the session out.
	EndUser EndReason = "user"
	// EndAdmin means that an admin signed the session out.
	EndAdmin EndReason = "admin"
	// EndLimit means that the user had too many sessions; see Policy.Excess.
	EndLimit EndReason = "limit"
	// EndTransferred means that another session was transferred to the device.
	EndTransferred EndReason = "transferred"
	// EndReplaced means that another sign-in opened a session in the same slot.
	EndReplaced EndReason = "replaced"
	// EndAnomaly means that an anomaly was detected.
	EndAnomaly EndReason = "anomaly"
)

// Slot is a combination that has at most one active session. In a request, a zero
// Device means the generated device of the caller's sign-in.
type Slot struct {
	User     UserID
	Workflow WorkflowID
	Device   DeviceID
	Actor    Actor
}

// Session is one user's use of ChatKit on one device, for one workflow, while
// signed in. It contains no token, only the token's Credential. Methods change only
// the value; stores persist it.
type Session struct {
	id             ID
	slot           Slot // Device is never zero
	generated      bool
	holder         Holder
	status         Status
	credential     Credential
	previous       TokenHash
	previousUntil  time.Time
	metadata       Metadata
	createdAt      time.Time
	expiresAt      time.Time
	lastActivityAt time.Time
	endedAt        time.Time
	endReason      EndReason
	remembered     bool
	opens, checks  int
	source         Source
	supersededSeen bool
	offer          Offer
}

// Draft has the initial values of a session.
type Draft struct {
	ID ID
	// Slot's Device must be set, to the client's own id or a generated one.
	Slot Slot
	// Generated reports whether the device id is a generated one.
	Generated bool
	// SignIn and the slot's Actor are the holder.
	SignIn     SignInID
	Credential Credential
	Metadata   Metadata
	// ExpiresAt and Remembered are those of the Decision.
	ExpiresAt  time.Time
	Remembered bool
	// Source is where the request came from.
	Source Source
}

// New returns a new active session, created at now and opened once.
func New(draft Draft, now time.Time) Session {
	return Session{
		id:             draft.ID,
		slot:           draft.Slot,
		generated:      draft.Generated,
		holder:         Holder{draft.SignIn, draft.Slot.Actor},
		status:         StatusActive,
		credential:     draft.Credential,
		metadata:       draft.Metadata,
		createdAt:      now,
		expiresAt:      draft.ExpiresAt,
		lastActivityAt: now,
		remembered:     draft.Remembered,
		opens:          1,
		source:         draft.Source,
	}
}

// Rotate replaces the token and sets a new expiry. The superseded token is accepted
// until graceUntil.
func (s *Session) Rotate(credential Credential, now, expiresAt, graceUntil time.Time) {
	s.previous, s.previousUntil, s.supersededSeen = s.credential.Hash, graceUntil, false
	s.credential = credential
	s.expiresAt = expiresAt
	s.lastActivityAt = now
}

// Continue applies a Decision to reuse or refresh the session. A nil metadata keeps
// the stored metadata. Continue reports whether anything changed.
func (s *Session) Continue(metadata *Metadata, decision Decision) bool {
	changed := !s.expiresAt.Equal(decision.ExpiresAt) || s.remembered != decision.Remembered
	s.expiresAt, s.remembered = decision.ExpiresAt, decision.Remembered
	if metadata != nil && !s.metadata.Equal(*metadata) {
		s.metadata = *metadata
		changed = true
	}
	return changed
}

// Use sets the last activity to now, so that the session is not idle.
func (s *Session) Use(now time.Time) { s.lastActivityAt = now }

// Expire ends the session as expired.
func (s *Session) Expire(now time.Time) { s.end(StatusExpired, EndExpired, now) }

// Revoke ends the session before it expires.
func (s *Session) Revoke(reason EndReason, now time.Time) { s.end(StatusRevoked, reason, now) }

// end ends the session. It drops the sealed token, the grace and the offer, which
// are of no use any more.
func (s *Session) end(status Status, reason EndReason, now time.Time) {
	s.status, s.endReason, s.endedAt = status, reason, now
	s.credential.Sealed = nil
	s.previous, s.previousUntil = TokenHash{}, time.Time{}
	s.offer = Offer{}
}

// SeeSuperseded notes that use of the superseded token was recorded.
func (s *Session) SeeSuperseded() { s.supersededSeen = true }

// Outline returns a copy with only the fields that checking a token and News need.
// All others are zero, so an outline must not be stored.
func (s Session) Outline() Session {
	return Session{
		id:             s.id,
		slot:           s.slot,
		status:         s.status,
		credential:     Credential{Hash: s.credential.Hash},
		previous:       s.previous,
		previousUntil:  s.previousUntil,
		supersededSeen: s.supersededSeen,
		remembered:     s.remembered,
		createdAt:      s.createdAt,
		expiresAt:      s.expiresAt,
		lastActivityAt: s.lastActivityAt,
	}
}

// ID returns the session's id.
func (s Session) ID() ID { return s.id }

// User returns the user whose session it is.
func (s Session) User() UserID { return s.slot.User }

// Slot returns the session's slot.
func (s Session) Slot() Slot { return s.slot }

// Device returns the session's device.
func (s Session) Device() DeviceID { return s.slot.Device }

// Workflow returns the workflow that the session is for.
func (s Session) Workflow() WorkflowID { return s.slot.Workflow }

// Generated reports whether the device is a generated one.
func (s Session) Generated() bool { return s.generated }

// Actor returns the actor that opened the session in the user's name; zero for the
// user in person.
func (s Session) Actor() Actor { return s.slot.Actor }

// Holder returns the sign-in that holds the session, or held it when it ended. Its
// SignIn is zero when that is unknown.
func (s Session) Holder() Holder { return s.holder }

// HeldBy reports whether holder holds the session. An unknown sign-in holds none.
func (s Session) HeldBy(holder Holder) bool { return s.holder == holder && !holder.SignIn.IsZero() }

// Status returns the stored status. An active session may have expired already; see
// Policy.StatusAt.
func (s Session) Status() Status { return s.status }

// Credential returns the hash and the sealed text of the current token.
func (s Session) Credential() Credential { return s.credential }

// Previous returns the hash of the superseded token and the end of its grace; both
// are zero when there is none.
func (s Session) Previous() (TokenHash, time.Time) { return s.previous, s.previousUntil }

// Metadata returns the client's metadata.
func (s Session) Metadata() Metadata { return s.metadata }

// CreatedAt returns when the session was created.
func (s Session) CreatedAt() time.Time { return s.createdAt }

// ExpiresAt returns the session's expiry. It may expire before; see
// Policy.StatusAt.
func (s Session) ExpiresAt() time.Time { return s.expiresAt }

// LastActivityAt returns when the session was last used, as far as that is stored.
func (s Session) LastActivityAt() time.Time { return s.lastActivityAt }

// EndedAt returns when the session ended; zero while it is active.
func (s Session) EndedAt() time.Time { return s.endedAt }

// Remembered reports whether the session has the terms of remembered sessions.
func (s Session) Remembered() bool { return s.remembered }

// Opens returns how often the session was opened, as far as that is stored.
func (s Session) Opens() int { return s.opens }

// Checks returns how often the session's token was checked successfully, as far as
// that is stored.
func (s Session) Checks() int { return s.checks }

// Source returns where the session was last used from.
func (s Session) Source() Source { return s.source }

// SupersededSeen reports whether use of the superseded token after its grace was
// recorded. That happens once for each rotation.
func (s Session) SupersededSeen() bool { return s.supersededSeen }

// Offer returns the open transfer offer.
func (s Session) Offer() Offer { return s.offer }

// EndReason returns why the session ended; empty while it is active.
func (s Session) EndReason() EndReason { return s.endReason }
