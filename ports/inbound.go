// Package ports holds the doors of the core, in the core's own words: what the
// outside may ask of it (inbound.go) and what it needs from the outside
// (outbound.go). Each method's comment is its specification; package porttest
// proves the outbound ones.
package ports

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

//go:generate go tool mockgen -typed -package portmock -destination portmock/inbound.go chatkit-session/ports Authorizer,Opener,Transferrer,Lister,Watcher,Watch,Checker,Revoker,Administrator,Readiness,Limits,Admission

// Authorizer decides who may come in.
type Authorizer interface {
	// Authorize finds out who presents credential (a Clerk session JWT without its
	// "Bearer " prefix), which role they have, and whether that role permits
	// what they want. The caller's Source is for whoever received the request
	// to fill in.
	//
	// Errors: KindUnauthenticated when the credential is missing or invalid;
	// KindActorDenied when the operator refuses actors of the caller's kind;
	// KindNoRole; KindForbidden when the role does not permit it;
	// KindUnavailable when any of this cannot be found out now, never a guess.
	// Where the credential is valid, the caller comes with the error, for the
	// log.
	Authorize(ctx context.Context, credential string, wants access.Permission) (access.Caller, error)
}

// Opener opens sessions.
type Opener interface {
	// Workflow returns the workflow that sessions are opened for.
	//
	// Errors: KindNotConfigured when the operator named none.
	Workflow() (session.WorkflowID, error)

	// Open gives the caller the session of their device: created, reused or
	// refreshed. When it returns without an error, the session is stored
	// durably. Callers of one sign-in that race get the same session and token.
	// What another sign-in holds on the device is replaced by a new session.
	// Where a user would have too many sessions, some end: Policy.Excess.
	//
	// Errors: KindNotConfigured; KindUnavailable when the store cannot answer;
	// KindOverloaded when too many changes of this user's sessions wait;
	// KindSignedOut when this sign-in was signed out; KindContested when a newer
	// sign-in is using the device; KindReverification when another sign-in's
	// session that is in use would end; KindRefreshFailed when a session was
	// found and could not be refreshed; KindCreateFailed for every other failure.
	Open(ctx context.Context, caller access.Caller, request OpenRequest) (Opened, error)
}

// OpenRequest is what a client may say about the session it wants.
type OpenRequest struct {
	// Device is the client's own device; zero when it named none.
	Device session.DeviceID
	// Metadata replaces what is stored; nil leaves it.
	Metadata *session.Metadata
	// Remember is whether the session is remembered; nil leaves it as it is.
	Remember *bool
	// Token, any text, is that of the session that the client has. When it names
	// no device and another sign-in of the user holds that session, the session
	// is replaced.
	Token string
}

// Opened is a session as its owner sees it.
type Opened struct {
	Session session.Session
	Token   session.Token
	Outcome session.Outcome
	// RefreshAfter is from when on opening again refreshes the session.
	RefreshAfter time.Time
	// ExpiresIn is how long the session still lives.
	ExpiresIn time.Duration
}

// Transferrer moves sessions between devices of a user.
type Transferrer interface {
	// Offer makes a one-time code for the caller's session with this id; one
	// that was made earlier is good no more.
	//
	// Errors: KindNotFound when the caller has no such active session;
	// KindOtherSignIn when another sign-in holds it; KindActorDenied;
	// KindSignedOut; KindReverification; KindUnavailable.
	Offer(ctx context.Context, caller access.Caller, id session.ID) (Offered, error)

	// Claim moves the session that code, which may be any text, was made for to
	// the device and to the caller's sign-in: it gets a new token, and those that
	// its old device has are refused from now on. A session that was on the
	// device ends, as on opening. However many claim at once, one gets it.
	//
	// Errors: KindNotFound when the code is invalid, for whatever reason, also
	// when it is another user's, which is recorded; KindInvalid when the
	// session is on that device already; KindContested when a newer sign-in is
	// using the device; KindActorDenied; KindSignedOut; KindReverification;
	// KindUnavailable. No error carries the code.
	Claim(ctx context.Context, caller access.Caller, code string, device session.DeviceID) (Opened, error)
}

// Offered is a transfer code as its owner sees it.
type Offered struct {
	Code      session.TransferCode
	ExpiresAt time.Time
}

