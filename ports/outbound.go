package ports

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

//go:generate go tool mockgen -typed -package portmock -destination portmock/outbound.go chatkit-session/ports SessionStore,TokenFinder,ActivityStore,SessionCleaner,StoreProbe,Sealer,Clock,Identifiers,Authenticator,RoleDirectory

// SessionStore keeps sessions. Every method gives up when ctx ends, and then,
// as whenever the store cannot be reached or is too busy to answer, returns a
// KindUnavailable error; an error without a kind is a bug or damaged data.
// Times come back equal to the microsecond, in UTC.
type SessionStore interface {
	// Find returns the active session that a request for slot continues: the
	// one on slot.Device, or, when slot.Device is zero, the user's session on a
	// generated device; always of slot.User for slot.Workflow. It may be past
	// its expiry: only status counts. It sees every change acknowledged before
	// it began, by whichever replica, and changes nothing.
	//
	// Errors: KindNotFound when there is none.
	Find(ctx context.Context, slot session.Slot) (session.Session, error)

	// Update shows change what Find would find, nil when that is nothing, and
	// stores the sessions that change returns: all of them or, on any error,
	// none. They are written in the order given; one whose ID is the current
	// session's replaces it, any other is new. From before it calls change
	// until it returns, no other Update for the same user runs and nobody else
	// changes the current session, on any replica. When it returns nil, the
	// change is durable.
	//
	// change is called at most once; it must not call the store. Its error
	// comes back as it is and nothing is stored. When change returns no
	// sessions, nothing is written.
	//
	// Errors: KindSignedOut when a session that blocks its sign-in has that of a
	// new one; KindConflict when a new session's device already has an active
	// session for that user and workflow, when the user already has an active
	// session on a generated device for that workflow, or when a token's hash
	// is taken.
	Update(ctx context.Context, slot session.Slot, change func(current *session.Session) ([]session.Session, error)) error

	// FindByID returns the user's session with this id, ended or not.
	//
	// Errors: KindNotFound when the user has none, whoever else has.
	FindByID(ctx context.Context, user session.UserID, id session.ID) (session.Session, error)

	// List returns at most query.Limit of the user's sessions, newest first, and
	// none twice or left out where it goes on at a Position, whatever comes and
	// goes meanwhile.
	List(ctx context.Context, query ListQuery) ([]session.Session, error)

	// UpdateAll is Update for all active sessions of the user, which change is
	// shown in the order of their ids; it may return those of them that it
	// changed, and no others.
	UpdateAll(ctx context.Context, user session.UserID, change func(active []session.Session) ([]session.Session, error)) error
}

// ListQuery says which sessions to list.
type ListQuery struct {
	User session.UserID
	// Status leaves those that have it at Now, see Session.StatusAt; empty
	// leaves all.
	Status session.Status
	Now    time.Time
	// After is where the page before ended; zero for the newest.
	After Position
	Limit int
}

// Position is a session's place in a list by age.
type Position struct {
	CreatedAt time.Time
	ID        session.ID
}

// TokenFinder finds sessions by their tokens. Errors are SessionStore's.
type TokenFinder interface {
	// FindByToken returns the active session whose token has this hash, or
	// whose token before the last refresh had. It may be past its expiry, and
	// the grace over: only status counts. It sees every change acknowledged
	// before it began, by whichever replica, and changes nothing.
	//
	// Errors: KindNotFound when there is none.
	FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error)
}

// ActivityStore keeps when sessions were last in use. Errors are
// SessionStore's.
type ActivityStore interface {
	// Touch notes, all or nothing, that each session was in use at its time. It
	// never takes a session's last activity back, and leaves alone those that
	// ended, that do not exist, and, rather than wait, those that somebody else
	// is changing.
	Touch(ctx context.Context, seen map[session.ID]time.Time) error
}

// SessionCleaner ends and forgets sessions whose time is up, in batches that
// never hold up other callers for long. Both methods do nothing and return 0
// while another replica is at it. Errors are SessionStore's.
type SessionCleaner interface {
	// ExpireDue ends, as expired at now, at most limit active sessions whose
	// expiry is at or before now, and returns how many it ended.
	ExpireDue(ctx context.Context, now time.Time, limit int) (int, error)

	// PurgeEnded deletes at most limit sessions that ended before the given
	// time, and returns how many it deleted. It keeps those that block their
	// sign-in: they are what remembers that.
	PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error)
}

// StoreProbe tells whether the store can do its work.
type StoreProbe interface {
	// Now returns the store's own clock, in UTC. It answers from the store
	// itself, not from memory. Errors are SessionStore's.
	Now(ctx context.Context) (time.Time, error)
}

// Sealer encrypts tokens so that only this service can show them to their
// owner again.
type Sealer interface {
	// Seal encrypts token for the session id: sealed for one session it cannot
	// be opened for another. Two calls never give the same bytes.
	Seal(id session.ID, token session.Token) ([]byte, error)

	// Unseal gives back the token that was sealed for id.
	//
	// Errors: KindUnreadable when no key opens it: the key is gone, the bytes
	// are damaged, missing, or were sealed for another session.
	Unseal(id session.ID, sealed []byte) (session.Token, error)
}

// Clock is the one source of time.
type Clock interface {
	// Now returns the time in UTC, truncated to the microsecond.
	Now() time.Time
}

// Identifiers makes what must be unique.
type Identifiers interface {
	// SessionID returns an id that was never returned before; later ids sort
	// after earlier ones, roughly.
	SessionID() (session.ID, error)

	// Token returns a random token that nobody can guess.
	Token() (session.Token, error)
}

// Identity is what a credential proves about its bearer.
type Identity struct {
	User   session.UserID
	SignIn session.SignInID
	// Role is the role the credential itself names; zero when it names none.
	Role access.Role
	// OrganizationRole is the bearer's role in the organization that is active
	// in this sign-in; zero when there is none.
	OrganizationRole access.Role
	// ActedBy names the administrator who impersonates the user, if one does.
	ActedBy string
}

// Authenticator verifies credentials.
type Authenticator interface {
	// Authenticate returns who presents credential, which may be any text.
	//
	// Errors: KindUnauthenticated when the credential is not good, for whatever
	// reason; KindUnavailable when that cannot be found out now. No error
	// carries the credential.
	Authenticate(ctx context.Context, credential string) (Identity, error)
}

// RoleDirectory knows roles that credentials do not carry.
type RoleDirectory interface {
	// Role returns the user's role, zero when the user has none or does not
	// exist. The answer may be up to a minute old.
	//
	// Errors: KindUnavailable when it cannot be found out now, or not before
	// ctx ends.
	Role(ctx context.Context, user session.UserID) (access.Role, error)
}
