// Package ports declares the interfaces between the core and the outside:
// inbound.go has the use cases that the core offers, outbound.go what the core
// needs from adapters. Each method's comment is its specification. Package
// porttest tests adapters against the outbound ones.
package ports

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

//go:generate go tool mockgen -typed -package portmock -destination portmock/inbound.go chatkit-session/ports Authorizer,Opener,Transferrer,Lister,Watcher,Watch,Checker,Revoker,Administrator,Readiness,Limits,Admission

// Authorizer authenticates and authorizes callers.
type Authorizer interface {
	// Authorize authenticates credential, a Clerk session JWT without its "Bearer "
	// prefix, determines the caller's role and checks that the role has the
	// permission wants. It leaves the caller's Source to the adapter that received the
	// request.
	//
	// Errors: KindUnauthenticated when the credential is missing or invalid;
	// KindActorDenied when the operator refuses actors of the caller's kind;
	// KindNoRole when the caller has no role; KindForbidden when the role lacks the
	// permission; KindUnavailable when any of this cannot be determined now: it is
	// never guessed. When the credential is valid, the caller is returned with the
	// error, for the log.
	Authorize(ctx context.Context, credential string, wants access.Permission) (access.Caller, error)
}

// Opener opens sessions.
type Opener interface {
	// Workflow returns the workflow that sessions are opened for.
	//
	// Errors: KindNotConfigured when the operator configured none.
	Workflow() (session.WorkflowID, error)

	// Open returns the session of the caller's device, after creating, reusing or
	// refreshing it. When it returns nil, the session is stored durably. Concurrent
	// calls of one sign-in get the same session and token. A session that another
	// sign-in holds on the device is replaced by a new one. If the user would have
	// too many sessions, some end: see Policy.Excess.
	//
	// Errors: KindNotConfigured; KindUnavailable when the store cannot answer;
	// KindOverloaded when too many changes of this user's sessions wait;
	// KindSignedOut when the caller's sign-in was signed out; KindContested when a
	// newer sign-in is using the device; KindReverification when the call would end
	// a session that another sign-in is using, and step-up is required for that;
	// KindRefreshFailed when a session was found but could not be refreshed;
	// KindCreateFailed for every other failure.
	Open(ctx context.Context, caller access.Caller, request OpenRequest) (Opened, error)
}

// OpenRequest is what a client sends to open a session.
type OpenRequest struct {
	// Device is the client's own device id; zero requests a generated device.
	Device session.DeviceID
	// Metadata replaces the stored metadata; nil keeps it.
	Metadata *session.Metadata
	// Remember sets whether the session is remembered; nil keeps it.
	Remember *bool
	// Token, any text, is the token that the client has. If the request has no
	// Device and another sign-in of the user holds the token's session, that
	// session is replaced.
	Token string
}

// Opened is a session as returned to its owner.
type Opened struct {
	Session session.Session
	Token   session.Token
	Outcome session.Outcome
	// RefreshAfter is when opening the session again starts to refresh it.
	RefreshAfter time.Time
	// ExpiresIn is the remaining life of the session.
	ExpiresIn time.Duration
}

// Transferrer moves sessions between devices of a user.
type Transferrer interface {
	// Offer makes a one-time transfer code for the caller's session with id. It
	// invalidates the session's earlier code.
	//
	// Errors: KindNotFound when the caller has no active session with id;
	// KindOtherSignIn when another sign-in holds it; KindActorDenied;
	// KindSignedOut; KindReverification; KindUnavailable.
	Offer(ctx context.Context, caller access.Caller, id session.ID) (Offered, error)

	// Claim moves the session that code, which may be any text, was made for to
	// device and to the caller's sign-in. The session gets a new token; the old
	// device's tokens are refused from then on. A session already on device ends,
	// by the rules of Open. Of concurrent claims one succeeds.
	//
	// Errors: KindNotFound when the code is invalid for whatever reason, including
	// when it belongs to another user, which is recorded; KindInvalid when the
	// session is already on device; KindContested when a newer sign-in is using
	// device; KindActorDenied; KindSignedOut; KindReverification; KindUnavailable.
	// No error contains the code.
	Claim(ctx context.Context, caller access.Caller, code string, device session.DeviceID) (Opened, error)
}

// Offered is a transfer code as returned to its owner.
type Offered struct {
	Code      session.TransferCode
	ExpiresAt time.Time
}

