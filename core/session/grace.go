package session

import (
	"time"
)

// Accepts reports whether s accepts the token with this hash at now. It does when
// s is active and has not expired, and the token is its current one or, within
// the grace, the one before.
func (p Policy) Accepts(now time.Time, s Session, hash TokenHash) bool {
	if p.StatusAt(now, s) != StatusActive {
		return false
	}
	return hash == s.credential.Hash || (hash == s.previous && now.Before(s.previousUntil))
}

// StaleCopyAccepts reports whether stale, a copy of current from before a change,
// could accept a token that current refuses, for a reader whose clock shows a
// time between from and until. When it could, the change must wait until no
// replica reads the copy any more.
func (p Policy) StaleCopyAccepts(from, until time.Time, stale, current Session) bool {
	for _, hash := range []TokenHash{stale.credential.Hash, stale.previous} {
		if p.Accepts(from, stale, hash) && !p.Accepts(until, current, hash) {
			return true
		}
	}
	return false
}