// Lister shows a user's sessions and what happened to them. A caller who is an
// actor sees the actor's own alone. token, which may be any text, is that of the
// session that asks: it is marked as the current one. Errors: KindSignedOut;
// KindUnavailable.
type Lister interface {
	// List returns a page of the caller's sessions, newest first. It may have
	// fewer than asked for and yet not be the last: large metadata fill a page,
	// too.
	List(ctx context.Context, caller access.Caller, request ListRequest) (Page, error)

	// ListOf returns a page of any user's sessions to an admin, newest first.
	//
	// Errors: KindActorDenied.
	ListOf(ctx context.Context, admin access.Caller, user session.UserID, request ListRequest) (Page, error)

	// Show returns the caller's session with this id.
	//
	// Errors: KindNotFound when the caller has no such session.
	Show(ctx context.Context, caller access.Caller, id session.ID, token string) (Listed, error)

	// Activity returns a page of what happened to the caller's sessions, newest
	// first.
	//
	// Errors: KindNotFound when it is to be of one session that the caller does
	// not have; KindActorDenied when an actor asks for all.
	Activity(ctx context.Context, caller access.Caller, request ActivityRequest) (ActivityPage, error)
}

// ListRequest says which page of a user's sessions to list.
type ListRequest struct {
	// Status leaves sessions that have it; empty leaves all.
	Status session.Status
	// After is where the page before ended; zero for the first.
	After Position
	// Limit is how many there may be on the page; at least 1.
	Limit int
	Token string
}

// Listed is a session as it is listed.
type Listed struct {
	Session session.Session
	Status  session.Status
	// Current says that it is the session that asks.
	Current bool
	// ExpiresIn is how long it still lives; zero when it does not.
	ExpiresIn time.Duration
	// Expiring says that its clients are to be warned of its end.
	Expiring bool
}

// Page is some of a list.
type Page struct {
	Sessions []Listed
	// Next is where the next page goes on; zero when this is the last.
	Next Position
}

// ActivityRequest says which page of a timeline to show.
type ActivityRequest struct {
	// Session leaves what happened to it; zero leaves all.
	Session session.ID
	// After is where the page before ended; zero for the first.
	After Position
	// Limit is how many there may be on the page; at least 1.
	Limit int
}

// ActivityPage is some of a timeline.
type ActivityPage struct {
	Activity []session.Activity
	// Next is where the next page goes on; zero when this is the last.
	Next Position
}

// Watcher tells a session's own clients what happens to it.
type Watcher interface {
	// Watch begins to watch a session of the caller. It must be closed.
	//
	// Errors: KindNotFound when the caller has no such session, or it is not
	// active and the client does not go on from before its end; KindSignedOut;
	// KindRateLimited when the user watches too many already, KindOverloaded
	// when all users do, on this replica; KindUnavailable when the store cannot
	// answer.
	Watch(ctx context.Context, caller access.Caller, request WatchRequest) (Watch, error)
}

// WatchRequest says which session to watch, and what its client knows.
type WatchRequest struct {
	// Token is the session's, or the one before it; it may be any text, empty
	// for none. Where it is not, it counts, and Session does not.
	Token   string
	Session session.ID
	// Last is what Known said after the last event that the client saw; it may
	// be any text. One that is not of this session counts as none.
	Last string
}

// Watch is a client's watching of a session. It is for one goroutine.
type Watch interface {
	// Known is what the client knows after the last event of Next, or, before
	// the first, at the beginning. It is no secret, and begins with nothing that
	// has a meaning to others.
	Known() string

	// Next waits for what is to be told next: at once what happened since the
	// client knew last, then what happens, on whichever replica. Of what happens
	// on another replica it may hear late, of nothing never, and of nothing
	// twice. After an event that ends the session nothing comes.
	//
	// Errors: those of ctx as they are, after which it can be called again;
	// KindNotFound when the session is gone; KindSignedOut when the sign-in that
	// watches was signed out and the session is another's.
	Next(ctx context.Context) (Event, error)

	// Close ends the watching. Once more, it changes nothing.
	Close()
}

// Event is what happened to a session, as its client is told. No secret is in
// it.
type Event struct {
	Type    session.Event
	Session session.Session
	// Reason is why the session was revoked.
	Reason session.EndReason
	// RefreshAfter is from when on opening again refreshes the session.
	RefreshAfter time.Time
	// ExpiresIn is how long the session still lives.
	ExpiresIn time.Duration
}

// Checker tells back ends whose token they were sent.
type Checker interface {
	// Check returns the session that the token stands for now. token may be
	// any text. source is from where the token was used, as far as it is known.
	//
	// Errors: KindNotFound when it stands for none, for whatever reason;
	// KindUnavailable when that cannot be found out now. No error carries the
	// token.
	Check(ctx context.Context, token string, source session.Source) (Checked, error)
}

// Checked is the session that a good token stands for.
type Checked struct {
	// Session is the session's outline.
	Session session.Session
	// Expiring says that its clients are to be warned of its end.
	Expiring bool
}