// Lister lists a user's sessions and activity. An actor sees only its own. token,
// which may be any text, is the token that the client has: its session is marked
// as the current one.
//
// Errors of all methods: KindSignedOut; KindUnavailable.
type Lister interface {
	// List returns a page of the caller's sessions, newest first. A page may hold
	// fewer sessions than the limit without being the last, because the size of
	// their metadata is limited, too.
	List(ctx context.Context, caller access.Caller, request ListRequest) (Page, error)

	// ListOf returns a page of any user's sessions to an admin, newest first.
	//
	// Errors: KindActorDenied.
	ListOf(ctx context.Context, admin access.Caller, user session.UserID, request ListRequest) (Page, error)

	// Show returns the caller's session with id.
	//
	// Errors: KindNotFound when the caller has no such session.
	Show(ctx context.Context, caller access.Caller, id session.ID, token string) (Listed, error)

	// Activity returns a page of the activity of the caller's sessions, newest
	// first.
	//
	// Errors: KindNotFound when the request names a session that the caller does
	// not have; KindActorDenied when an actor requests all sessions' activity.
	Activity(ctx context.Context, caller access.Caller, request ActivityRequest) (ActivityPage, error)
}

// ListRequest selects a page of a user's sessions.
type ListRequest struct {
	// Status selects sessions with this status; empty selects all.
	Status session.Status
	// After is the Next of the previous page; zero for the first page.
	After Position
	// Limit is the maximum number of sessions on the page; at least 1.
	Limit int
	// Token is the client's token; see Lister.
	Token string
}

// Listed is a session in a list.
type Listed struct {
	Session session.Session
	Status  session.Status
	// Current reports whether the client's token belongs to this session.
	Current bool
	// ExpiresIn is the remaining life of the session; zero when it has ended.
	ExpiresIn time.Duration
	// Expiring reports whether clients should be warned that the session ends soon.
	Expiring bool
}

// Page is one page of a list of sessions.
type Page struct {
	Sessions []Listed
	// Next is where the next page begins; zero on the last page.
	Next Position
}

// ActivityRequest selects a page of a timeline.
type ActivityRequest struct {
	// Session selects the activity of one session; zero selects all.
	Session session.ID
	// After is the Next of the previous page; zero for the first page.
	After Position
	// Limit is the maximum number of records on the page; at least 1.
	Limit int
}

// ActivityPage is one page of a timeline.
type ActivityPage struct {
	Activity []session.Activity
	// Next is where the next page begins; zero on the last page.
	Next Position
}

// Watcher streams a session's events to its clients.
type Watcher interface {
	// Watch starts watching a session of the caller. The caller must close the
	// Watch.
	//
	// Errors: KindNotFound when the caller has no such session, or when it has
	// ended and Last is not from before its end; KindSignedOut; KindRateLimited when
	// the user has too many watches on this replica; KindOverloaded when all users
	// together have; KindUnavailable when the store cannot answer.
	Watch(ctx context.Context, caller access.Caller, request WatchRequest) (Watch, error)
}

// WatchRequest selects the session to watch and says what its client knows.
type WatchRequest struct {
	// Token is the session's token or the one before it. It may be any text. If it
	// is not empty, Session is ignored.
	Token   string
	Session session.ID
	// Last is the Known of the last event that the client received. It may be any
	// text; a text of another session is ignored.
	Last string
}

// Watch is one client's stream of a session's events. It is not safe for
// concurrent use.
type Watch interface {
	// Known describes what the client knows: after the last event of Next or,
	// before the first event, at the start. It is not secret and is safe as the id
	// of a server-sent event.
	Known() string

	// Next waits for the next event and returns it. Events that happened since the
	// client's Known come at once. Events from other replicas may come late; none is
	// lost or repeated. No event follows one that ends the session.
	//
	// Errors: ctx's own error, after which Next may be called again; KindNotFound
	// when the session was deleted; KindSignedOut when the watching sign-in was
	// signed out and does not hold the session.
	Next(ctx context.Context) (Event, error)

	// Close ends the watch. It may be called more than once.
	Close()
}

// Event is something that happened to a session, as its client is told. It
// contains no secret.
type Event struct {
	Type    session.Event
	Session session.Session
	// Reason is why the session was revoked.
	Reason session.EndReason
	// RefreshAfter is when opening the session again starts to refresh it.
	RefreshAfter time.Time
	// ExpiresIn is the remaining life of the session.
	ExpiresIn time.Duration
}

// Checker tells chat back ends which session a token belongs to.
type Checker interface {
	// Check returns the session that accepts token, which may be any text. source
	// is where the token was used, as far as it is known.
	//
	// Errors: KindNotFound when no session accepts the token, for whatever reason;
	// KindUnavailable when that cannot be determined now. No error contains the
	// token.
	Check(ctx context.Context, token string, source session.Source) (Checked, error)
}

// Checked is the session of a valid token.
type Checked struct {
	// Session is an outline; see session.Session.Outline.
	Session session.Session
	// Expiring reports whether clients should be warned that the session ends soon.
	Expiring bool
}

