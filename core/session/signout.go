package session

import (
	"time"
)

// Block returns what is to be remembered of a sign-in that is signed out at now.
func (l SignIns) Block(holder Holder, now time.Time) SignIn {
	known, seen := l.of(holder)
	if !seen {
		known = SignIn{holder: holder, firstSeen: now, verified: now}
	}
	known.blockedAt = now
	return known
}

// Protection is for how long after its verification a sign-in is protected
// from older ones.
const Protection = 10 * time.Minute

// Protected reports whether a call of the user in a sign-in that was verified
// then must neither end nor block the holder: it is newer and was verified in
// the last ten minutes. So a stolen sign-in cannot keep signing out the user,
// who signed in after it. Actors are never protected.
func (l SignIns) Protected(holder Holder, verified, now time.Time) bool {
	other := l.VerifiedIn(holder)
	return holder.Actor.IsZero() && other.After(verified) && now.Sub(other) <= Protection
}

// UserMoment returns the moment that a call of the user sets when it signs out
// all at now, from a sign-in that was verified then: a sign-in that was not seen
// here yet and was verified before the moment is blocked, too.
func UserMoment(verified, now time.Time) time.Time { return later(verified, now.Add(-Protection)) }

// clockSlack is how much earlier than now an admin's moment is, for sign-ins of
// just then whose clock is not this one.
const clockSlack = 5 * time.Second

// AdminMoment is UserMoment for an admin who signs out a user at now.
func AdminMoment(now time.Time) time.Time { return now.Add(-clockSlack) }
