package session

import (
	"time"
)

// Outcome is what opening did.
type Outcome string

// The outcomes of opening a session, and of moving one to another device.
const (
	OutcomeCreated     Outcome = "created"
	OutcomeReused      Outcome = "reused"
	OutcomeRefreshed   Outcome = "refreshed"
	OutcomeTransferred Outcome = "transferred"
)

// Decision is what opening has to do.
type Decision struct {
	Outcome Outcome
	// ExpiresAt is the expiry of the session that the caller gets, Remembered
	// whether it lives by the terms of remembered ones.
	ExpiresAt  time.Time
	Remembered bool
}

// Found is a session that a request may continue.
type Found struct {
	Session Session
	// Unreadable says that no key opens its sealed token any more: its owner
	// cannot be shown it, so it must rotate.
	Unreadable bool
}

// Decide says what becomes of the session a request found, or of the request
// that found none, at now. A session that was found and whose time is up ends
// when another is created. remember is whether the request wants the session
// remembered; nil leaves it as it is.
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

// Create is the decision to create a session at now. before is whether the one
// in whose place it comes was remembered, which counts when the request does
// not say.
func (p Policy) Create(now time.Time, actor Actor, remember *bool, before bool) Decision {
	if !actor.IsZero() {
		return Decision{Outcome: OutcomeCreated, ExpiresAt: now.Add(p.ActorDuration)}
	}
	if remember != nil {
		before = *remember
	}
	return Decision{Outcome: OutcomeCreated, ExpiresAt: now.Add(p.terms(before).Duration), Remembered: before}
}

// RefreshAfter returns from when on opening the session refreshes it. An actor's
// session is never refreshed: then it is when the session expires.
func (p Policy) RefreshAfter(s Session) time.Time {
	if !s.slot.Actor.IsZero() {
		return s.expiresAt
	}
	return s.expiresAt.Add(-p.Threshold)
}
