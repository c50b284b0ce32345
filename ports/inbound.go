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

//go:generate go tool mockgen -typed -package portmock -destination portmock/inbound.go chatkit-session/ports Gate,Opener,Lister,Checker,Revoker,Readiness

// Gate decides who may come in.
type Gate interface {
	// Admit finds out who presents credential (a Clerk session JWT without its
	// "Bearer " prefix), which role they have, and whether that role permits
	// what they want.
	//
	// Errors: KindUnauthenticated when the credential is missing or not good;
	// KindNoRole; KindForbidden when the role does not permit it;
	// KindUnavailable when either cannot be found out now, never a guess. With
	// KindNoRole and KindForbidden the caller comes, too, for the log.
	Admit(ctx context.Context, credential string, wants access.Permission) (access.Caller, error)
}

// Opener opens sessions.
type Opener interface {
	// Workflow returns the workflow that sessions are opened for.
	//
	// Errors: KindNotConfigured when the operator named none.
	Workflow() (session.WorkflowID, error)

	// Open gives the caller the session of their device: created, reused or
	// refreshed. When it returns without an error, the session is stored
	// durably. Callers that race get the same session and token.
	//
	// Errors: KindNotConfigured; KindUnavailable when the store cannot answer;
	// KindSignedOut when there is no session and this sign-in was signed out;
	// KindRefreshFailed when a session was found and could not be refreshed;
	// KindCreateFailed for every other failure.
	Open(ctx context.Context, caller access.Caller, request OpenRequest) (Opened, error)
}

// OpenRequest is what a client may say about the session it wants.
type OpenRequest struct {
	// Device is the client's own device; zero when it named none.
	Device session.DeviceID
	// Metadata replaces what is stored; nil leaves it.
	Metadata *session.Metadata
}

// Opened is a session as its owner sees it.
type Opened struct {
	Session session.Session
	Token   session.Token
	Outcome session.Outcome
	// RefreshAfter is from when on opening again refreshes the session.
	RefreshAfter time.Time
}

// Lister shows users their sessions. token, which may be any text, is that of
// the session that asks: it is marked as the current one. Errors:
// KindUnavailable.
type Lister interface {
	// List returns a page of the caller's sessions, newest first.
	List(ctx context.Context, caller access.Caller, request ListRequest) (Page, error)

	// Show returns the caller's session with this id.
	//
	// Errors: KindNotFound when the caller has no such session.
	Show(ctx context.Context, caller access.Caller, id session.ID, token string) (Listed, error)
}

// ListRequest says which page of the caller's sessions to list.
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
}

// Page is some of a list.
type Page struct {
	Sessions []Listed
	// Next is where the next page goes on; zero when this is the last.
	Next Position
}

// Checker tells back ends whose token they were sent.
type Checker interface {
	// Check returns the session that the token stands for now. token may be
	// any text.
	//
	// Errors: KindNotFound when it stands for none, for whatever reason;
	// KindUnavailable when that cannot be found out now. No error carries the
	// token.
	Check(ctx context.Context, token string) (session.Session, error)
}

// Revoker signs sessions out. When a call has returned, no token of what it
// ended is accepted, on any replica. A session that is signed out from another
// sign-in than the one that last opened it blocks that sign-in.
type Revoker interface {
	// Revoke ends the caller's session with this id; once more, it changes
	// nothing.
	//
	// Errors: KindNotFound when the caller has no such session;
	// KindUnavailable.
	Revoke(ctx context.Context, caller access.Caller, id session.ID) error

	// RevokeAll ends all active sessions of the caller, or, all or none, all
	// but keep, and returns how many. keep is zero for none.
	//
	// Errors: KindNotFound when keep is no active session of the caller;
	// KindUnavailable.
	RevokeAll(ctx context.Context, caller access.Caller, keep session.ID) (int, error)
}

// Readiness tells whether this replica can do its work.
type Readiness interface {
	// Ready returns nil when it can.
	//
	// Errors: KindUnavailable when the store cannot answer, or when this
	// replica's clock differs from the store's by more than five seconds.
	Ready(ctx context.Context) error
}
