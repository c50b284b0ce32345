package ports

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

//go:generate go tool mockgen -typed -package portmock -destination portmock/outbound.go chatkit-session/ports SessionStore,SecretFinder,UsageStore,ActivityStore,AdminStore,SessionCleaner,StoreProbe,LeaseRegistry,Sealer,Clock,Identifiers,Meter,Authenticator,RoleDirectory,RateLimiter,SharedCounter,Relay,Degradable

// Store is everything that a database adapter implements. Code that needs less
// takes one of these interfaces.
type Store interface {
	SessionStore
	SecretFinder
	UsageStore
	ActivityStore
	AdminStore
	SessionCleaner
	StoreProbe
	LeaseRegistry
}

// SessionStore stores sessions. Every method gives up when ctx ends. Then, and
// whenever the store cannot be reached or is too busy to answer, it returns a
// KindUnavailable error. An error without a kind means a bug or damaged data. Times
// are returned in UTC and equal the stored ones to the microsecond.
//
// Methods that take the calling bearer return KindSignedOut when its sign-in is
// blocked: when it was signed out, or when it is not recorded and was verified
// before its user's moment (see SignInChanges). A zero bearer is the service
// itself, which is never blocked.
type SessionStore interface {
	// Find returns the active session that a request for slot from the sign-in by
	// continues: with slot.Device, the session on that device, whichever sign-in
	// holds it; without, the one on a generated device that by holds. It always
	// matches slot's user, workflow and actor. Only the stored status counts: the
	// session may have expired. Find sees every change acknowledged before it began,
	// on any replica. It changes nothing and does not check whether by is blocked: a
	// blocked sign-in holds no session.
	//
	// Errors: KindNotFound when there is none.
	Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error)

	// Update calls change with what scope selects and stores the changes that it
	// returns, all of them or, on any error, none. When Update returns nil, they are
	// durable, and no replica accepts a token that they revoke. When ctx ends or the
	// store is lost during the commit, the outcome is unknown. From before the call
	// of change until Update returns, no replica runs another Update for the same
	// user or changes what change was shown.
	//
	// Update calls change at most once. change must not call the store. Update
	// returns change's error unwrapped. If there are no changes, nothing is written.
	//
	// Update refuses to write when the store's clock and the service's differ by
	// more than session.MaxClockSkew, because change would use a wrong time. It
	// reads the store's clock with the statement that takes the lock.
	//
	// Errors: KindOverloaded, with nothing done, when too many other updates of the
	// user wait; KindSignedOut when scope.By is blocked; KindUnavailable when the
	// clocks differ; KindConflict when a slot would have two active sessions, when a
	// sign-in would hold two active sessions on generated devices for one workflow
	// and actor, or when the hash of a token or code is taken.
	Update(ctx context.Context, scope Scope, change func(seen Seen) (Changes, error)) error

	// FindByID returns the user's session with id, ended or not.
	//
	// Errors: KindNotFound when the user has no such session, even if another user
	// has; KindSignedOut when by is blocked, together with the session if there is
	// one.
	FindByID(ctx context.Context, user session.UserID, id session.ID, by session.Bearer) (session.Session, error)

	// List returns at most query.Limit of the user's sessions, newest first. Lists
	// that continue at a Position neither repeat nor skip a session, whatever
	// changes in between. The list ends after the first session that takes the size
	// of all metadata past query.Bytes. List holds no more in memory than it returns.
	//
	// Errors: KindSignedOut when query.By is blocked.
	List(ctx context.Context, query ListQuery) ([]session.Session, error)
}

// Scope selects what an Update reads: all of a user's active sessions, including
// expired ones, certain ended ones, and the user's recorded sign-ins.
type Scope struct {
	User session.UserID
	// By is the caller, who may be another user; zero for the service itself.
	By session.Bearer
	// Session adds the session with this id, ended or not; zero adds none.
	Session session.ID
	// CreatedAfter adds, for each device with a session created after it, the newest
	// such session, for the NewDevices newest devices.
	CreatedAfter time.Time
	NewDevices   int
	// Settled is for callers that report that a session has ended, whatever ended it.
	// With it, Update returns nil only when no replica uses a copy that is older
	// than what Update read, even if nothing changes.
	Settled bool
}

// Seen is what an Update read.
type Seen struct {
	// Sessions are ordered by id.
	Sessions []session.Session
	// SignIns are the user's recorded sign-ins that are not blocked, in no
	// particular order.
	SignIns session.SignIns
	// HolderBlocked reports whether the sign-in that holds the scope's Session, or
	// held it when it ended, is blocked.
	HolderBlocked bool
}

// Changes are what an Update stores.
type Changes struct {
	// Sessions replace the sessions with the same id that Update read; others are
	// new. Ending sessions are written first, so that they make room for new ones.
	Sessions []session.Session
	// Activity is added to the user's timeline.
	Activity []session.Activity
	SignInChanges
}

