package session

import (
	"errors"
	"slices"
	"time"
)

// SignOut is the effect of signing out: the sessions that end and the sign-ins
// that are blocked.
type SignOut struct {
	// Sessions are active; some may have expired already. Every session that a
	// blocked sign-in holds is among them.
	Sessions []Session
	// Blocks are the sign-ins to block.
	Blocks []Holder
	// Moment, unless zero, also blocks the user's sign-ins that were never seen
	// here and were verified before it.
	Moment time.Time
}

// SignOutOne returns the effect of signing out the session with id, one of
// sessions, from the sign-in by. The session ends, and the sign-in that holds it,
// or held it when it ended, is blocked unless it is by or already blocked
// (holderBlocked): a user who signs out where they are does not lose access.
func SignOutOne(sessions []Session, id ID, by Holder, holderBlocked bool) SignOut {
	var out SignOut
	for _, s := range sessions {
		if s.id != id {
			continue
		}
		out.end(s)
		if s.holder != by && !holderBlocked {
			out.block(s.holder)
		}
	}
	return out.complete(sessions)
}

var errKeepNotActive = errors.New("the session to keep is not an active session of the caller")

// SignOutAll returns the effect of a user signing out all sessions but keep (zero
// for none) at now. It blocks every sign-in of the user except the caller's own
// and the one that holds keep, and sets the moment to UserMoment. An actor signs
// out only its own sessions and sets no moment.
//
// Errors: KindNotFound when keep is not an active session of the caller.
func (p Policy) SignOutAll(now time.Time, caller Bearer, keep ID, sessions []Session, known SignIns) (SignOut, error) {
	var out SignOut
	var holders []Holder
	spared, kept := []Holder{caller.Holder}, keep.IsZero()
	for _, s := range sessions {
		switch {
		case !caller.Manages(s.slot.Actor):
		case s.id == keep && p.StatusAt(now, s) == StatusActive:
			kept, spared = true, append(spared, s.holder)
		default:
			out.end(s)
			holders = append(holders, s.holder)
		}
	}
	if !kept {
		return SignOut{}, Wrap(KindNotFound, errKeepNotActive)
	}
	for _, holder := range append(holders, known.Holders()...) {
		if caller.Manages(holder.Actor) && !slices.Contains(spared, holder) {
			out.block(holder)
		}
	}
	if caller.Actor.IsZero() {
		out.Moment = UserMoment(known.VerifiedBy(caller, now), now)
	}
	return out.complete(sessions), nil
}

// SignOutUser returns the effect of an admin signing out a user at now: all of
// the user's sessions end and all of the user's sign-ins are blocked, except the
// admin's own when the user is the admin. It sets the moment to AdminMoment.
func SignOutUser(now time.Time, admin Bearer, user UserID, sessions []Session, known SignIns) SignOut {
	out := SignOut{Moment: AdminMoment(now)}
	holders := known.Holders()
	for _, s := range sessions {
		out.end(s)
		holders = append(holders, s.holder)
	}
	for _, holder := range holders {
		if user != admin.User || holder != admin.Holder {
			out.block(holder)
		}
	}
	return out.complete(sessions)
}

// Others returns the sign-ins other than by that the sign-out blocks, or whose
// sessions it ends before they expire.
func (o SignOut) Others(now time.Time, policy Policy, by Holder) []Holder {
	holders := slices.Clone(o.Blocks)
	for _, s := range o.Sessions {
		if policy.StatusAt(now, s) == StatusActive {
			holders = append(holders, s.holder)
		}
	}
	return slices.DeleteFunc(holders, func(h Holder) bool { return h == by })
}

// end adds s if it is active.
func (o *SignOut) end(s Session) {
	if s.status == StatusActive {
		o.Sessions = append(o.Sessions, s)
	}
}

// block adds a sign-in unless it is unknown.
func (o *SignOut) block(holder Holder) {
	if !holder.SignIn.IsZero() && !slices.Contains(o.Blocks, holder) {
		o.Blocks = append(o.Blocks, holder)
	}
}

// complete adds the sessions that the blocked sign-ins hold.
func (o SignOut) complete(sessions []Session) SignOut {
	o.Sessions = AddHeld(o.Sessions, sessions, o.Blocks)
	return o
}

// AddHeld appends to ending every active session that one of holders holds and
// that ending lacks: blocking a sign-in ends all its sessions.
func AddHeld(ending, sessions []Session, holders []Holder) []Session {
	for _, s := range sessions {
		present := slices.ContainsFunc(ending, func(e Session) bool { return e.id == s.id })
		if s.status == StatusActive && !present && slices.ContainsFunc(holders, s.HeldBy) {
			ending = append(ending, s)
		}
	}
	return ending
}

// Block returns the records of holders, the sign-ins that are blocked at now.
func (l SignIns) Block(now time.Time, holders ...Holder) []SignIn {
	blocked := make([]SignIn, len(holders))
	for i, holder := range holders {
		known, seen := l.of(holder)
		if !seen {
			known = SignIn{holder: holder, firstSeen: now, verified: now}
		}
		known.blockedAt = now
		blocked[i] = known
	}
	return blocked
}

// Protection is how long after its verification a sign-in is protected from older
// ones.
const Protection = 10 * time.Minute

// Protected reports whether a user's call from a sign-in that was verified at
// verified must neither block holder nor end its sessions: holder is newer and
// was verified in the last ten minutes. So an attacker with a stolen sign-in
// cannot keep signing out the user, who signed in after it. Actors are never
// protected.
func (l SignIns) Protected(holder Holder, verified, now time.Time) bool {
	other := l.VerifiedIn(holder)
	return holder.Actor.IsZero() && other.After(verified) && now.Sub(other) <= Protection
}

// AnyProtected reports whether one of holders is protected from the caller's
// sign-in; see Protected.
func (l SignIns) AnyProtected(holders []Holder, caller Bearer, now time.Time) bool {
	verified := l.VerifiedBy(caller, now)
	return slices.ContainsFunc(holders, func(h Holder) bool { return l.Protected(h, verified, now) })
}

// UserMoment returns the moment for a user who signs out all at now, from a
// sign-in that was verified at verified: the later of verified and ten minutes
// ago.
func UserMoment(verified, now time.Time) time.Time { return later(verified, now.Add(-Protection)) }

// adminMomentSlack allows for clocks that differ: a user who signs in again just
// after an admin signed them out must not be blocked.
const adminMomentSlack = 5 * time.Second

// AdminMoment returns the moment for an admin who signs out a user at now: five
// seconds ago.
func AdminMoment(now time.Time) time.Time { return now.Add(-adminMomentSlack) }
