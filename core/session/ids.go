package session

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// The maximum lengths of ids from outside, in characters.
const (
	MaxDeviceIDLength   = 128
	MaxUserIDLength     = 100 // leaves room for device_{userId}_{milliseconds}
	MaxWorkflowIDLength = 128
	MaxSignInIDLength   = 128
)

// name is a short id that is safe in URLs, logs and SQL keys.
type name struct{ value string }

// String returns the text of the id.
func (n name) String() string { return n.value }

// IsZero reports whether the id is missing.
func (n name) IsZero() bool { return n.value == "" }

func parseName(field, value string, limit int) (name, error) {
	if value == "" {
		return name{}, Invalid(field, "must not be empty")
	}
	if utf8.RuneCountInString(value) > limit {
		return name{}, Invalid(field, "must have at most "+strconv.Itoa(limit)+" characters")
	}
	if strings.IndexFunc(value, isForeign) >= 0 {
		return name{}, Invalid(field, "may only have letters A–Z a–z, digits and . _ : -")
	}
	return name{value}, nil
}

func isForeign(r rune) bool {
	switch {
	case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("._:-", r)
}

// ID identifies a session. Refreshes and transfers do not change it. It is not
// secret.
type ID struct{ name }

// ParseID accepts 1 to 64 characters of A–Z a–z 0–9 . _ : - and returns a
// KindInvalid error otherwise.
func ParseID(value string) (ID, error) {
	n, err := parseName("id", value, 64)
	return ID{n}, err
}

// JoinIDs encodes ids as one text, for SplitIDs.
func JoinIDs(ids []ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.value
	}
	return strings.Join(texts, " ")
}

// SplitIDs decodes the text of JoinIDs. It skips invalid ids.
func SplitIDs(text string) []ID {
	var ids []ID
	for part := range strings.FieldsSeq(text) {
		if id, err := ParseID(part); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// UserID identifies a user: the "sub" of a Clerk session token.
type UserID struct{ name }

// ParseUserID accepts 1 to MaxUserIDLength characters of A–Z a–z 0–9 . _ : -
// and returns a KindInvalid error otherwise.
func ParseUserID(value string) (UserID, error) {
	n, err := parseName("userId", value, MaxUserIDLength)
	return UserID{n}, err
}

// WorkflowID identifies the ChatKit workflow or agent that a session is for.
type WorkflowID struct{ name }

// ParseWorkflowID accepts 1 to MaxWorkflowIDLength characters of
// A–Z a–z 0–9 . _ : - and returns a KindInvalid error otherwise.
func ParseWorkflowID(value string) (WorkflowID, error) {
	n, err := parseName("workflowId", value, MaxWorkflowIDLength)
	return WorkflowID{n}, err
}

// SignInID identifies one sign-in of a user: the "sid" of a Clerk session
// token. It changes when the user signs out and in again.
type SignInID struct{ name }

// ParseSignInID accepts 1 to MaxSignInIDLength characters of
// A–Z a–z 0–9 . _ : - and returns a KindInvalid error otherwise.
func ParseSignInID(value string) (SignInID, error) {
	n, err := parseName("sid", value, MaxSignInIDLength)
	return SignInID{n}, err
}

// Must returns value, or panics when err is not nil. It is for constants and
// tests: Must(ParseUserID("user_1")).
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
