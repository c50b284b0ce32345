package session

import (
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
)

// secret is a text that prints masked in every format; only Reveal gives it.
type secret struct{ text string }

const mask = "[secret]"

// Reveal returns the secret's text. Only the answer to its owner and the
// sealer have a reason to call it.
func (s secret) Reveal() string { return s.text }

// Hash returns what stores keep to find a session by its secret.
func (s secret) Hash() TokenHash { return sha256.Sum256([]byte(s.text)) }

// Format prints the mask, whatever the verb.
func (s secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// MarshalText gives encoders the mask.
func (s secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// Token is the secret that stands for a session: a random UUID v4, shown to
// its owner as chatKitSessionId. It prints masked; see Reveal.
type Token struct{ secret }

// ParseToken accepts the canonical text of a UUID v4. Its errors never carry
// the text.
func ParseToken(text string) (Token, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.Version() != 4 || id.String() != text {
		return Token{}, Invalid("token", "must be a UUID v4 in lower case")
	}
	return Token{secret{text}}, nil
}

// TokenHash is the SHA-256 of a token's or a code's text. These have at least
// 122 random bits, so that their hash needs neither salt nor stretching.
type TokenHash [sha256.Size]byte

// IsZero reports whether there is no hash.
func (h TokenHash) IsZero() bool { return h == TokenHash{} }

// Credential is a token in the two forms that a session keeps: its hash, to be
// found by, and its sealed text, to be shown to its owner again.
type Credential struct {
	Hash   TokenHash
	Sealed []byte
}
