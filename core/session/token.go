package session

import (
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
)

// Token is the secret that stands for a session: a random UUID v4, shown to
// its owner as chatKitSessionId. It prints masked in every format; only Reveal
// gives its text.
type Token struct{ secret string }

const maskedToken = "[token]"

// ParseToken accepts the canonical text of a UUID v4. Its errors never carry
// the text.
func ParseToken(text string) (Token, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.Version() != 4 || id.String() != text {
		return Token{}, Invalid("token", "must be a UUID v4 in lower case")
	}
	return Token{text}, nil
}

// Reveal returns the token's text. Only the answer to its owner and the sealer
// have a reason to call it.
func (t Token) Reveal() string { return t.secret }

// Hash returns what stores keep to find a session by its token.
func (t Token) Hash() TokenHash { return sha256.Sum256([]byte(t.secret)) }

// Format prints the mask, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(maskedToken)) }

// MarshalText gives encoders the mask.
func (t Token) MarshalText() ([]byte, error) { return []byte(maskedToken), nil }

// TokenHash is the SHA-256 of a token's text. A token has 122 random bits, so
// its hash needs neither salt nor stretching.
type TokenHash [sha256.Size]byte

// IsZero reports whether there is no hash.
func (h TokenHash) IsZero() bool { return h == TokenHash{} }

// Credential is a token in the two forms that a session keeps: its hash, to be
// found by, and its sealed text, to be shown to its owner again.
type Credential struct {
	Hash   TokenHash
	Sealed []byte
}
