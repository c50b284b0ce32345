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

// SessionStore keeps sessions. Every method gives up when ctx ends, and then,
// as whenever the store cannot be reached or is too busy to answer, returns a
// KindUnavailable error; an error without a kind is a bug or damaged data.
// Times come back equal to the microsecond, in UTC.
//
// Methods that take the bearer who asks return KindSignedOut when that sign-in
// is blocked: it was signed out, or it is not remembered and was verified before
// its user's moment (see SignInChanges). A zero bearer is the service itself,
// which is never blocked.
type SessionStore interface {
	// Find returns the active session that a request for slot of the sign-in by
	// continues: the one on slot.Device, whoever holds it, or, when slot.Device
	// is zero, the one on a generated device that by holds; always of slot.User
	// and slot.Actor for slot.Workflow. It may be past its time: only status
	// counts. It sees every change acknowledged before it began, by whichever
	// replica, and changes nothing. It does not look whether by is blocked: a
	// blocked sign-in holds no session.
	//
	// Errors: KindNotFound when there is none.
	Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error)

	// Update shows change what is in scope and stores what change returns: all
	// of it or, on any error, nothing; which of the two is not known when ctx
	// ends, or the store is lost, while that is done. From before it calls change
	// until it returns, no other Update for the same user runs and nobody else
	// changes what it shows, on any replica. When it returns nil, the change is
	// durable.
	//
	// change is called at most once; it must not call the store. Its error
	// comes back as it is and nothing is stored. When there are no changes,
	// nothing is written. When Update returns nil, nobody is given a session
	// by a token that its changes took away, on any replica.
	//
	// A store whose clock differs from the service's by more than
	// session.MaxClockSkew stores nothing: change would go by a wrong time. It
	// finds that out in the statement that it makes anyway, before it calls
	// change.
	//
	// Errors: KindOverloaded, before anything was done, when too many others wait
	// to update the user; KindSignedOut when scope.By is blocked; KindUnavailable
	// when the clocks differ; KindConflict when a device would have two active
	// sessions of the user and an actor for a workflow, when a sign-in would have
	// two on generated devices for one, or when a token's or a code's hash is
	// taken.
	Update(ctx context.Context, scope Scope, change func(seen Seen) (Changes, error)) error

	// FindByID returns the user's session with this id, ended or not, for by.
	//
	// Errors: KindNotFound when the user has none, whoever else has. With
	// KindSignedOut the session comes, too, if there is one.
	FindByID(ctx context.Context, user session.UserID, id session.ID, by session.Bearer) (session.Session, error)

	// List returns at most query.Limit of the user's sessions, newest first, and
	// none twice or left out where it goes on at a Position, whatever comes and
	// goes meanwhile. It ends after the first session with which their metadata
	// have more than query.Bytes, and holds no more than it returns.
	//
	// Errors: KindSignedOut when query.By is blocked.
	List(ctx context.Context, query ListQuery) ([]session.Session, error)
}

// Scope says what an Update shows: of a user all active sessions, past their
// time or not, some that ended, and what is remembered of sign-ins.
type Scope struct {
	User session.UserID
	// By is who asks, who may be another user; zero for the service itself.
	By session.Bearer
	// Session adds the one with this id, ended or not; zero adds none.
	Session session.ID
	// CreatedAfter adds, for each device on which one was created after it, the
	// newest; of NewDevices devices at most, the newest first.
	CreatedAfter time.Time
	NewDevices   int
	// Settled is for callers who then say that something is over, whoever ended
	// it: Update returns nil only when nobody goes by what was before what it
	// showed, also when nothing is to change.
	Settled bool
}

// Seen is what an Update shows.
type Seen struct {
	// Sessions are in the order of their ids.
	Sessions []session.Session
	// SignIns are those of the user that are remembered and not blocked, in no
	// particular order.
	SignIns session.SignIns
	// HolderBlocked is whether the sign-in that holds the scope's Session, or
	// held it when it ended, is blocked.
	HolderBlocked bool
}

