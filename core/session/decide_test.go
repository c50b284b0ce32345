package session_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"chatkit-session/core/session"
)

var noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

// stored returns an active session of the given times.
func stored(createdAt, expiresAt time.Time) session.Session {
	return session.Restore(session.Stored{
		ID:         "0194f3a0-0000-7000-8000-000000000001",
		User:       "user_1",
		Device:     "phone",
		Workflow:   "workflow_1",
		Status:     session.StatusActive,
		CreatedAt:  createdAt,
		ExpiresAt:  expiresAt,
		Credential: session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")},
	})
}

func TestPolicy_Decide(t *testing.T) {
	t.Parallel()
	const (
		us  = time.Microsecond
		day = 24 * time.Hour
	)
	policy := session.DefaultPolicy()
	fresh := session.Decision{Outcome: session.OutcomeCreated, ExpiresAt: noon.Add(day)}
	replaced := session.Decision{Outcome: session.OutcomeCreated, EndFound: true, ExpiresAt: noon.Add(day)}
	reused := func(expiresAt time.Time) session.Decision {
		return session.Decision{Outcome: session.OutcomeReused, ExpiresAt: expiresAt}
	}
	refreshed := func(expiresAt time.Time) session.Decision {
		return session.Decision{Outcome: session.OutcomeRefreshed, ExpiresAt: expiresAt}
	}
	found := func(age, left time.Duration) *session.Found {
		return &session.Found{Session: stored(noon.Add(-age), noon.Add(left))}
	}
	ended := stored(noon.Add(-time.Hour), noon.Add(20*time.Hour))
	ended.Revoke(session.EndUser, noon)

	cases := map[string]struct {
		found *session.Found
		want  session.Decision
	}{
		"NoneFound":                         {nil, fresh},
		"JustCreated":                       {found(0, day), reused(noon.Add(day))},
		"MoreThanTheThresholdLeft":          {found(day-time.Hour-us, time.Hour+us), reused(noon.Add(time.Hour + us))},
		"ExactlyTheThresholdLeft":           {found(day-time.Hour, time.Hour), refreshed(noon.Add(day))},
		"LessThanTheThresholdLeft":          {found(day-us, us), refreshed(noon.Add(day))},
		"ExpiresNow":                        {found(day, 0), replaced},
		"Expired":                           {found(2*day, -day), replaced},
		"EndedAlready":                      {&session.Found{Session: ended}, replaced},
		"RefreshStopsAtTheLongestLife":      {found(30*day-2*time.Hour, time.Minute), refreshed(noon.Add(2 * time.Hour))},
		"RefreshWouldLeaveTheThreshold":     {found(30*day-time.Hour, time.Minute), replaced},
		"RefreshWouldLeaveJustMore":         {found(30*day-time.Hour-us, time.Minute), refreshed(noon.Add(time.Hour + us))},
		"PastTheLongestLife":                {found(31*day, 5*time.Hour), replaced},
		"ReuseStopsAtTheLongestLife":        {found(30*day-2*time.Hour, 5*time.Hour), reused(noon.Add(2 * time.Hour))},
		"UnreadableRotates":                 {&session.Found{Session: stored(noon, noon.Add(day)), Unreadable: true}, refreshed(noon.Add(day))},
		"UnreadableAtTheEndOfItsLife":       {&session.Found{Session: stored(noon.Add(time.Hour-30*day), noon.Add(time.Hour)), Unreadable: true}, replaced},
		"UnreadableAndExpired":              {&session.Found{Session: stored(noon.Add(-day), noon), Unreadable: true}, replaced},
		"CreatedByAClockThatIsABitAhead":    {&session.Found{Session: stored(noon.Add(4*time.Second), noon.Add(day+4*time.Second))}, reused(noon.Add(day + 4*time.Second))},
		"RefreshThresholdLeftByLongestLife": {found(30*day-time.Hour, 5*time.Hour), replaced},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := policy.Decide(noon, c.found); got != c.want {
				t.Errorf("Decide = %+v, want %+v", got, c.want)
			}
		})
	}
}

