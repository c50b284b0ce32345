package session

import "errors"

// Kind says what sort of failure an error is, so that callers can decide what
// to do about it without knowing where it came from. A Kind is itself an error,
// so errors.Is(err, session.KindUnavailable) tells kinds apart however often
// the error was wrapped.
type Kind int

const (
	// KindInternal is any failure without a kind of its own: a bug, or data
	// that should not exist.
	KindInternal Kind = iota
	// KindInvalid means that the caller's input breaks a rule; the error's
	// Field and Problem name it.
	KindInvalid
	// KindUnauthenticated means that the credential is missing or not good.
	KindUnauthenticated
	// KindNoRole means that the user is known but has no role.
	KindNoRole
	// KindForbidden means that the user's role does not permit the action.
	KindForbidden
	// KindNotConfigured means that the operator has not named a workflow.
	KindNotConfigured
	// KindNotFound means that there is no such thing for this caller.
	KindNotFound
	// KindConflict means that somebody else's write got in first, or that a
	// value that must be unique is taken; trying again may succeed.
	KindConflict
	// KindUnavailable means that something this service depends on cannot
	// answer now; trying again later may succeed.
	KindUnavailable
	// KindUnreadable means that no key opens a sealed token.
	KindUnreadable
	// KindCreateFailed means that a session could not be created, for a reason
	// other than KindUnavailable.
	KindCreateFailed
	// KindSignedOut means that this sign-in was signed out from elsewhere: it
	// may do nothing any more.
	KindSignedOut
	// KindContested means that the device is in use by a newer sign-in of the
	// user.
	KindContested
	// KindOtherSignIn means that only the sign-in that holds the session may do
	// this.
	KindOtherSignIn
	// KindActorDenied means that this is for the user in person, not for an
	// actor.
	KindActorDenied
	// KindReverification means that the caller must verify a factor anew before
	// they may do this.
	KindReverification
	// KindRefreshFailed means that a session could not be refreshed, for a
	// reason other than KindUnavailable.
	KindRefreshFailed
	// KindRateLimited means that the caller asks more often than they may;
	// trying again later succeeds.
	KindRateLimited
	// KindOverloaded means that more is asked at a time than can be answered;
	// nothing was done, and trying again later may succeed.
	KindOverloaded
)

// Kinds lists every kind, for tests that must cover them all.
func Kinds() []Kind {
	kinds := make([]Kind, 0, KindOverloaded+1)
	for kind := KindInternal; kind <= KindOverloaded; kind++ {
		kinds = append(kinds, kind)
	}
	return kinds
}

// Error names the kind.
func (k Kind) Error() string {
	switch k {
	case KindInternal:
		return "internal error"
	case KindInvalid:
		return "invalid input"
	case KindUnauthenticated:
		return "not authenticated"
	case KindNoRole:
		return "no role"
	case KindForbidden:
		return "not permitted"
	case KindNotConfigured:
		return "not configured"
	case KindNotFound:
		return "not found"
	case KindConflict:
		return "conflict"
	case KindUnavailable:
		return "unavailable"
	case KindUnreadable:
		return "token unreadable"
	case KindCreateFailed:
		return "session not created"
	case KindSignedOut:
		return "signed out"
	case KindContested:
		return "device contested"
	case KindOtherSignIn:
		return "held by another sign-in"
	case KindActorDenied:
		return "actor denied"
	case KindReverification:
		return "reverification needed"
	case KindRefreshFailed:
		return "session not refreshed"
	case KindRateLimited:
		return "asked too often"
	case KindOverloaded:
		return "overloaded"
	}
	return "unknown kind of error"
}

// Error is a failure with a kind. Its text is for logs; it never reaches a
// user except for Field and Problem, which are written for them.
type Error struct {
	// Kind is what sort of failure it is.
	Kind Kind
	// Field names the input that is wrong, in the wire's words ("deviceId",
	// "metadata.a.b"); only set for KindInvalid.
	Field string
	// Problem says what is wrong, fit for the user's eyes; only set for
	// KindInvalid.
	Problem string
	// Reason says for operators why a caller was turned away, if that is known
	// more exactly than by the kind.
	Reason Reason
	// Cause is the error underneath, if there is one.
	Cause error
}

// Invalid returns a KindInvalid error for one field of the input.
func Invalid(field, problem string) *Error {
	return &Error{Kind: KindInvalid, Field: field, Problem: problem}
}

// Wrap returns cause with a kind. It returns nil when cause is nil.
func Wrap(kind Kind, cause error) error {
	if cause == nil {
		return nil
	}
	return &Error{Kind: kind, Cause: cause}
}

// Error is the text for the log: the kind, the field and the cause.
func (e *Error) Error() string {
	text := e.Kind.Error()
	if e.Field != "" {
		text += ": " + e.Field
	}
	if e.Problem != "" {
		text += ": " + e.Problem
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is this error's kind.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind) //nolint:errorlint // Is must not unwrap its target.
	return ok && kind == e.Kind
}

// KindOf returns the kind of the outermost error of err's chain that has one,
// and KindInternal when none has.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var kind Kind
	if errors.As(err, &kind) {
		return kind
	}
	return KindInternal
}
