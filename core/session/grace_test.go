package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"chatkit-session/core/session"
)

func TestPolicy_Accepts(t *testing.T) {
	t.Parallel()
	policy := shortIdle()
	own, before, older := session.TokenHash{1}, session.TokenHash{2}, session.TokenHash{3}
	rotated := func(age, left, grace time.Duration, with ...func(*session.Stored)) session.Session {
		return found(age, left, append(with, func(s *session.Stored) { s.Previous, s.PreviousUntil = before, noon.Add(grace) })...).Session
	}
	revoked := rotated(0, time.Hour, us)
	revoked.Revoke(session.EndUser, noon)
	for name, c := range map[string]struct {
		session session.Session
		hash    session.TokenHash
		want    bool
	}{
		"CurrentToken":         {rotated(0, time.Hour, us), own, true},
		"Previous":             {rotated(0, time.Hour, us), before, true},
		"OlderToken":           {rotated(0, time.Hour, us), older, false},
		"None":                 {found(0, time.Hour).Session, session.TokenHash{}, false},
		"AfterTheGrace":        {rotated(0, time.Hour, 0), before, false},
		"CurrentAfterTheGrace": {rotated(0, time.Hour, 0), own, true},
		"AlmostExpired":        {rotated(0, us, 0), own, true},
		"ExpiresNow":           {rotated(0, 0, us), own, false},
		"ExpiredInTheGrace":    {rotated(0, 0, us), before, false},
		"Revoked":              {revoked, own, false},
		"RevokedInTheGrace":    {revoked, before, false},
		"PastTheLongestLife":   {rotated(30*day, time.Hour, time.Hour), own, false},
		"BeforeTheLongestLife": {rotated(30*day-us, time.Hour, time.Hour), own, true},
		"CreatedInTheFuture":   {rotated(-time.Hour, 2*time.Hour, 0), own, true},
		"AlmostIdle":           {rotated(day, time.Hour, 0, idleFor(time.Hour-us)), own, true},
		"ExactlyIdle":          {rotated(day, time.Hour, 0, idleFor(time.Hour)), own, false},
		"IdleInTheGrace":       {rotated(day, time.Hour, us, idleFor(time.Hour)), before, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := policy.Accepts(noon, c.session, c.hash); got != c.want {
				t.Errorf("Accepts = %v", got)
			}
		})
	}
}

func TestPolicy_StaleCopyAccepts(t *testing.T) {
	t.Parallel()
	policy := shortIdle()
	own, next, before := session.TokenHash{1}, session.TokenHash{4}, session.TokenHash{2}
	of := func(left, grace time.Duration) session.Session {
		return found(0, left, func(s *session.Stored) { s.Previous, s.PreviousUntil = before, noon.Add(grace) }).Session
	}
	until := noon.Add(time.Second)
	revoked := func(s session.Session) session.Session { s.Revoke(session.EndUser, noon); return s }
	rotated := func(s session.Session, grace time.Duration) session.Session {
		s.Rotate(session.Credential{Hash: next}, noon, noon.Add(day), noon.Add(grace))
		return s
	}
	used := func(s session.Session) session.Session { s.Use(noon); return s }
	usual := of(time.Minute, 0)
	for name, c := range map[string]struct {
		older, current session.Session
		want           bool
	}{
		"NothingChanged":         {usual, usual, false},
		"Used":                   {usual, used(usual), false},
		"Revoked":                {usual, revoked(usual), true},
		"RevokedBefore":          {revoked(usual), revoked(usual), false},
		"RevokedAfterExpiry":     {of(0, 0), revoked(of(0, 0)), false},
		"LastsLonger":            {of(us, 0), usual, false},
		"LastsAsLong":            {usual, of(time.Second+us, 0), false},
		"EndsBefore":             {usual, of(time.Second, 0), true},
		"RotatedWithGrace":       {usual, rotated(usual, time.Second+us), false},
		"RotatedWithLess":        {usual, rotated(usual, time.Second), true},
		"RotatedWithNone":        {usual, rotated(usual, 0), true},
		"RotatedTwiceInTheGrace": {of(time.Minute, time.Minute), rotated(of(time.Minute, time.Minute), time.Minute), true},
		"RotatedTwiceAfterIt":    {of(time.Minute, 0), rotated(of(time.Minute, 0), time.Minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.older.Credential().Hash != own {
				t.Fatal("the older copy has another token")
			}
			if got := policy.StaleCopyAccepts(noon, until, c.older, c.current); got != c.want {
				t.Errorf("StaleCopyAccepts = %v", got)
			}
		})
	}
}

// Accepts accepts every token that Decide reuses or refreshes. It refuses a session
// that Decide replaces, unless the session was replaced before its end because a
// refresh would leave too little of its longest life.
func TestPolicy_Accepts_AsDecideSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy, f := drawPolicy(t), drawFound(t, noon)
		if f == nil {
			return
		}
		s := f.Session
		terms := termsOf(policy, s.Remembered())
		lives := s.Status() == session.StatusActive && noon.Before(s.ExpiresAt()) && noon.Before(s.CreatedAt().Add(terms.LongestLife)) &&
			(terms.IdleTimeout == 0 || noon.Before(s.LastActivityAt().Add(terms.IdleTimeout)))
		if accepted := policy.Accepts(noon, s, s.Credential().Hash); accepted != lives {
			t.Fatalf("lives is %v, accepted %v", lives, accepted)
		}
		if d := policy.Decide(noon, session.Actor{}, f, nil); d.Outcome != session.OutcomeCreated && !lives {
			t.Fatalf("%s, but not accepted", d.Outcome)
		}
	})
}