// drawPolicy draws any valid policy.
func drawPolicy(t *rapid.T) session.Policy {
	seconds := func(label string, low, high int64) time.Duration {
		return time.Duration(rapid.Int64Range(low, high).Draw(t, label)) * time.Second
	}
	const year = 365 * 24 * 3600
	var p session.Policy
	p.Duration = seconds("duration", 1, year)
	p.Threshold = seconds("threshold", 0, int64(p.Duration/time.Second)-1)
	p.LongestLife = p.Duration + seconds("more life", 0, year)
	p.Grace = seconds("grace", 0, int64((p.Duration-p.Threshold)/time.Second)-1)
	return p
}

// drawFound draws a session of any times, sensible or not, as other settings,
// other clocks or an operator may have left it, or none.
func drawFound(t *rapid.T, now time.Time) *session.Found {
	if rapid.IntRange(0, 9).Draw(t, "none") == 0 {
		return nil
	}
	const span = int64(800 * 24 * time.Hour / time.Microsecond)
	offset := func(label string) time.Time {
		return now.Add(time.Duration(rapid.Int64Range(-span, span).Draw(t, label)) * time.Microsecond)
	}
	found := &session.Found{Session: stored(offset("created"), offset("expires")), Unreadable: rapid.Bool().Draw(t, "unreadable")}
	if rapid.IntRange(0, 9).Draw(t, "ended") == 0 {
		found.Session.Expire(now)
	}
	return found
}

func TestPolicy_Decide_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		if err := policy.Validate(); err != nil {
			t.Fatalf("drew an invalid policy: %v", err)
		}
		found := drawFound(t, noon)
		d := policy.Decide(noon, found)

		createdAt := noon
		if d.Outcome != session.OutcomeCreated {
			createdAt = found.Session.CreatedAt()
		}
		if !d.ExpiresAt.After(noon) {
			t.Fatalf("gives out an expired session: %+v", d)
		}
		if d.ExpiresAt.After(createdAt.Add(policy.LongestLife)) {
			t.Fatalf("goes past the longest life: %+v", d)
		}
		switch d.Outcome {
		case session.OutcomeCreated, session.OutcomeRefreshed:
			if !policy.RefreshAfter(d.ExpiresAt).After(noon) {
				t.Fatalf("leaves a session that must refresh at once: %+v", d)
			}
		case session.OutcomeReused:
			if found.Unreadable {
				t.Fatal("reuses a token that nobody can read")
			}
			if d.ExpiresAt.After(found.Session.ExpiresAt()) {
				t.Fatalf("prolongs a session without a new token: %+v", d)
			}
		}
		if d.Outcome != session.OutcomeCreated && found.Session.Status() != session.StatusActive {
			t.Fatal("continues a session that has ended")
		}
		if d.EndFound != (d.Outcome == session.OutcomeCreated && found != nil) {
			t.Fatalf("EndFound does not follow from the outcome: %+v", d)
		}
	})
}

// Applying a decision leaves a session that the next request, at the same
// moment, reuses as it is.
func TestPolicy_Decide_Settles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		found := drawFound(t, noon)
		d := policy.Decide(noon, found)

		var next session.Session
		switch d.Outcome {
		case session.OutcomeCreated:
			next = session.New(session.Draft{ExpiresAt: d.ExpiresAt}, noon)
		case session.OutcomeReused:
			next = found.Session
			before := next.Credential().Hash
			next.Continue(next.SignIn(), nil, d.ExpiresAt)
			if next.Credential().Hash != before {
				t.Fatal("reuse changed the token")
			}
		case session.OutcomeRefreshed:
			next = found.Session
			next.Rotate(session.Credential{Hash: session.TokenHash{2}}, noon, d.ExpiresAt, noon.Add(policy.Grace))
		}
		again := policy.Decide(noon, &session.Found{Session: next})
		want := session.Decision{Outcome: session.OutcomeReused, ExpiresAt: d.ExpiresAt}
		if again != want {
			t.Fatalf("after %+v comes %+v, want %+v", d, again, want)
		}
	})
}

