// Package keyring seals tokens with AES-256-GCM (NIST SP 800-38D) under a
// ring of keys. The first key seals and every key opens, so that keys can be rotated
// without losing sealed tokens.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// KeySize is the size of a key, in bytes.
const KeySize = 32

// A sealed token is the version, the tag of the key that sealed it, the nonce
// and the ciphertext of the token's 16 bytes with its authentication tag.
const (
	version    = 1
	tagSize    = 4
	headerSize = 1 + tagSize
)

var errNoKey = errors.New("no key opens the sealed token")

// Ring is a list of keys. It masks itself when printed.
type Ring struct{ keys []key }

type key struct {
	tag  [tagSize]byte
	aead cipher.AEAD
}

var _ ports.Sealer = (*Ring)(nil)

// Generate returns a new random key in the form that Parse takes.
func Generate() string {
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return base64.StdEncoding.EncodeToString(secret)
}

// fewestDistinct is the least number of distinct bytes in a key. Fewer than one in a
// million random keys of KeySize bytes, or of as many hexadecimal digits, has fewer.
const fewestDistinct = 8

// Guessable reports whether a key is clearly not random, such as one repeated byte.
func Guessable(key []byte) bool {
	var seen [256]bool
	distinct := 0
	for _, b := range key {
		if !seen[b] {
			seen[b] = true
			distinct++
		}
	}
	return distinct < fewestDistinct
}

// Parse parses keys separated by commas, each the base64 of KeySize random bytes. The
// first key seals. No key may appear twice. Errors name a key by its position and
// never contain it.
func Parse(text string) (*Ring, error) {
	ring := &Ring{}
	for i, encoded := range strings.Split(text, ",") {
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil || len(secret) != KeySize {
			return nil, fmt.Errorf("key %d must be the base64 of %d random bytes", i+1, KeySize)
		}
		if Guessable(secret) {
			return nil, fmt.Errorf("key %d is not random: make one with chatkit-session keygen", i+1)
		}
		k, err := newKey(secret)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if earlier := slices.IndexFunc(ring.keys, func(other key) bool { return other.tag == k.tag }); earlier >= 0 {
			return nil, fmt.Errorf("key %d is the same as key %d", i+1, earlier+1)
		}
		ring.keys = append(ring.keys, k)
	}
	return ring, nil
}

func newKey(secret []byte) (key, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, err
	}
	// The tag identifies a key and reveals nothing about it.
	digest := sha256.Sum256(append([]byte("chatkit-session key tag\x00"), secret...))
	return key{tag: [tagSize]byte(digest[:tagSize]), aead: aead}, nil
}

// Seal implements ports.Sealer. The nonce is random: one key may seal four
// billion tokens before it must be rotated (SP 800-38D, 8.3).
func (r *Ring) Seal(id session.ID, token session.Token) ([]byte, error) {
	plain, err := uuid.Parse(token.Reveal())
	if err != nil {
		return nil, errors.New("the token is not a UUID") // without the cause, which contains the token
	}
	k := r.keys[0]
	sealed := make([]byte, 0, headerSize+len(plain)+k.aead.Overhead())
	sealed = append(sealed, version)
	sealed = append(sealed, k.tag[:]...)
	return k.aead.Seal(sealed, nil, plain[:], []byte(id.String())), nil
}

// Unseal implements ports.Sealer.
func (r *Ring) Unseal(id session.ID, sealed []byte) (session.Token, error) {
	if len(sealed) < headerSize || sealed[0] != version {
		return session.Token{}, session.Wrap(session.KindUnreadable, errNoKey)
	}
	tag := [tagSize]byte(sealed[1:headerSize])
	for _, k := range r.keys {
		if k.tag != tag {
			continue
		}
		plain, err := k.aead.Open(nil, nil, sealed[headerSize:], []byte(id.String()))
		if err != nil || len(plain) != len(uuid.UUID{}) {
			continue
		}
		return session.ParseToken(uuid.UUID(plain).String())
	}
	return session.Token{}, session.Wrap(session.KindUnreadable, errNoKey)
}

// Format prints a mask, whatever the verb.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[keyring]")) }
