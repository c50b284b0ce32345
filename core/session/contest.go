package session

import (
	"time"
)

// Contest is the result when a sign-in opens a session in a slot where another
// sign-in of the user holds one.
type Contest int

const (
	// ContestNone means that there is no contest: the old session was not used since
	// the opening sign-in was verified.
	ContestNone Contest = iota
	// ContestWon means that both are in use and the opening sign-in is not older
	// than the holder.
	ContestWon
	// ContestLost means that both are in use and the opening sign-in is older.
	ContestLost
)

// Contest decides at now whether bearer's sign-in may take the slot of s, which
// another sign-in holds.
func (l SignIns) Contest(s Session, bearer Bearer, now time.Time) Contest {
	verified := l.VerifiedBy(bearer, now)
	switch {
	case !s.lastActivityAt.After(verified):
		return ContestNone
	case verified.Before(l.VerifiedIn(s.holder)):
		return ContestLost
	}
	return ContestWon
}