// SignInChanges are the changes to a user's recorded sign-ins.
type SignInChanges struct {
	// SignIns are recorded. If a sign-in is recorded already, it keeps the earlier
	// FirstSeen, the later Verified and its block.
	SignIns []session.SignIn
	// Forget are deleted, unless they are blocked.
	Forget []session.Holder
	// Moment blocks the user's sign-ins that are not recorded and were verified
	// before it. A stored moment only moves forward; zero keeps it.
	Moment time.Time
}

// IsZero reports whether there are no changes.
func (c Changes) IsZero() bool {
	return len(c.Sessions) == 0 && len(c.Activity) == 0 && len(c.SignIns) == 0 && len(c.Forget) == 0 && c.Moment.IsZero()
}

// Replacement is a session before and after an Update.
type Replacement struct{ Was, Is session.Session }

// Split separates the sessions that replace one in seen from new ones. seen must
// be a copy from before change ran, because change may modify sessions in place.
func (c Changes) Split(seen []session.Session) (replaced []Replacement, created []session.Session) {
	before := make(map[session.ID]session.Session, len(seen))
	for _, s := range seen {
		before[s.ID()] = s
	}
	for _, s := range c.Sessions {
		if was, known := before[s.ID()]; known {
			replaced = append(replaced, Replacement{was, s})
		} else {
			created = append(created, s)
		}
	}
	return replaced, created
}

// ListQuery selects sessions to list.
type ListQuery struct {
	User session.UserID
	// By is the caller, who may be another user.
	By session.Bearer
	// Actor selects this actor's sessions; zero selects all.
	Actor session.Actor
	// Status selects sessions with this status; empty selects all. Active sessions
	// that Cutoff selects count as expired.
	Status session.Status
	Cutoff session.Cutoff
	// After is where the previous list ended; zero starts at the newest session.
	After Position
	Limit int
	// Bytes limits the size of all listed sessions' metadata (Metadata.Size); 0
	// means no limit.
	Bytes int
}

// GoesOn reports whether the list continues after sessions whose metadata has this
// size in total.
func (q ListQuery) GoesOn(bytes int) bool { return q.Bytes == 0 || bytes <= q.Bytes }

// Position is the place of a session or activity record in a list that is ordered
// by time.
type Position struct {
	At time.Time
	ID session.ID
}

// SecretFinder finds sessions by secrets that only their owners know. Errors are
// those of SessionStore. Both methods see every change acknowledged before they
// began, on any replica, and change nothing. FindByToken may return a slightly
// stale copy of a session that still accepts the token.
type SecretFinder interface {
	// FindByToken returns the outline of the active session whose current token, or
	// whose token before the last rotation, has this hash. Only the stored status
	// counts: the session may have expired, and the grace may be over.
	//
	// Errors: KindNotFound when there is none.
	FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error)

	// FindByOffer returns the active session, of any user, that offers the transfer
	// code with this hash. The code may have expired.
	//
	// Errors: KindNotFound when there is none; KindSignedOut when by is blocked.
	FindByOffer(ctx context.Context, code session.TokenHash, by session.Bearer) (session.Session, error)
}

// UsageStore stores how sessions are used. Errors are those of SessionStore,
// including the one for clocks that differ.
type UsageStore interface {
	// Touch stores uses of different sessions, all or none. It adds their counts to
	// the session's and to the day's totals, and keeps the latest time and its
	// source; unknown parts of a source keep their stored value. A session's last
	// activity never moves back. Uses of sessions that have ended are stored like
	// others; uses of unknown sessions only count in the totals. Touch does not wait
	// for sessions that another transaction is changing: it skips them, counts
	// nothing for them and returns them as busy.
	Touch(ctx context.Context, uses []session.Use) (busy []session.ID, err error)
}

// ActivityStore reads timelines; SessionStore.Update writes them. Errors are those
// of SessionStore.
type ActivityStore interface {
	// ListActivity returns at most query.Limit of the user's records, newest first.
	// Lists that continue at a Position neither repeat nor skip a record.
	//
	// Errors: KindSignedOut when query.By is blocked.
	ListActivity(ctx context.Context, query ActivityQuery) ([]session.Activity, error)
}

// ActivityQuery selects activity records to list.
type ActivityQuery struct {
	User session.UserID
	// By is the caller.
	By session.Bearer
	// Session selects one session's records; zero selects all.
	Session session.ID
	// After is where the previous list ended; zero starts at the newest record.
	After Position
	Limit int
}

