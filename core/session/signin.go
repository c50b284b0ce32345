package session

import (
	"cmp"
	"slices"
	"time"
)

// Holder is the sign-in, with its actor if there is one, that a session belongs to.
// A Holder without a SignIn is unknown.
type Holder struct {
	SignIn SignInID
	Actor  Actor
}

// String returns the sign-in, and the actor after a space, if there is one.
func (h Holder) String() string {
	if h.Actor.IsZero() {
		return h.SignIn.String()
	}
	return h.SignIn.String() + " " + h.Actor.String()
}

// Manages reports whether h may see and end the sessions of actor. A user in
// person manages all of their sessions; an actor manages only its own.
func (h Holder) Manages(actor Actor) bool { return h.Actor.IsZero() || h.Actor == actor }

// Bearer is the user and sign-in that a credential authenticates.
type Bearer struct {
	User UserID
	Holder
	// Verified is when the user last verified a factor in this sign-in, according to
	// the credential; zero when it does not say.
	Verified time.Time
}

// SignIn is the record of one sign-in of a user.
type SignIn struct {
	holder    Holder
	firstSeen time.Time
	verified  time.Time
	blockedAt time.Time
}

// StoredSignIn is a sign-in in the form that stores read; see RestoreSignIn.
type StoredSignIn struct {
	SignIn, Actor                  string
	FirstSeen, Verified, BlockedAt time.Time
}

// RestoreSignIn rebuilds a sign-in from storage, WITHOUT validating it. ONLY STORES
// CALL IT.
func RestoreSignIn(stored StoredSignIn) SignIn {
	return SignIn{
		holder:    Holder{SignInID{name{stored.SignIn}}, RestoreActor(stored.Actor)},
		firstSeen: stored.FirstSeen, verified: stored.Verified, blockedAt: stored.BlockedAt,
	}
}

// Holder returns the sign-in and its actor.
func (s SignIn) Holder() Holder { return s.holder }

// FirstSeen returns when this service first saw the sign-in.
func (s SignIn) FirstSeen() time.Time { return s.firstSeen }

// Verified returns when the user last verified a factor in the sign-in, as far as
// this service has seen.
func (s SignIn) Verified() time.Time { return s.verified }

// BlockedAt returns when the sign-in was blocked; zero when it was not. A blocked
// sign-in holds no session and all its calls are refused. Signing in again makes
// another sign-in.
func (s SignIn) BlockedAt() time.Time { return s.blockedAt }

// SignIns are a user's recorded sign-ins that are not blocked.
type SignIns []SignIn

// Holders returns the holder of each sign-in.
func (l SignIns) Holders() []Holder {
	holders := make([]Holder, len(l))
	for i, s := range l {
		holders[i] = s.holder
	}
	return holders
}

// of returns the record of a sign-in.
func (l SignIns) of(holder Holder) (SignIn, bool) {
	i := slices.IndexFunc(l, func(s SignIn) bool { return s.holder == holder })
	if i < 0 {
		return SignIn{}, false
	}
	return l[i], true
}

// VerifiedBy returns when the user last verified a factor in the bearer's sign-in:
// the time in the credential or, without it, when the sign-in was first seen, which
// is now for a new one. It is never later than now.
func (l SignIns) VerifiedBy(bearer Bearer, now time.Time) time.Time {
	if !bearer.Verified.IsZero() {
		return earlier(bearer.Verified, now)
	}
	if known, seen := l.of(bearer.Holder); seen {
		return known.firstSeen
	}
	return now
}

// VerifiedIn returns when the user last verified a factor in a recorded sign-in. It
// is zero for an unknown one, which makes it older than any other.
func (l SignIns) VerifiedIn(holder Holder) time.Time {
	known, _ := l.of(holder)
	return known.verified
}

// See returns the record of the bearer's sign-in after a call at now.
func (l SignIns) See(bearer Bearer, now time.Time) SignIn {
	verified := l.VerifiedBy(bearer, now)
	known, seen := l.of(bearer.Holder)
	if !seen {
		return SignIn{holder: bearer.Holder, firstSeen: now, verified: verified}
	}
	if verified.After(known.verified) {
		known.verified = verified
	}
	return known
}

// MaxIdleSignIns is the maximum number of a user's recorded sign-ins that are not
// blocked and hold no active session.
const MaxIdleSignIns = 50

// Forgettable returns the sign-ins to delete, given the user's sessions: those that
// hold no active session, except the newest MaxIdleSignIns.
func (l SignIns) Forgettable(sessions []Session) []Holder {
	var idle []SignIn
	for _, s := range l {
		if !slices.ContainsFunc(sessions, func(held Session) bool { return held.status == StatusActive && held.HeldBy(s.holder) }) {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b SignIn) int {
		return cmp.Or(b.verified.Compare(a.verified), cmp.Compare(a.holder.SignIn.value, b.holder.SignIn.value), cmp.Compare(a.holder.Actor.String(), b.holder.Actor.String()))
	})
	var forgotten []Holder
	for _, s := range idle[min(len(idle), MaxIdleSignIns):] {
		forgotten = append(forgotten, s.holder)
	}
	return forgotten
}
