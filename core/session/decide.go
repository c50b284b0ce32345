package session

import (
	"errors"
	"fmt"
	"time"
)

// Policy holds the times that the life of a session follows.
type Policy struct {
	// Duration is how long a session lives after it was created or refreshed.
	Duration time.Duration
	// Threshold is how much of its life may be left when a session is
	// refreshed instead of reused.
	Threshold time.Duration
	// LongestLife bounds a session's life from its creation, refreshes
	// included.
	LongestLife time.Duration
	// Grace is how long a superseded token stays good after a refresh, for
	// requests in flight and other tabs.
	Grace time.Duration
}

// DefaultPolicy lives 24 hours, refreshes in the last one, ends after 30 days
// and has 30 seconds of grace.
func DefaultPolicy() Policy {
	return Policy{
		Duration:    24 * time.Hour,
		Threshold:   time.Hour,
		LongestLife: 30 * 24 * time.Hour,
		Grace:       30 * time.Second,
	}
}

// Validate checks 0 ≤ threshold < duration ≤ longest life and
// 0 ≤ grace < duration − threshold. Its error has one line for each rule that
// is broken.
func (p Policy) Validate() error {
	var broken []error
	rule := func(holds bool, format string, args ...any) {
		if !holds {
			broken = append(broken, fmt.Errorf(format, args...))
		}
	}
	rule(p.Threshold >= 0, "the refresh threshold (%s) must not be negative", p.Threshold)
	rule(p.Threshold < p.Duration, "the refresh threshold (%s) must be shorter than the duration (%s)", p.Threshold, p.Duration)
	rule(p.Duration <= p.LongestLife, "the duration (%s) must not be longer than the longest life (%s)", p.Duration, p.LongestLife)
	rule(p.Grace >= 0, "the rotation grace (%s) must not be negative", p.Grace)
	rule(p.Grace < p.Duration-p.Threshold, "the rotation grace (%s) must be shorter than the duration less the refresh threshold (%s)", p.Grace, p.Duration-p.Threshold)
	return errors.Join(broken...)
}

// Outcome is what opening did.
type Outcome string

// The outcomes of opening a session.
const (
	OutcomeCreated   Outcome = "created"
	OutcomeReused    Outcome = "reused"
	OutcomeRefreshed Outcome = "refreshed"
)

// Decision is what opening has to do.
type Decision struct {
	Outcome Outcome
	// EndFound says that the session that was found has had its time and ends
	// as expired before another is created.
	EndFound bool
	// ExpiresAt is the expiry of the session that the caller gets.
	ExpiresAt time.Time
}

// Found is a session that a request may continue.
type Found struct {
	Session Session
	// Unreadable says that no key opens its sealed token any more: its owner
	// cannot be shown it, so it must rotate.
	Unreadable bool
}

// Decide says what becomes of the session a request found, or of the request
// that found none, at now.
func (p Policy) Decide(now time.Time, found *Found) Decision {
	if found == nil {
		return Decision{Outcome: OutcomeCreated, ExpiresAt: now.Add(p.Duration)}
	}
	end := found.Session.createdAt.Add(p.LongestLife)
	expiresAt := earlier(found.Session.expiresAt, end)
	if found.Session.status != StatusActive || !now.Before(expiresAt) {
		return p.replace(now)
	}
	if expiresAt.Sub(now) > p.Threshold && !found.Unreadable {
		return Decision{Outcome: OutcomeReused, ExpiresAt: expiresAt}
	}
	extended := earlier(now.Add(p.Duration), end)
	if extended.Sub(now) <= p.Threshold {
		return p.replace(now)
	}
	return Decision{Outcome: OutcomeRefreshed, ExpiresAt: extended}
}

// Accepts reports whether the token with this hash stands for s at now: s is
// active and its time is not up, and the token is its own or the one before it
// within the grace.
func (p Policy) Accepts(now time.Time, s Session, hash TokenHash) bool {
	end := earlier(s.expiresAt, s.createdAt.Add(p.LongestLife))
	if s.status != StatusActive || !now.Before(end) {
		return false
	}
	return hash == s.credential.Hash || (hash == s.previous && now.Before(s.previousUntil))
}

// RefreshAfter returns from when on opening a session that expires at
// expiresAt refreshes it.
func (p Policy) RefreshAfter(expiresAt time.Time) time.Time { return expiresAt.Add(-p.Threshold) }

func (p Policy) replace(now time.Time) Decision {
	return Decision{Outcome: OutcomeCreated, EndFound: true, ExpiresAt: now.Add(p.Duration)}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
