package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"chatkit-session/core/session"
)

var (
	errNoKeysSet  = session.Because(session.KindUnauthenticated, reasonNoKeysSet, errors.New("INTROSPECTION_KEYS is not set"))
	errNoKey      = session.Because(session.KindUnauthenticated, reasonNoKey, errors.New("the request has no introspection key"))
	errUnknownKey = session.Because(session.KindUnauthenticated, reasonUnknownKey, errors.New("the key is not one of INTROSPECTION_KEYS"))
)

// introspectionKeys are the SHA-256 hashes of the keys of back ends that may
// introspect tokens. Hashes have equal lengths and compare in constant time.
type introspectionKeys [][sha256.Size]byte

func newIntrospectionKeys(keys []string) introspectionKeys {
	known := make(introspectionKeys, 0, len(keys))
	for _, key := range keys {
		known = append(known, sha256.Sum256([]byte(key)))
	}
	return known
}

// check returns an error that says why key is not accepted, or nil. It takes
// the same time for every key.
func (b introspectionKeys) check(key string) error {
	sum, found := sha256.Sum256([]byte(key)), 0
	for _, known := range b {
		found |= subtle.ConstantTimeCompare(sum[:], known[:])
	}
	switch {
	case found == 1:
		return nil
	case len(b) == 0:
		return errNoKeysSet
	case key == "":
		return errNoKey
	}
	return errUnknownKey
}