// Changes are what an Update stores.
type Changes struct {
	// Sessions are written so that one that ends makes room for the others. One
	// that Update showed is replaced, any other is new.
	Sessions []session.Session
	// Activity is added to the user's timeline.
	Activity []session.Activity
	SignInChanges
}

// SignInChanges are what an Update stores of the user's sign-ins.
type SignInChanges struct {
	// SignIns are remembered. One that is remembered already keeps the earlier
	// of both first sights, the later of both verifications, and its block.
	SignIns []session.SignIn
	// Forget are remembered no more, unless they are blocked.
	Forget []session.Holder
	// Moment blocks the user's sign-ins that are not remembered and were
	// verified before it. It only moves forward; zero leaves it as it is.
	Moment time.Time
}

// IsZero reports whether there is nothing to store.
func (c Changes) IsZero() bool {
	return len(c.Sessions) == 0 && len(c.Activity) == 0 && len(c.SignIns) == 0 && len(c.Forget) == 0 && c.Moment.IsZero()
}

// Replacement is a session before and after an Update.
type Replacement struct{ Was, Is session.Session }

// Split tells the sessions that replace one that Update showed from new ones.
// What was is as good as seen: change may have changed that in place.
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

// ListQuery says which sessions to list.
type ListQuery struct {
	User session.UserID
	// By is who asks, who may be another user.
	By session.Bearer
	// Actor leaves those of this actor; zero leaves all.
	Actor session.Actor
	// Status leaves those that have it when those of Cutoff have expired; empty
	// leaves all.
	Status session.Status
	Cutoff session.Cutoff
	// After is where the page before ended; zero for the newest.
	After Position
	Limit int
	// Bytes bounds the metadata of the sessions that are listed, by their Size;
	// 0 for no bound.
	Bytes int
}

// GoesOn reports whether there is to be another session when the metadata of
// those before have this size together.
func (q ListQuery) GoesOn(bytes int) bool { return q.Bytes == 0 || bytes <= q.Bytes }

// Position is a place in a list by age: that of a session, or of an activity.
type Position struct {
	At time.Time
	ID session.ID
}

// SecretFinder finds sessions by what only their owners know. Errors are
// SessionStore's. Both methods see every change acknowledged before they began,
// by whichever replica, and change nothing; of a session whose token is still
// good FindByToken may give a copy from a moment before.
type SecretFinder interface {
	// FindByToken returns the outline of the active session whose token has
	// this hash, or whose token before the last refresh had: every check reads
	// it, and needs no more. The session may be past its time, and the grace
	// over: only status counts.
	//
	// Errors: KindNotFound when there is none.
	FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error)

	// FindByOffer returns, for by, the active session that offers the transfer
	// code with this hash, whoever's it is. The code's time may be up.
	//
	// Errors: KindNotFound when there is none; KindSignedOut when by is blocked.
	FindByOffer(ctx context.Context, code session.TokenHash, by session.Bearer) (session.Session, error)
}

// UsageStore keeps how sessions are used. Errors are SessionStore's, also when
// the store's clock is not the service's.
type UsageStore interface {
	// Touch notes, all or nothing, uses of different sessions: it adds their
	// counts, to their day's totals, too, and keeps the latest time and its
	// source, of which it leaves what is unknown as it was. It never takes a
	// session's last activity back. Those of sessions that have ended meanwhile
	// are noted like others; of those that do not exist, the counts are in the
	// totals all the same. Rather than wait, it leaves alone and returns those
	// that somebody else is changing, whose counts it adds nowhere.
	Touch(ctx context.Context, uses []session.Use) (busy []session.ID, err error)
}

// ActivityStore keeps timelines; Update writes them. Errors are SessionStore's.
type ActivityStore interface {
	// ListActivity returns at most query.Limit records of the user's, newest
	// first, and none twice or left out where it goes on at a Position.
	//
	// Errors: KindSignedOut when query.By is blocked, as in SessionStore.
	ListActivity(ctx context.Context, query ActivityQuery) ([]session.Activity, error)
}