func TestPolicy_Validate(t *testing.T) {
	t.Parallel()
	if err := session.DefaultPolicy().Validate(); err != nil {
		t.Errorf("the default policy is refused: %v", err)
	}
	cases := map[string]struct {
		change func(*session.Policy)
		want   string
	}{
		"NegativeThreshold":         {func(p *session.Policy) { p.Threshold = -1 }, "refresh threshold (-1ns) must not be negative"},
		"ThresholdAsLongAsDuration": {func(p *session.Policy) { p.Threshold = p.Duration }, "must be shorter than the duration"},
		"DurationPastLongestLife":   {func(p *session.Policy) { p.LongestLife = p.Duration - 1 }, "must not be longer than the longest life"},
		"NegativeGrace":             {func(p *session.Policy) { p.Grace = -1 }, "grace (-1ns) must not be negative"},
		"GraceTooLong":              {func(p *session.Policy) { p.Grace = p.Duration - p.Threshold }, "less the refresh threshold"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := session.DefaultPolicy()
			c.change(&policy)
			err := policy.Validate()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Validate = %v, want %q", err, c.want)
			}
		})
	}
	t.Run("EachMistakeHasALine", func(t *testing.T) {
		t.Parallel()
		err := session.Policy{Threshold: 1, LongestLife: -1}.Validate()
		if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
			t.Errorf("Validate = %v, want three lines", err)
		}
	})
}

func TestPolicy_Accepts(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	policy := session.DefaultPolicy()
	own, before, older := session.TokenHash{1}, session.TokenHash{2}, session.TokenHash{3}
	rotated := func(createdAt, expiresAt, until time.Time) session.Session {
		return session.Restore(session.Stored{
			Status: session.StatusActive, CreatedAt: createdAt, ExpiresAt: expiresAt,
			Credential: session.Credential{Hash: own}, Previous: before, PreviousUntil: until,
		})
	}
	hour := noon.Add(time.Hour)
	live := rotated(noon, hour, noon.Add(us))
	revoked := live
	revoked.Revoke(session.EndUser, noon)
	cases := map[string]struct {
		session session.Session
		hash    session.TokenHash
		want    bool
	}{
		"ItsOwn":              {live, own, true},
		"TheOneBefore":        {live, before, true},
		"AnOlderOne":          {live, older, false},
		"None":                {stored(noon, hour), session.TokenHash{}, false},
		"GraceIsOver":         {rotated(noon, hour, noon), before, false},
		"GraceOverOwnIsGood":  {rotated(noon, hour, noon), own, true},
		"AlmostExpired":       {rotated(noon, noon.Add(us), noon), own, true},
		"ExpiresNow":          {rotated(noon, noon, noon.Add(us)), own, false},
		"ExpiredInTheGrace":   {rotated(noon, noon, noon.Add(us)), before, false},
		"Revoked":             {revoked, own, false},
		"RevokedInTheGrace":   {revoked, before, false},
		"PastTheLongestLife":  {rotated(noon.Add(-policy.LongestLife), hour, hour), own, false},
		"AlmostAtItsEnd":      {rotated(noon.Add(us-policy.LongestLife), hour, hour), own, true},
		"AheadOfItsOwnFuture": {rotated(hour, hour.Add(time.Hour), noon), own, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := policy.Accepts(noon, c.session, c.hash); got != c.want {
				t.Errorf("Accepts = %v", got)
			}
		})
	}
}

// What opening hands out as it is, back ends accept; what opening would
// replace, they do not.
func TestPolicy_Accepts_AsDecideSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := session.DefaultPolicy()
		within := rapid.Int64Range(-int64(40*24*time.Hour), int64(40*24*time.Hour))
		s := stored(noon.Add(time.Duration(within.Draw(t, "created"))), noon.Add(time.Duration(within.Draw(t, "expires"))))
		accepted := policy.Accepts(noon, s, s.Credential().Hash)
		switch decision := policy.Decide(noon, &session.Found{Session: s}); decision.Outcome {
		case session.OutcomeReused, session.OutcomeRefreshed:
			if !accepted {
				t.Fatalf("%s, but not accepted", decision.Outcome)
			}
		case session.OutcomeCreated:
			expired := !noon.Before(s.ExpiresAt()) || !noon.Before(s.CreatedAt().Add(policy.LongestLife))
			if accepted == expired {
				t.Fatalf("expired is %v, accepted %v", expired, accepted)
			}
		}
	})
}

func BenchmarkPolicy_Decide(b *testing.B) {
	policy := session.DefaultPolicy()
	found := &session.Found{Session: stored(noon, noon.Add(24*time.Hour))}
	b.ReportAllocs()
	for b.Loop() {
		if policy.Decide(noon, found).Outcome != session.OutcomeReused {
			b.Fatal("not reused")
		}
	}
}
