package session

import (
	"errors"
	"fmt"
	"time"
)

// Terms are the times that differ between remembered sessions and others.
type Terms struct {
	// Duration is how long a session lives after being created or refreshed.
	Duration time.Duration
	// LongestLife is the maximum life of a session from its creation, including
	// refreshes.
	LongestLife time.Duration
	// IdleTimeout ends a session that was not used for this long; 0 disables it.
	IdleTimeout time.Duration
}

// Policy decides when sessions are created, refreshed and accepted, and when they
// expire.
type Policy struct {
	// Usual and Remembered are the terms of sessions that are not remembered and of
	// those that are.
	Usual, Remembered Terms
	// ActorDuration is how long an actor's session lives. It is never refreshed or
	// remembered; otherwise it follows the usual terms.
	ActorDuration time.Duration
	// Threshold is the remaining life at or below which opening a session refreshes
	// it instead of reusing it.
	Threshold time.Duration
	// Grace is how long the superseded token is still accepted after a refresh, for
	// requests in flight and other tabs.
	Grace time.Duration
	// Warning is the remaining life below which a session's clients are warned; 0
	// disables warnings.
	Warning time.Duration
	// OfferLifetime is how long a transfer code is valid.
	OfferLifetime time.Duration
	// MostSessions is the maximum number of active sessions of a user; 0 means no
	// limit. Actors' sessions do not count; see MostOfActor.
	MostSessions int
}

const day = 24 * time.Hour

// DefaultPolicy returns the default settings: sessions live for 24 hours, are
// refreshed in the last hour, and end after 30 days; the grace is 30 seconds.
// Remembered sessions live for 30 days and end after 90 days, or after 7 days
// without use. Actors' sessions live for an hour. A user has at most ten sessions.
func DefaultPolicy() Policy {
	return Policy{
		Usual:         Terms{Duration: day, LongestLife: 30 * day},
		Remembered:    Terms{Duration: 30 * day, LongestLife: 90 * day, IdleTimeout: 7 * day},
		ActorDuration: time.Hour,
		Threshold:     time.Hour,
		Grace:         30 * time.Second,
		Warning:       5 * time.Minute,
		OfferLifetime: 2 * time.Minute,
		MostSessions:  10,
	}
}

// Validate checks that, for both terms, 0 ≤ threshold < duration ≤ longest life and
// 0 ≤ grace < duration − threshold, and that the other settings are in range. Its
// error has one line for each broken rule.
func (p Policy) Validate() error {
	var broken []error
	rule := func(holds bool, format string, args ...any) {
		if !holds {
			broken = append(broken, fmt.Errorf(format, args...))
		}
	}
	rule(p.Threshold >= 0, "the refresh threshold (%s) must not be negative", p.Threshold)
	rule(p.Grace >= 0, "the rotation grace (%s) must not be negative", p.Grace)
	rule(p.Warning >= 0, "the warning window (%s) must not be negative", p.Warning)
	rule(p.OfferLifetime > 0, "the lifetime of transfer codes (%s) must be positive", p.OfferLifetime)
	rule(p.ActorDuration > 0, "the duration of actors' sessions (%s) must be positive", p.ActorDuration)
	rule(p.ActorDuration <= p.Usual.LongestLife, "the duration of actors' sessions (%s) must not be longer than the longest life (%s)", p.ActorDuration, p.Usual.LongestLife)
	rule(p.MostSessions >= 0, "the session limit of a user (%d) must not be negative", p.MostSessions)
	for _, terms := range []struct {
		of string
		Terms
	}{{"", p.Usual}, {"remembered ", p.Remembered}} {
		rule(p.Threshold < terms.Duration, "the refresh threshold (%s) must be shorter than the %sduration (%s)", p.Threshold, terms.of, terms.Duration)
		rule(terms.Duration <= terms.LongestLife, "the %sduration (%s) must not be longer than the %slongest life (%s)", terms.of, terms.Duration, terms.of, terms.LongestLife)
		rule(p.Grace < terms.Duration-p.Threshold, "the rotation grace (%s) must be shorter than the %sduration less the refresh threshold (%s)", p.Grace, terms.of, terms.Duration-p.Threshold)
		rule(terms.IdleTimeout >= 0, "the %sidle timeout (%s) must not be negative", terms.of, terms.IdleTimeout)
	}
	return errors.Join(broken...)
}

func (p Policy) terms(remembered bool) Terms {
	if remembered {
		return p.Remembered
	}
	return p.Usual
}

// lastsUntil returns when s expires, however much it is used.
func (p Policy) lastsUntil(s Session) time.Time {
	return earlier(s.expiresAt, s.createdAt.Add(p.terms(s.remembered).LongestLife))
}

// StatusAt returns the status of s at now. An active session has expired at its
// expiry, its longest life or its idle timeout, even if that is not stored yet.
func (p Policy) StatusAt(now time.Time, s Session) Status {
	if s.status != StatusActive {
		return s.status
	}
	idle := p.terms(s.remembered).IdleTimeout
	if !now.Before(p.lastsUntil(s)) || (idle > 0 && !now.Before(s.lastActivityAt.Add(idle))) {
		return StatusExpired
	}
	return StatusActive
}

// Left returns the remaining life of s at now, if it stays in use, and whether its
// clients should be warned that it ends soon. Both are zero when s has ended.
func (p Policy) Left(now time.Time, s Session) (left time.Duration, warn bool) {
	if p.StatusAt(now, s) != StatusActive {
		return 0, false
	}
	left = p.lastsUntil(s).Sub(now)
	return left, left < p.Warning
}

// Cutoff describes which active sessions have expired at some time, for stores: a
// session has expired when any of its conditions holds.
type Cutoff struct {
	// ExpiresAt is that time: sessions whose expiry is at or before it.
	ExpiresAt time.Time
	// Usual and Remembered have conditions for sessions with those terms.
	Usual, Remembered TermsCutoff
}

// TermsCutoff is the part of a Cutoff that depends on the terms.
type TermsCutoff struct {
	// CreatedAt: sessions created at or before it.
	CreatedAt time.Time
	// LastActivityAt: sessions last used at or before it; zero selects none.
	LastActivityAt time.Time
}

// Cutoff returns the conditions under which StatusAt is StatusExpired at now.
func (p Policy) Cutoff(now time.Time) Cutoff {
	of := func(t Terms) TermsCutoff {
		c := TermsCutoff{CreatedAt: now.Add(-t.LongestLife)}
		if t.IdleTimeout > 0 {
			c.LastActivityAt = now.Add(-t.IdleTimeout)
		}
		return c
	}
	return Cutoff{ExpiresAt: now, Usual: of(p.Usual), Remembered: of(p.Remembered)}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