// ActivityQuery says which records to list.
type ActivityQuery struct {
	User session.UserID
	// By is who asks.
	By session.Bearer
	// Session leaves those of one; zero leaves all.
	Session session.ID
	// After is where the page before ended; zero for the newest.
	After Position
	Limit int
}

// AdminStore is what only admins may ask. Errors are SessionStore's.
type AdminStore interface {
	// OwnerOf returns, for by, whose session has this id, ended or not.
	//
	// Errors: KindNotFound when there is none; KindSignedOut when by is blocked,
	// as in SessionStore.
	OwnerOf(ctx context.Context, id session.ID, by session.Bearer) (session.UserID, error)

	// Stats counts all sessions, those of cutoff as expired, and their use on
	// the days that begin at or after since, for by.
	//
	// Errors: KindSignedOut when by is blocked, as in SessionStore.
	Stats(ctx context.Context, by session.Bearer, cutoff session.Cutoff, since time.Time) (Stats, error)
}

// SessionCleaner ends and forgets what has had its time, in batches that never
// hold up other callers for long. Its methods do nothing and return 0 while
// another replica is at it. Errors are SessionStore's.
type SessionCleaner interface {
	// ExpireDue ends, as expired at now, at most limit active sessions whose
	// expiry is at or before now, and returns how many it ended. Each is in its
	// user's timeline. Those that are idle stay until their expiry, or until
	// somebody opens them: nobody is given them meanwhile.
	ExpireDue(ctx context.Context, now time.Time, limit int) (int, error)

	// PurgeEnded deletes at most limit sessions that ended before the given
	// time, and returns how many it deleted.
	PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error)

	// PurgeActivity deletes at most limit records of timelines that are older
	// than the given time, and returns how many it deleted.
	PurgeActivity(ctx context.Context, before time.Time, limit int) (int, error)

	// PurgeSignIns forgets at most limit sign-ins that hold no active session
	// and were neither seen, verified nor blocked since the given time, and
	// moments that are older than it, and returns how many it forgot.
	PurgeSignIns(ctx context.Context, before time.Time, limit int) (int, error)
}

// StoreProbe tells whether the store can do its work.
type StoreProbe interface {
	// Now returns the store's own clock, in UTC. It answers from the store
	// itself, not from memory. Errors are SessionStore's.
	Now(ctx context.Context) (time.Time, error)
}

// LeaseRegistry is where replicas that share a store agree on the lease that
// they remember answers for.
type LeaseRegistry interface {
	// HoldLease says that this replica remembers answers for lease, or with 0
	// only asks, and returns which lease is in force, zero when none is. One
	// comes into force when it is asked for while none is, and stays so until
	// nobody has held it again for as long as kept. Of several that ask at once
	// for different ones, all are told the same one.
	//
	// Errors: KindUnavailable when the store cannot say, or not before ctx ends.
	HoldLease(ctx context.Context, lease, kept time.Duration) (LeaseInForce, error)
}

// LeaseInForce is the lease that all replicas of a store go by, and for how
// long it has been that, by the store's clock.
type LeaseInForce struct{ Lease, For time.Duration }

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

	// TransferCode returns a random code that nobody can guess.
	TransferCode() (session.TransferCode, error)
}

// Meter counts what operators watch.
type Meter interface {
	// Anomaly notes that an anomaly was recorded.
	Anomaly(rule session.Rule)

	// Refused notes that somebody was refused for having done what group counts
	// too often.
	Refused(group LimitGroup)

	// Overloaded notes that somebody was refused because too much of their kind
	// of work was in flight.
	Overloaded(work Work)
}

// Identity is what a credential proves about its bearer.
type Identity struct {
	session.Bearer
	// Role is the role the credential itself names; zero when it names none.
	Role access.Role
	// OrganizationRole is the bearer's role in the organization that is active
	// in this sign-in; zero when there is none.
	OrganizationRole access.Role
}

// Authenticator verifies credentials.
type Authenticator interface {
	// Authenticate returns who presents credential, which may be any text.
	//
	// Errors: KindUnauthenticated, with a session.Reason, when the credential is
	// not good; KindUnavailable when that cannot be found out now. No error
	// carries the credential.
	Authenticate(ctx context.Context, credential string) (Identity, error)
}