// Revoker signs a user's own sessions out. When a call has returned, no token
// of what it ended is accepted, on any replica. An actor has the actor's own
// sessions alone.
//
// What ends because of another sign-in blocks the sign-in that holds it: all
// that it holds ends, and it may do nothing any more. A sign-in that is newer
// than the caller's and was verified in the last ten minutes is neither ended
// nor blocked, unless it is an actor's.
//
// Errors: KindReverification, with nothing ended, when such a sign-in is meant,
// or others are and the caller has not verified a factor recently enough;
// KindSignedOut; KindUnavailable.
type Revoker interface {
	// Revoke ends the caller's session with this id and blocks the sign-in that
	// holds it, or held it when it ended, unless that is the caller's own. Once
	// more, it changes nothing.
	//
	// Errors: KindNotFound when the caller has no such session.
	Revoke(ctx context.Context, caller access.Caller, id session.ID) error

	// RevokeAll ends all active sessions of the caller, or, all or none, all
	// but keep, and returns how many. keep is zero for none. Those whose time is
	// up end as expired and do not count. It blocks all sign-ins of the user but
	// the caller's and the one that holds keep, those included that were not
	// seen here yet and were verified before the moment (session.UserMoment).
	//
	// Errors: KindNotFound when keep is no active session of the caller.
	RevokeAll(ctx context.Context, caller access.Caller, keep session.ID) (int, error)
}

// Administrator is Revoker for anybody's sessions, without its protection of
// newer sign-ins, and sums up. Errors: KindReverification, whatever is to end;
// KindActorDenied; KindSignedOut when the admin's own sign-in was signed out;
// KindUnavailable.
type Administrator interface {
	// Revoke ends the session with this id, whoever has it, and blocks the
	// sign-in that holds it, or held it when it ended, unless that is the
	// admin's own. Once more, it changes nothing.
	//
	// Errors: KindNotFound when there is none.
	Revoke(ctx context.Context, admin access.Caller, id session.ID) error

	// RevokeAll ends all active sessions of user, blocks all sign-ins of theirs
	// but the admin's own, those not seen here yet included
	// (session.AdminMoment), and returns how many sessions it ended.
	RevokeAll(ctx context.Context, admin access.Caller, user session.UserID) (int, error)

	// Stats counts sessions, and their use in the last days.
	Stats(ctx context.Context, admin access.Caller) (Stats, error)
}

// Stats are totals over all users.
type Stats struct {
	// Sessions counts them by their status.
	Sessions map[session.Status]int
	// Days are the days with use, the last one first.
	Days []Day
}

// Day is the use of all sessions in a day of UTC.
type Day struct {
	// Start is the day's first moment.
	Start         time.Time
	Opens, Checks int
}

// Readiness tells whether this replica can do its work.
type Readiness interface {
	// Ready returns no error when it can, and what it does less well than it
	// should, if anything.
	//
	// Errors: KindUnavailable, with ReasonStore when the store cannot answer,
	// ReasonClock when this replica's clock differs from the store's by more than
	// five seconds, and ReasonStopping when this replica is about to stop.
	Ready(ctx context.Context) (degraded []string, err error)
	// Draining reports whether this replica is about to stop: who is answered
	// now had better ask another one next.
	Draining() bool
}

// Admission bounds the work that is in flight on this replica, so that what can
// be answered is answered in time, and the rest is refused at once.
type Admission interface {
	// Enter waits for a place among the work of a kind, for a fraction of a
	// second. leave gives the place back; it must be called, and once more
	// changes nothing. Places of one kind are given in the order in which they
	// were asked for.
	//
	// Errors: KindOverloaded, at once when others wait for too long already;
	// KindUnavailable when ctx ends before there is a place.
	Enter(ctx context.Context, work Work) (leave func(), err error)

	// Suspected makes a check for a network whose checks failed too often: such
	// checks share a few places, and one that fails keeps its place for a while.
	// ctx's request gives up the place that it has.
	//
	// Errors: check's own; KindOverloaded when it was not made because too many
	// others wait; KindUnavailable when ctx ended before.
	Suspected(ctx context.Context, check func() error) error
}

// Limits hold callers to how often they may ask. Spend and SpendFailure return the quotas
// that they took from, one each, none where the operator sets no limit, also
// with KindRateLimited: then at least one of them was used up.
//
// Errors: KindRateLimited; KindUnavailable when ctx has ended.
type Limits interface {
	// Spend takes one request of a group from the quota of a sign-in. Each has one
	// of its own: a stolen one, or an actor, cannot use up its user's.
	Spend(ctx context.Context, group LimitGroup, by session.Holder) ([]Quota, error)

	// SpendFailure takes a check that failed from the quota of the client's
	// network, as far as source knows it. It counts for nobody else: not for the
	// back end that was shown a bad token.
	SpendFailure(ctx context.Context, source session.Source) ([]Quota, error)

	// Suspects reports whether source's network has used up its quota of failed
	// checks, as far as this replica knows. It asks nobody.
	Suspects(source session.Source) bool
}

// Quota is a limit and what is left of it.
type Quota struct {
	Group LimitGroup
	Limit session.Limit
	Allowance
}
