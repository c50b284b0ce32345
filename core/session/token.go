package session

import (
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
)

// secret is a text that every format prints masked. Only Reveal returns it.
type secret struct{ text string }

const mask = "[secret]"

// Reveal returns the secret's text. Only the response to the owner and the sealer
// need it.
func (s secret) Reveal() string { return s.text }

// Hash returns the hash by which stores find a session.
func (s secret) Hash() TokenHash { return sha256.Sum256([]byte(s.text)) }

// Format prints the mask for every verb.
func (s secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// MarshalText returns the mask.
func (s secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// Token is the secret that authenticates requests of a session: a random UUID v4
// that the owner gets as chatKitSessionId. It prints masked; see Reveal.
type Token struct{ secret }

// ParseToken accepts the canonical text of a UUID v4 and returns a KindInvalid error
// otherwise. Its errors never contain the text.
func ParseToken(text string) (Token, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.Version() != 4 || id.String() != text {
		return Token{}, Invalid("token", "must be a UUID v4 in lower case")
	}
	return Token{secret{text}}, nil
}

// TokenHash is the SHA-256 hash of a token or transfer code. Both have at least 122
// random bits, so the hash needs neither salt nor key stretching.
type TokenHash [sha256.Size]byte

// IsZero reports whether there is no hash.
func (h TokenHash) IsZero() bool { return h == TokenHash{} }

// Credential is a token as a session stores it: the hash, to find the session, and
// the sealed text, to return the token to its owner again.
type Credential struct {
	Hash   TokenHash
	Sealed []byte
}