// RoleDirectory knows roles that credentials do not carry.
type RoleDirectory interface {
	// Role returns the user's role, zero when the user has none or does not
	// exist. The answer may be up to a minute old.
	//
	// Errors: KindUnavailable when it cannot be found out now, or not before
	// ctx ends; KindOverloaded at once when too many wait.
	Role(ctx context.Context, user session.UserID) (access.Role, error)
}

// RateLimiter counts what callers do, so that nobody does it more often than
// others can bear.
type RateLimiter interface {
	// Allow takes one of those that limit lets key do, and says whether there
	// was one. A key starts with limit.Most of them; from then on they come
	// back one by one, evenly over limit.Within, up to limit.Most. One that is
	// refused takes nothing. Neither another Subject nor another Group of a key
	// takes from it, and however many callers race, no more than there are get
	// one: on this replica always, on all of them where they count together.
	//
	// Where replicas count together and cannot do so now, it counts on this one
	// alone, from what it has seen itself, and answers at once; to find out may
	// take a fraction of a second, for those who ask just then, or some seconds
	// where only the connections that there were fell silent. When ctx has a
	// deadline, it answers with time left. limit must not be zero, and is the
	// same for all of a group.
	//
	// Errors: KindUnavailable when ctx has ended.
	Allow(ctx context.Context, key LimitKey, limit session.Limit) (Allowance, error)
}

// LimitKey identifies one quota: that of one subject for one group of requests.
type LimitKey struct {
	Group LimitGroup
	// Subject is the user or network whose requests are counted. It may be any
	// text, but never a secret.
	Subject string
}

// LimitGroup is what somebody does that is counted together.
type LimitGroup string

// The groups.
const (
	// LimitOpens is a sign-in's opening of sessions.
	LimitOpens LimitGroup = "opens"
	// LimitReads is a sign-in's looking at its user's sessions and timelines.
	LimitReads LimitGroup = "reads"
	// LimitChanges is a sign-in's signing out and moving of sessions.
	LimitChanges LimitGroup = "changes"
	// LimitAdmin is all that an admin's sign-in does as one.
	LimitAdmin LimitGroup = "admin"
	// LimitFailuresOfAddress is checks that fail for clients of a network.
	LimitFailuresOfAddress LimitGroup = "failures_of_address"
)

// LimitGroups are all groups.
func LimitGroups() []LimitGroup {
	return []LimitGroup{LimitOpens, LimitReads, LimitChanges, LimitAdmin, LimitFailuresOfAddress}
}

// Allowance is what became of one that somebody wanted of a limit.
type Allowance struct {
	Allowed bool
	// Remaining is how many more there are at once.
	Remaining int
	// Next is after what time there is one more than that.
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

// RelayBatch is how many sessions a Relay is told of at once, at most.
const RelayBatch = 100

// Relay carries between replicas that sessions changed. It may lose what it
// carries, repeat it and change its order: whoever hears of a session looks at
// the session itself.
type Relay interface {
	// Send tells all replicas that receive now, this one among them, that these
	// sessions, at most RelayBatch of them, changed; with none, that is all that
	// they hear. Many may send at once. It gives up when ctx ends.
	//
	// Errors: KindUnavailable when it could not; some may have heard all the
	// same.
	Send(ctx context.Context, ids []session.ID) error

	// Receive calls heard with what is sent, by whichever replica, until ctx
	// ends or the connection does. It calls ready once, when whatever is sent
	// from then on is heard; neither is called after it has returned. What
	// others than a Relay say is left out.
	//
	// Errors: always one; KindUnavailable unless ctx has ended.
	Receive(ctx context.Context, ready func(), heard func(ids []session.ID)) error
}

// Degradable is a part that does its work in some way whatever happens, and at
// times less well than it should.
type Degradable interface {
	// Degraded says for operators what it does less well now and why, empty
	// when nothing. It answers at once.
	Degraded() string
}
