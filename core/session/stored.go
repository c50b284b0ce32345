package session

import "time"

// Stored is the complete state of a session in the form that stores read and
// write. Restore and Session.Stored convert between the two.
type Stored struct {
	ID, User, Device, Workflow string
	// SignIn and Actor are the holder. SignIn is empty when the holder is unknown.
	SignIn, Actor string

	Generated      bool
	Status         Status
	Credential     Credential
	Previous       TokenHash
	PreviousUntil  time.Time
	Metadata       Metadata
	CreatedAt      time.Time
	ExpiresAt      time.Time
	LastActivityAt time.Time
	EndedAt        time.Time
	EndReason      EndReason
	Remembered     bool
	Opens, Checks  int
	Source         Source
	SupersededSeen bool
	Offer          Offer
}

// Restore rebuilds a session from storage WITHOUT validating it: it was validated
// when it was written, by the rules of that version. ONLY STORES CALL IT.
func Restore(stored Stored) Session {
	return Session{
		id: ID{name{stored.ID}},
		slot: Slot{
			User:     UserID{name{stored.User}},
			Workflow: WorkflowID{name{stored.Workflow}},
			Device:   DeviceID{name{stored.Device}},
			Actor:    RestoreActor(stored.Actor),
		},
		generated:      stored.Generated,
		holder:         Holder{SignInID{name{stored.SignIn}}, RestoreActor(stored.Actor)},
		status:         stored.Status,
		credential:     stored.Credential,
		previous:       stored.Previous,
		previousUntil:  stored.PreviousUntil,
		metadata:       stored.Metadata,
		createdAt:      stored.CreatedAt,
		expiresAt:      stored.ExpiresAt,
		lastActivityAt: stored.LastActivityAt,
		endedAt:        stored.EndedAt,
		endReason:      stored.EndReason,
		remembered:     stored.Remembered,
		opens:          stored.Opens,
		checks:         stored.Checks,
		source:         stored.Source,
		supersededSeen: stored.SupersededSeen,
		offer:          stored.Offer,
	}
}

// Stored returns the complete state of the session: Restore(s.Stored()) equals s.
func (s Session) Stored() Stored {
	return Stored{
		ID:             s.id.value,
		User:           s.slot.User.value,
		Device:         s.slot.Device.value,
		Workflow:       s.slot.Workflow.value,
		SignIn:         s.holder.SignIn.value,
		Actor:          s.slot.Actor.String(),
		Generated:      s.generated,
		Status:         s.status,
		Credential:     s.credential,
		Previous:       s.previous,
		PreviousUntil:  s.previousUntil,
		Metadata:       s.metadata,
		CreatedAt:      s.createdAt,
		ExpiresAt:      s.expiresAt,
		LastActivityAt: s.lastActivityAt,
		EndedAt:        s.endedAt,
		EndReason:      s.endReason,
		Remembered:     s.remembered,
		Opens:          s.opens,
		Checks:         s.checks,
		Source:         s.source,
		SupersededSeen: s.supersededSeen,
		Offer:          s.offer,
	}
}
