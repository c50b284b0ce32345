package session

import "errors"

// Kind classifies errors, so that callers can handle them without knowing where
// they came from. A Kind is itself an error: errors.Is(err,
// session.KindUnavailable) works however often the error was wrapped.
type Kind int

const (
	// KindInternal is any failure without a kind of its own: a bug, or data
	// that should not exist.
	KindInternal Kind = iota
	// KindInvalid means that the caller's input is invalid; the error's Field and
	// Problem say where and why.
	KindInvalid
	// KindUnauthenticated means that the credential is missing or invalid.
	KindUnauthenticated
	// KindNoRole means that the user is authenticated but has no role.
	KindNoRole
	// KindForbidden means that the user's role lacks the permission.
	KindForbidden
	// KindNotConfigured means that the operator has not configured a workflow.
	KindNotConfigured
	// KindNotFound means that the object does not exist or is not the caller's.
	KindNotFound
	// KindConflict means that a concurrent write came first, or that a unique value
	// is taken. Retrying may succeed.
	KindConflict
	// KindUnavailable means that a dependency of this service cannot answer now.
	// Retrying later may succeed.
	KindUnavailable
	// KindUnreadable means that no key decrypts a sealed token.
	KindUnreadable
	// KindCreateFailed means that creating a session failed, for a reason other than
	// KindUnavailable.
	KindCreateFailed
	// KindSignedOut means that the caller's sign-in was signed out elsewhere: all its
	// calls are refused.
	KindSignedOut
	// KindContested means that a newer sign-in of the user is using the device.
	KindContested
	// KindOtherSignIn means that the action is for the sign-in that holds the
	// session only.
	KindOtherSignIn
	// KindActorDenied means that the action is for the user in person, not for an
	// actor.
	KindActorDenied
	// KindReverification means that the action requires step-up: the caller must
	// verify a factor again first.
	KindReverification
	// KindRefreshFailed means that refreshing a session failed, for a reason other
	// than KindUnavailable.
	KindRefreshFailed
	// KindRateLimited means that the caller exceeded a rate limit. Retrying later
	// succeeds.
	KindRateLimited
	// KindOverloaded means that too many requests are in flight. Nothing was done;
	// retrying later may succeed.
	KindOverloaded
)

// Kinds lists every kind, for tests that cover them all.
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
		return "reverification required"
	case KindRefreshFailed:
		return "session not refreshed"
	case KindRateLimited:
		return "rate limited"
	case KindOverloaded:
		return "overloaded"
	}
	return "unknown kind of error"
}

// Error is an error with a kind. Its text is for logs. Only Field and Problem are
// shown to users.
type Error struct {
	// Kind classifies the error.
	Kind Kind
	// Field is the invalid input as the API names it ("deviceId", "metadata.a.b");
	// only set for KindInvalid.
	Field string
	// Problem says for users what is wrong with Field; only set for KindInvalid.
	Problem string
	// Reason says for operators why the caller was refused, in more detail than the
	// kind; it may be empty.
	Reason Reason
	// Cause is the wrapped error; it may be nil.
	Cause error
}

// Invalid returns a KindInvalid error for one field of the input.
func Invalid(field, problem string) *Error {
	return &Error{Kind: KindInvalid, Field: field, Problem: problem}
}

// Wrap returns cause with a kind, or nil when cause is nil.
func Wrap(kind Kind, cause error) error {
	if cause == nil {
		return nil
	}
	return &Error{Kind: kind, Cause: cause}
}

// Error returns the text for the log: the kind, the field, the problem and the
// cause.
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

// Unwrap returns the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is this error's kind.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind) //nolint:errorlint // Is must not unwrap its target.
	return ok && kind == e.Kind
}

// KindOf returns the kind of the outermost error in err's chain that has one, and
// KindInternal when none has.
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
