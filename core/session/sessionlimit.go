package session

import (
	"cmp"
	"slices"
	"time"
)

// MostOfActor is the maximum number of active sessions of an actor for one user.
const MostOfActor = 10

// Excess returns which of a user's live sessions must end so that holder can have
// one more. Sessions end in this order, and within each group the least recently
// used first: sessions not used for a day, holder's own, those of other sign-ins.
// An actor has its own limit, MostOfActor; its sessions do not count towards the
// user's.
func (p Policy) Excess(now time.Time, live []Session, holder Holder) []Session {
	most := p.MostSessions
	if !holder.Actor.IsZero() {
		most = MostOfActor
	}
	counted := slices.DeleteFunc(slices.Clone(live), func(s Session) bool { return s.slot.Actor != holder.Actor })
	over := len(counted) + 1 - most
	if most == 0 || over <= 0 {
		return nil
	}
	rank := func(s Session) int {
		switch {
		case s.Unused(now):
			return 0
		case s.HeldBy(holder):
			return 1
		}
		return 2
	}
	slices.SortFunc(counted, func(a, b Session) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.lastActivityAt.Compare(b.lastActivityAt), a.createdAt.Compare(b.createdAt), cmp.Compare(a.id.value, b.id.value))
	})
	return counted[:over]
}

// Unused reports whether the session has not been used for a day.
func (s Session) Unused(now time.Time) bool { return now.Sub(s.lastActivityAt) >= day }
