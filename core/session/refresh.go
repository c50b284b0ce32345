package session

import (
	"time"
)

// Outcome is what opening or transferring a session did.
type Outcome string

// The outcomes.
const (
	OutcomeCreated     Outcome = "created"
	OutcomeReused      Outcome = "reused"
	OutcomeRefreshed   Outcome = "refreshed"
	OutcomeTransferred Outcome = "transferred"
)

// Decision is what opening a session has to do.
type Decision struct {
	Outcome Outcome
	// ExpiresAt is the new expiry, and Remembered whether the session has the terms
	// of remembered sessions.
	ExpiresAt  time.Time
	Remembered bool
}

// Found is the session in the slot of a request.
type Found struct {
	Session Session
	// Unreadable reports that no key decrypts the sealed token any more. It cannot be
	// returned to its owner, so it must be rotated.
	Unreadable bool
}

// Decide decides at now whether a request creates, reuses or refreshes its session.
// found is nil when the slot has no session. remember is whether the request asks
// for a remembered session; nil keeps it.
//
// An active session is reused while more than the threshold of its life is left.
// At the threshold it is refreshed, if its longest life leaves more than the
// threshold after that; otherwise a new session is created and the old one must
// end. An actor's session is reused until it expires. A change of remember
// recomputes the expiry and keeps the token.
func (p Policy) Decide(now time.Time, actor Actor, found *Found, remember *bool) Decision {
	if found == nil {
		return p.Create(now, actor, remember, false)
	}
	s := found.Session
	switch {
	case p.StatusAt(now, s) != StatusActive:
		return p.Create(now, actor, remember, false)
	case !actor.IsZero():
		return continued(s.expiresAt, found.Unreadable, false)
	}
	remembered := s.remembered
	if remember != nil {
		remembered = *remember
	}
	terms := p.terms(remembered)
	end := s.createdAt.Add(terms.LongestLife)
	expiresAt, rotate := earlier(s.expiresAt, end), found.Unreadable
	if expiresAt.Sub(now) <= p.Threshold && remembered == s.remembered {
		rotate = true
	}
	if rotate || remembered != s.remembered {
		expiresAt = earlier(now.Add(terms.Duration), end)
	}
	if expiresAt.Sub(now) <= p.Threshold {
		return p.Create(now, actor, remember, s.remembered)
	}
	return continued(expiresAt, rotate, remembered)
}

func continued(expiresAt time.Time, rotate, remembered bool) Decision {
	d := Decision{Outcome: OutcomeReused, ExpiresAt: expiresAt, Remembered: remembered}
	if rotate {
		d.Outcome = OutcomeRefreshed
	}
	return d
}

// Create returns the decision to create a session at now. before is whether the
// session that it replaces was remembered, which applies when remember is nil.
func (p Policy) Create(now time.Time, actor Actor, remember *bool, before bool) Decision {
	if !actor.IsZero() {
		return Decision{Outcome: OutcomeCreated, ExpiresAt: now.Add(p.ActorDuration)}
	}
	if remember != nil {
		before = *remember
	}
	return Decision{Outcome: OutcomeCreated, ExpiresAt: now.Add(p.terms(before).Duration), Remembered: before}
}

// RefreshAfter returns when opening s starts to refresh it. An actor's session is
// never refreshed: for it, RefreshAfter is the expiry.
func (p Policy) RefreshAfter(s Session) time.Time {
	if !s.slot.Actor.IsZero() {
		return s.expiresAt
	}
	return s.expiresAt.Add(-p.Threshold)
}