// AdminStore reads across users, for admins. Errors are those of SessionStore.
type AdminStore interface {
	// OwnerOf returns the user that the session with id, ended or not, belongs to.
	//
	// Errors: KindNotFound when there is no such session; KindSignedOut when by is
	// blocked.
	OwnerOf(ctx context.Context, id session.ID, by session.Bearer) (session.UserID, error)

	// Stats counts all sessions by status, those that cutoff selects as expired, and
	// their use on the days that start at or after since.
	//
	// Errors: KindSignedOut when by is blocked.
	Stats(ctx context.Context, by session.Bearer, cutoff session.Cutoff, since time.Time) (Stats, error)
}

// SessionCleaner expires and deletes old data, in batches that never delay other
// callers for long. While another replica is cleaning up, its methods do nothing
// and return 0. Errors are those of SessionStore.
type SessionCleaner interface {
	// ExpireDue ends, as expired at now, at most limit active sessions whose expiry
	// is at or before now, records that in their users' timelines, and returns how
	// many it ended. It does not end sessions for being idle: those stay stored as
	// active, though unusable, until their expiry or until they are opened.
	ExpireDue(ctx context.Context, now time.Time, limit int) (int, error)

	// PurgeEnded deletes at most limit sessions that ended before the given time,
	// and returns how many it deleted.
	PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error)

	// PurgeActivity deletes at most limit activity records from before the given
	// time, and returns how many it deleted.
	PurgeActivity(ctx context.Context, before time.Time, limit int) (int, error)

	// PurgeSignIns deletes at most limit sign-ins that hold no active session and
	// were neither seen, verified nor blocked since the given time, and moments from
	// before it. It returns how many it deleted.
	PurgeSignIns(ctx context.Context, before time.Time, limit int) (int, error)
}

// StoreProbe checks that the store works.
type StoreProbe interface {
	// Now returns the store's clock, in UTC. The store itself answers, never a
	// cache. Errors are those of SessionStore.
	Now(ctx context.Context) (time.Time, error)
}

// LeaseRegistry is where the replicas that share a store agree on the lease: how
// long they may answer checks from memory.
type LeaseRegistry interface {
	// HoldLease announces that this replica uses lease, or with 0 only asks, and
	// returns the lease in force, zero if there is none. If none is in force, lease
	// comes into force and stays so until no replica has announced it for the time
	// kept. If several replicas announce different leases at once, all get the same
	// one.
	//
	// Errors: KindUnavailable when the store cannot answer before ctx ends.
	HoldLease(ctx context.Context, lease, kept time.Duration) (LeaseInForce, error)
}

// LeaseInForce is the lease that all replicas of a store use, and how long it has
// been in force, by the store's clock.
type LeaseInForce struct{ Lease, For time.Duration }

// Sealer encrypts tokens, so that only this service can show them to their owner
// again.
type Sealer interface {
	// Seal encrypts token for the session with id. It cannot be decrypted for
	// another session. Each call returns different bytes.
	Seal(id session.ID, token session.Token) ([]byte, error)

	// Unseal decrypts the token that was sealed for the session with id.
	//
	// Errors: KindUnreadable when no key decrypts it: the key was removed, the bytes
	// are missing or damaged, or they were sealed for another session.
	Unseal(id session.ID, sealed []byte) (session.Token, error)
}

// Clock is the only source of time.
type Clock interface {
	// Now returns the time in UTC, truncated to the microsecond.
	Now() time.Time
}

// Identifiers generates ids and secrets.
type Identifiers interface {
	// SessionID returns a new, unique id. Later ids roughly sort after earlier ones.
	SessionID() (session.ID, error)

	// Token returns a random token that cannot be guessed.
	Token() (session.Token, error)

	// TransferCode returns a random code that cannot be guessed.
	TransferCode() (session.TransferCode, error)
}

// Meter counts events for operators.
type Meter interface {
	// Anomaly counts a recorded anomaly.
	Anomaly(rule session.Rule)

	// Refused counts a request that was refused by the rate limit of group.
	Refused(group LimitGroup)

	// Overloaded counts a request that was refused because too much work of its kind
	// was in flight.
	Overloaded(work Work)
}

// Identity is what a credential says about its bearer.
type Identity struct {
	session.Bearer
	// Role is the role in the credential; zero when it has none.
	Role access.Role
	// OrganizationRole is the bearer's role in the organization that is active in
	// this sign-in; zero when there is none.
	OrganizationRole access.Role
}

// Authenticator verifies credentials.
type Authenticator interface {
	// Authenticate returns the identity that credential, which may be any text,
	// proves.
	//
	// Errors: KindUnauthenticated, with a session.Reason, when the credential is
	// invalid; KindUnavailable when that cannot be determined now. No error contains
	// the credential.
	Authenticate(ctx context.Context, credential string) (Identity, error)
}

// RoleDirectory looks up roles that credentials do not contain.
type RoleDirectory interface {
	// Role returns the user's role, zero when the user has none or does not exist.
	// The answer may be up to a minute old.
	//
	// Errors: KindUnavailable when the role cannot be looked up before ctx ends;
	// KindOverloaded, at once, when too many callers wait for a role.
	Role(ctx context.Context, user session.UserID) (access.Role, error)
}

