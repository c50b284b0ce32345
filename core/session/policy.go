package session

import (
	"errors"
	"fmt"
	"time"
)

// Terms are the times that differ between sessions that are remembered and
// those that are not.
type Terms struct {
	// Duration is how long a session lives after it was created or refreshed.
	Duration time.Duration
	// LongestLife bounds a session's life from its creation, refreshes
	// included.
	LongestLife time.Duration
	// IdleTimeout ends a session that is not used for so long; 0 means never.
	IdleTimeout time.Duration
}

// Policy holds what the life of a session follows.
type Policy struct {
	// Usual and Remembered are the terms of sessions; see Session.Remembered.
	Usual, Remembered Terms
	// ActorDuration is how long an actor's session lives. It is neither refreshed
	// nor remembered; otherwise it follows the usual terms.
	ActorDuration time.Duration
	// Threshold is how much of its life may be left when a session is
	// refreshed instead of reused.
	Threshold time.Duration
	// Grace is how long a superseded token stays good after a refresh, for
	// requests in flight and other tabs.
	Grace time.Duration
	// Warning: with less of its life left than this, a session's clients are
	// warned; 0 means that they never are.
	Warning time.Duration
	// OfferLifetime is how long a transfer code is good.
	OfferLifetime time.Duration
	// MostSessions is how many active sessions a user may have; 0 means any
	// number. Those of actors do not count; see MostOfActor.
	MostSessions int
}

const day = 24 * time.Hour

// DefaultPolicy lets a session live for 24 hours, be refreshed in the last hour,
// and end after 30 days; the grace is 30 seconds. Remembered sessions live for
// 30 days, and end after 90, or after 7 without use; actors' live for an hour. A
// user has at most ten sessions.
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

// Validate checks, for both terms, 0 ≤ threshold < duration ≤ longest life and
// 0 ≤ grace < duration − threshold, and that nothing else is negative. Its
// error has one line for each rule that is broken.
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
	rule(p.OfferLifetime > 0, "the lifetime of transfer codes (%s) must be longer than nothing", p.OfferLifetime)
	rule(p.ActorDuration > 0, "the duration of actors' sessions (%s) must be positive", p.ActorDuration)
	rule(p.ActorDuration <= p.Usual.LongestLife, "the duration of actors' sessions (%s) must not be longer than the longest life (%s)", p.ActorDuration, p.Usual.LongestLife)
	rule(p.MostSessions >= 0, "the most sessions of a user (%d) must not be negative", p.MostSessions)
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

// lastsUntil is when the session's time is up, however much it is used.
func (p Policy) lastsUntil(s Session) time.Time {
	return earlier(s.expiresAt, s.createdAt.Add(p.terms(s.remembered).LongestLife))
}

// StatusAt returns where the session is in its life at now: one that is past
// its expiry, its longest life or its idle timeout has expired, whether or not
// somebody wrote that down yet.
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

// Left returns for how long the session still lives at now if it is used, and
// whether its clients are to be warned of its end. Both are zero when it does
// not live any more.
func (p Policy) Left(now time.Time, s Session) (left time.Duration, warn bool) {
	if p.StatusAt(now, s) != StatusActive {
		return 0, false
	}
	left = p.lastsUntil(s).Sub(now)
	return left, left < p.Warning
}

// Cutoff says which active sessions' time is up at a moment, for stores.
type Cutoff struct {
	// ExpiresAt is the moment: those that expire then or before.
	ExpiresAt time.Time
	// Usual and Remembered say, of sessions with those terms, which others.
	Usual, Remembered TermsCutoff
}

// TermsCutoff is the part of a Cutoff that the terms decide.
type TermsCutoff struct {
	// CreatedAt: those created then or before.
	CreatedAt time.Time
	// LastActivityAt: those last used then or before; zero for none.
	LastActivityAt time.Time
}

// Cutoff returns which sessions StatusAt would call expired at now.
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