// Revoker signs a user's own sessions out. When a call returns, no replica accepts
// the tokens of the sessions that it ended. An actor ends only its own sessions.
//
// Ending a session of another sign-in blocks that sign-in: all its sessions end
// and all its further calls are refused. A sign-in that is newer than the caller's
// and was verified in the last ten minutes is protected from that, unless it is an
// actor's.
//
// Errors of all methods: KindReverification, and nothing ends, when the call would
// affect a protected sign-in, or other sign-ins without the step-up that this
// requires; KindSignedOut; KindUnavailable.
type Revoker interface {
	// Revoke ends the session with id, which must belong to the caller's user, and
	// blocks the sign-in that holds it, or held it when it ended, unless that is
	// the caller's own. Repeating the call changes nothing.
	//
	// Errors: KindNotFound when the caller has no such session.
	Revoke(ctx context.Context, caller access.Caller, id session.ID) error

	// RevokeAll ends all active sessions of the caller except keep, which may be
	// zero, and returns how many. Expired sessions end as expired and do not count.
	// It blocks all sign-ins of the user except the caller's and the one that holds
	// keep, including sign-ins never seen here that were verified before the moment
	// (session.UserMoment). It ends all or, on an error, none.
	//
	// Errors: KindNotFound when keep is not an active session of the caller.
	RevokeAll(ctx context.Context, caller access.Caller, keep session.ID) (int, error)
}

// Administrator is Revoker for any user's sessions, and has totals. It may end
// protected sign-ins, too.
//
// Errors of all methods: KindReverification when anything is to end without the
// step-up that this requires; KindActorDenied; KindSignedOut when the admin's own
// sign-in was signed out; KindUnavailable.
type Administrator interface {
	// Revoke ends the session with id, of any user, and blocks the sign-in that
	// holds it, or held it when it ended, unless that is the admin's own. Repeating
	// the call changes nothing.
	//
	// Errors: KindNotFound when there is no such session.
	Revoke(ctx context.Context, admin access.Caller, id session.ID) error

	// RevokeAll ends all active sessions of user and returns how many. It blocks
	// all sign-ins of user except the admin's own, including sign-ins never seen
	// here that were verified before the moment (session.AdminMoment).
	RevokeAll(ctx context.Context, admin access.Caller, user session.UserID) (int, error)

	// Stats returns totals of all sessions, and of their use in the last 30 days.
	Stats(ctx context.Context, admin access.Caller) (Stats, error)
}

// Stats are totals over all users.
type Stats struct {
	// Sessions counts sessions by status.
	Sessions map[session.Status]int
	// Days are the days with use, latest first.
	Days []Day
}

// Day is the use of all sessions on one day in UTC.
type Day struct {
	// Start is midnight at the start of the day.
	Start         time.Time
	Opens, Checks int
}

// Readiness reports whether this replica can serve requests.
type Readiness interface {
	// Ready returns nil if it can, and for operators the parts that are degraded.
	//
	// Errors: KindUnavailable, with ReasonStore when the store cannot answer,
	// ReasonClock when the replica's and the store's clocks differ by more than
	// session.MaxClockSkew, and ReasonStopping when the replica is about to stop.
	Ready(ctx context.Context) (degraded []string, err error)
	// Draining reports whether this replica is about to stop. Clients that it
	// serves now should use another connection for their next request.
	Draining() bool
}

// Admission limits how many requests are in flight on this replica, so that it
// serves admitted requests in time and refuses the rest at once.
type Admission interface {
	// Enter admits a request of a kind of work, in order of arrival. When too many
	// are in flight, it waits, for a fraction of a second at most. The caller must
	// call leave when the request is done; calling it again does nothing.
	//
	// Errors: KindOverloaded, at once when the queue is too slow already;
	// KindUnavailable when ctx ends before the request is admitted.
	Enter(ctx context.Context, work Work) (leave func(), err error)

	// Suspected runs check for a network with too many failed checks. Few such
	// checks run at a time, and one that fails keeps its place for a while. ctx's
	// request no longer counts as in flight otherwise; see ReleaseInFlight.
	//
	// Errors: check's own; KindOverloaded when check did not run because too many
	// are waiting; KindUnavailable when ctx ended before check ran.
	Suspected(ctx context.Context, check func() error) error
}

// Limits enforces the rate limits. Spend and SpendFailure return the quotas that
// the request counted towards, none when the operator set no limit. They return
// them with KindRateLimited, too: then at least one quota is used up.
//
// Errors: KindRateLimited; KindUnavailable when ctx has ended.
type Limits interface {
	// Spend counts one request of group towards the quota of a sign-in. Each
	// sign-in has a quota of its own, so that a stolen sign-in or an actor cannot
	// use up the user's.
	Spend(ctx context.Context, group LimitGroup, by session.Holder) ([]Quota, error)

	// SpendFailure counts a failed check towards the quota of the client's network,
	// as far as source has it. It does not count towards the quota of the back end
	// that received the invalid token.
	SpendFailure(ctx context.Context, source session.Source) ([]Quota, error)

	// Suspects reports whether source's network has used up its quota of failed
	// checks, as far as this replica knows. It does no I/O.
	Suspects(source session.Source) bool
}

// Quota is a limit and the part of it that is left.
type Quota struct {
	Group LimitGroup
	Limit session.Limit
	Allowance
}