// RateLimiter limits how often each key may do something.
type RateLimiter interface {
	// Allow takes one from key's allowance and reports whether one was left. A key
	// starts with limit.Most. They return one by one, evenly over limit.Within, up
	// to limit.Most. A refused call takes nothing. Every combination of Group and
	// Subject has an allowance of its own. Concurrent calls never take more than the
	// allowance: on each replica, and on all together where replicas share counts.
	//
	// When replicas share counts and the shared store is unreachable, Allow counts
	// on this replica alone, from what this replica has seen. Detecting that takes a
	// fraction of a second for calls at that time, or a few seconds when existing
	// connections hang. When ctx has a deadline, Allow returns before it. limit must
	// not be zero and must be the same for all keys of a group.
	//
	// Errors: KindUnavailable when ctx has ended.
	Allow(ctx context.Context, key LimitKey, limit session.Limit) (Allowance, error)
}

// LimitKey identifies one allowance: that of a subject for a group of requests.
type LimitKey struct {
	Group LimitGroup
	// Subject is the sign-in or network whose requests are counted. It may be any
	// text, but never a secret.
	Subject string
}

// LimitGroup is a group of requests that are limited together.
type LimitGroup string

// The groups.
const (
	// LimitOpens is opening sessions, for each sign-in.
	LimitOpens LimitGroup = "opens"
	// LimitReads is reading sessions and timelines, for each sign-in.
	LimitReads LimitGroup = "reads"
	// LimitChanges is signing out and transferring sessions, for each sign-in.
	LimitChanges LimitGroup = "changes"
	// LimitAdmin is all requests that use an admin's permissions, for each sign-in.
	LimitAdmin LimitGroup = "admin"
	// LimitFailuresOfAddress is failed token checks, for each client network.
	LimitFailuresOfAddress LimitGroup = "failures_of_address"
)

// LimitGroups lists every group.
func LimitGroups() []LimitGroup {
	return []LimitGroup{LimitOpens, LimitReads, LimitChanges, LimitAdmin, LimitFailuresOfAddress}
}

// Allowance is the result of RateLimiter.Allow.
type Allowance struct {
	Allowed bool
	// Remaining is how many more calls are allowed now.
	Remaining int
	// Next is how long until Remaining grows by one.
	Next time.Duration
}

// SharedCounter counts events for all replicas together, so that a limit holds
// across them and not only on each. It may lose counts. Each method gives up when
// ctx ends, and returns at once when the shared count is unreachable.
//
// Errors: KindUnavailable when the shared count could not be reached in time.
type SharedCounter interface {
	// Add adds n, at least 1, to the count of key.
	Add(ctx context.Context, key CounterKey, n int) (Count, error)

	// AddDistinct adds 1 to the count of distinct values of key, unless value was
	// added before. This count is separate from Add's.
	AddDistinct(ctx context.Context, key CounterKey, value string) (Count, error)
}

// CounterKey identifies one count: events that a rule watches, of one subject, in
// one time window.
type CounterKey struct {
	Rule session.Rule
	// Subject is the user or session whose events are counted. It may be any text,
	// but never a secret.
	Subject string
	// Start is when the window began and Window is its length. A count is kept
	// for at least Window after the last addition.
	Start  time.Time
	Window time.Duration
}

// Count is a count immediately before and after an addition. Concurrent additions
// are ordered: the After of one is the Before of the next.
type Count struct{ Before, After int }

// RelayBatch is the maximum number of sessions in one Relay message.
const RelayBatch = 100

// Relay tells replicas that sessions changed. Messages may be lost, repeated or
// reordered: a receiver reads the session from the store.
type Relay interface {
	// Send tells all replicas that are receiving, including this one, that the
	// sessions with ids, at most RelayBatch, changed. ids may be empty: receivers get
	// an empty message. Send is safe for concurrent use and gives up when ctx ends.
	//
	// Errors: KindUnavailable when sending failed; some replicas may have received
	// the message nevertheless.
	Send(ctx context.Context, ids []session.ID) error

	// Receive calls heard with each message of any replica, until ctx ends or the
	// connection fails. It calls ready once, when no later message can be missed any
	// more. It calls neither after it has returned. It ignores messages that no
	// Relay sent.
	//
	// Errors: never nil; KindUnavailable unless ctx has ended.
	Receive(ctx context.Context, ready func(), heard func(ids []session.ID)) error
}

// Degradable is a part of the service that keeps working, at a lower quality, when
// something that it depends on fails.
type Degradable interface {
	// Degraded tells operators what is degraded and why; it is empty when nothing
	// is. It returns at once.
	Degraded() string
}
