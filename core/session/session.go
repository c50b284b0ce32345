package session

import "time"

// Status is where a session is in its life.
type Status string

// The states of a session. Only an active one can be continued.
const (
	StatusActive  Status = "active"
	StatusExpired Status = "expired"
	StatusRevoked Status = "revoked"
)

// ParseStatus accepts the name of a status.
func ParseStatus(text string) (Status, error) {
	switch status := Status(text); status {
	case StatusActive, StatusExpired, StatusRevoked:
		return status, nil
	}
	return "", Invalid("status", "must be active, expired or revoked")
}

// EndReason says why a session ended.
type EndReason string

// The reasons for which a session ends.
const (
	// EndExpired means that its time was up.
	EndExpired EndReason = "expired"
	// EndUser means that its user signed it out.
	EndUser EndReason = "user"
	// EndAdmin means that an admin signed it out.
	EndAdmin EndReason = "admin"
	// EndLimit means that its user had too many sessions, and that it came first
	// in the order of Policy.Excess.
	EndLimit EndReason = "limit"
	// EndTransferred means that another session was moved to its device.
	EndTransferred EndReason = "transferred"
	// EndReplaced means that another sign-in opened a session in its place.
	EndReplaced EndReason = "replaced"
	// EndAnomaly means that somebody did with it what only thieves do.
	EndAnomaly EndReason = "anomaly"
)

// Slot is a place for one session: a user's, and the actor's in their name, for
// a workflow on a device. In a request a zero Device means the generated device
// of the sign-in that asks.
type Slot struct {
	User     UserID
	Workflow WorkflowID
	Device   DeviceID
	Actor    Actor
}

// Session is one user's signed-in ChatKit use on one device for one workflow.
// It holds no token, only the credential made from it. Its methods change the
// value they are called on and nothing else; stores keep it.
type Session struct {
	id             ID
	slot           Slot // Device is never zero here
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

// Draft is what a new session is made from.
type Draft struct {
	ID ID
	// Slot names the device, too: the client's own or a generated one.
	Slot Slot
	// Generated says that the service made the device's name.
	Generated bool
	// SignIn is the sign-in that opens it, with the slot's actor.
	SignIn     SignInID
	Credential Credential
	Metadata   Metadata
	// ExpiresAt and Remembered come from Decide.
	ExpiresAt  time.Time
	Remembered bool
	// Source is from where it is opened.
	Source Source
}

// New returns the active session of draft, created at now and opened once.
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

// Rotate replaces the token: the superseded one stays good until graceUntil,
// the session lives until expiresAt.
func (s *Session) Rotate(credential Credential, now, expiresAt, graceUntil time.Time) {
	s.previous, s.previousUntil, s.supersededSeen = s.credential.Hash, graceUntil, false
	s.credential = credential
	s.expiresAt = expiresAt
	s.lastActivityAt = now
}

// Continue notes with what its holder opened the session again: a nil metadata
// leaves the metadata as it is; the decision is Decide's. It reports whether
// anything changed.
func (s *Session) Continue(metadata *Metadata, decision Decision) bool {
	changed := !s.expiresAt.Equal(decision.ExpiresAt) || s.remembered != decision.Remembered
	s.expiresAt, s.remembered = decision.ExpiresAt, decision.Remembered
	if metadata != nil && !s.metadata.Equal(*metadata) {
		s.metadata = *metadata
		changed = true
	}
	return changed
}

// Use notes that the session is in use at now: it is not idle, by whichever
// terms it lives.
func (s *Session) Use(now time.Time) { s.lastActivityAt = now }

// Expire ends the session because its time is up.
func (s *Session) Expire(now time.Time) { s.end(StatusExpired, EndExpired, now) }

// Revoke ends the session before its time.
func (s *Session) Revoke(reason EndReason, now time.Time) { s.end(StatusRevoked, reason, now) }

// end drops the sealed token, the grace and the offer: nobody needs them again.
func (s *Session) end(status Status, reason EndReason, now time.Time) {
	s.status, s.endReason, s.endedAt = status, reason, now
	s.credential.Sealed = nil
	s.previous, s.previousUntil = TokenHash{}, time.Time{}
	s.offer = Offer{}
}

// SeeSuperseded notes that the use of the superseded token was reported.
func (s *Session) SeeSuperseded() { s.supersededSeen = true }

// Outline returns what of the session says whether a token is good at some
// time, for what, and what its clients know of it; all else is zero. It is for
// reading: to store it would lose the rest.
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

// ID returns what identifies the session for good.
func (s Session) ID() ID { return s.id }

// User returns whose session it is.
func (s Session) User() UserID { return s.slot.User }

// Slot returns the session's place.
func (s Session) Slot() Slot { return s.slot }

// Device returns where the session lives.
func (s Session) Device() DeviceID { return s.slot.Device }

// Workflow returns what the session is for.
func (s Session) Workflow() WorkflowID { return s.slot.Workflow }

// Generated reports whether the service made the device's name.
func (s Session) Generated() bool { return s.generated }

// Actor returns who opened the session in the user's name; zero for the user in
// person.
func (s Session) Actor() Actor { return s.slot.Actor }

// Holder returns the sign-in that the session belongs to, or belonged to when
// it ended. It has no sign-in when that is unknown.
func (s Session) Holder() Holder { return s.holder }

// HeldBy reports whether the session belongs to this sign-in.
func (s Session) HeldBy(holder Holder) bool { return s.holder == holder && !holder.SignIn.IsZero() }

// Status returns where the session is in its life. An active session may be
// past its time until somebody notices; see Policy.StatusAt.
func (s Session) Status() Status { return s.status }

// Credential returns the current token's hash and sealed text.
func (s Session) Credential() Credential { return s.credential }

// Previous returns the hash of the token before the current one and until when
// it is still good; both are zero when there is none.
func (s Session) Previous() (TokenHash, time.Time) { return s.previous, s.previousUntil }

// Metadata returns what the client attached.
func (s Session) Metadata() Metadata { return s.metadata }

// CreatedAt returns when the session was created.
func (s Session) CreatedAt() time.Time { return s.createdAt }

// ExpiresAt returns when the session's time is up.
func (s Session) ExpiresAt() time.Time { return s.expiresAt }

// LastActivityAt returns when the session was last seen in use.
func (s Session) LastActivityAt() time.Time { return s.lastActivityAt }

// EndedAt returns when the session ended; zero while it is active.
func (s Session) EndedAt() time.Time { return s.endedAt }

// Remembered reports whether the session lives by the terms of remembered ones.
func (s Session) Remembered() bool { return s.remembered }

// Opens returns how often the session was opened, as far as that was written.
func (s Session) Opens() int { return s.opens }

// Checks returns how often the session's token was checked and found good, as
// far as that was written.
func (s Session) Checks() int { return s.checks }

// Source returns from where the session was last used.
func (s Session) Source() Source { return s.source }

// SupersededSeen reports whether the use of the superseded token after its
// grace was reported, which is done once for each rotation.
func (s Session) SupersededSeen() bool { return s.supersededSeen }

// Offer returns the transfer code that is open, by its hash.
func (s Session) Offer() Offer { return s.offer }

// EndReason returns why the session ended; empty while it is active.
func (s Session) EndReason() EndReason { return s.endReason }
