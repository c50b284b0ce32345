package session

import (
	"time"
)

// Contest is what happens when a sign-in wants the place of a session that
// another sign-in holds.
type Contest int

const (
	// ContestNone means that the session was not used since the user verified a
	// factor in the sign-in that wants its place: it is left over.
	ContestNone Contest = iota
	// ContestWon means that both are in use and that the one that wants the
	// place is not older than the holder.
	ContestWon
	// ContestLost means that it is older.
	ContestLost
)

// Contest says whether the sign-in of bearer gets the place of s, which another
// sign-in holds, at now.
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
