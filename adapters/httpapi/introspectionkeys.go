package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"chatkit-session/core/session"
)

var (
	errNoBackends = session.Because(session.KindUnauthenticated, reasonNoBackends, errors.New("INTROSPECTION_KEYS is not set"))
	errNoKey      = session.Because(session.KindUnauthenticated, reasonNoKey, errors.New("the request has no introspection key"))
	errUnknownKey = session.Because(session.KindUnauthenticated, reasonUnknownKey, errors.New("the key is not one of INTROSPECTION_KEYS"))
)

// backends are who may introspect, by the SHA-256 of their keys: equal lengths
// compare in constant time.
type backends [][sha256.Size]byte

func newBackends(keys []string) backends {
	known := make(backends, 0, len(keys))
	for _, key := range keys {
		known = append(known, sha256.Sum256([]byte(key)))
	}
	return known
}

// know returns why the key is none, and takes as long for a wrong key as for any
// right one.
func (b backends) know(key string) error {
	sum, found := sha256.Sum256([]byte(key)), 0
	for _, known := range b {
		found |= subtle.ConstantTimeCompare(sum[:], known[:])
	}
	switch {
	case found == 1:
		return nil
	case len(b) == 0:
		return errNoBackends
	case key == "":
		return errNoKey
	}
	return errUnknownKey
}
