package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"chatkit-session/core/session"
)

// decision is a short form of session.Decision, for tables.
type decision struct {
	outcome    session.Outcome
	left       time.Duration // at noon
	remembered bool
}

func inShort(d session.Decision) decision {
	return decision{d.Outcome, d.ExpiresAt.Sub(noon), d.Remembered}
}

var (
	yes, no = new(true), new(false)
	fresh   = decision{session.OutcomeCreated, day, false}
)

func reused(left time.Duration) decision { return decision{session.OutcomeReused, left, false} }

func refreshed(left time.Duration) decision {
	return decision{session.OutcomeRefreshed, left, false}
}

// kept returns d for a remembered session.
func (d decision) kept() decision {
	d.remembered = true
	return d
}

func found(age, left time.Duration, with ...func(*session.Stored)) *session.Found {
	return &session.Found{Session: stored(noon.Add(-age), noon.Add(left), with...)}
}

func unreadable(f *session.Found) *session.Found {
	f.Unreadable = true
	return f
}

func decides(t *testing.T, policy session.Policy, f *session.Found, remember *bool, want decision) {
	t.Helper()
	if got := inShort(policy.Decide(noon, session.Actor{}, f, remember)); got != want {
		t.Errorf("Decide = %+v, want %+v", got, want)
	}
}

func TestPolicy_Decide(t *testing.T) {
	t.Parallel()
	ended := found(time.Hour, 20*time.Hour)
	ended.Session.Revoke(session.EndUser, noon)
	for name, c := range map[string]struct {
		found *session.Found
		want  decision
	}{
		"NoneFound":                         {nil, fresh},
		"JustCreated":                       {found(0, day), reused(day)},
		"MoreThanTheThresholdLeft":          {found(day-time.Hour-us, time.Hour+us), reused(time.Hour + us)},
		"ExactlyTheThresholdLeft":           {found(day-time.Hour, time.Hour), refreshed(day)},
		"LessThanTheThresholdLeft":          {found(day-us, us), refreshed(day)},
		"ExpiresNow":                        {found(day, 0), fresh},
		"Expired":                           {found(2*day, -day), fresh},
		"EndedAlready":                      {ended, fresh},
		"RefreshStopsAtTheLongestLife":      {found(30*day-2*time.Hour, time.Minute), refreshed(2 * time.Hour)},
		"RefreshWouldLeaveTheThreshold":     {found(30*day-time.Hour, time.Minute), fresh},
		"RefreshWouldLeaveJustMore":         {found(30*day-time.Hour-us, time.Minute), refreshed(time.Hour + us)},
		"PastTheLongestLife":                {found(31*day, 5*time.Hour), fresh},
		"ReuseStopsAtTheLongestLife":        {found(30*day-2*time.Hour, 5*time.Hour), reused(2 * time.Hour)},
		"UnreadableRotates":                 {unreadable(found(0, 2*time.Hour)), refreshed(day)},
		"UnreadableAtTheEndOfItsLife":       {unreadable(found(30*day-time.Hour, time.Hour)), fresh},
		"UnreadableAndExpired":              {unreadable(found(day, 0)), fresh},
		"CreatedByAClockThatIsABitAhead":    {found(-4*time.Second, day+4*time.Second), reused(day + 4*time.Second)},
		"RefreshThresholdLeftByLongestLife": {found(30*day-time.Hour, 5*time.Hour), fresh},
		"UsualOnesMayBeIdle":                {found(23*time.Hour-us, time.Hour+us, idleFor(23*time.Hour)), reused(time.Hour + us)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decides(t, session.DefaultPolicy(), c.found, nil, c.want)
		})
	}
}

func TestPolicy_Decide_Remember(t *testing.T) {
	t.Parallel()
	month := decision{session.OutcomeCreated, 30 * day, true}
	for name, c := range map[string]struct {
		found    *session.Found
		remember *bool
		want     decision
	}{
		"New":                           {nil, yes, month},
		"NewButNot":                     {nil, no, fresh},
		"AbsentLeavesItRemembered":      {found(day, 29*day, remembered), nil, reused(29 * day).kept()},
		"YesLeavesItRemembered":         {found(day, 29*day, remembered), yes, reused(29 * day).kept()},
		"NoLeavesItUsual":               {found(time.Hour, 23*time.Hour), no, reused(23 * time.Hour)},
		"YesProlongs":                   {found(time.Hour, 23*time.Hour), yes, reused(30 * day).kept()},
		"NoShortens":                    {found(day, 29*day, remembered), no, reused(day)},
		"YesStopsAtItsLongestLife":      {found(70*day, -day+29*day, remembered), yes, reused(20 * day).kept()},
		"NoStopsAtItsLongestLife":       {found(30*day-2*time.Hour, 20*day, remembered), no, reused(2 * time.Hour)},
		"NoLeavesJustMore":              {found(30*day-time.Hour-us, 20*day, remembered), no, reused(time.Hour + us)},
		"NoWouldLeaveTheThreshold":      {found(30*day-time.Hour, 20*day, remembered), no, fresh},
		"NoIsPastTheLongestLife":        {found(40*day, 20*day, remembered), no, fresh},
		"ChangeAtTheThresholdKeepsIt":   {found(23*time.Hour, time.Hour), yes, reused(30 * day).kept()},
		"ChangeJustBeforeTheEndKeepsIt": {found(day-us, us), yes, reused(30 * day).kept()},
		"ChangeOfUnreadable":            {unreadable(found(time.Hour, 23*time.Hour)), yes, refreshed(30 * day).kept()},
		"AtTheThreshold":                {found(30*day-time.Hour, time.Hour, remembered), nil, refreshed(30 * day).kept()},
		"JustBeforeTheThreshold":        {found(30*day-time.Hour-us, time.Hour+us, remembered), yes, reused(time.Hour + us).kept()},
		"RefreshStopsAtItsLongestLife":  {found(80*day, time.Hour, remembered), nil, refreshed(10 * day).kept()},
		"EndOfItsLongestLife":           {found(90*day-time.Hour, time.Hour, remembered), nil, month},
		"JustBeforeItsLongestLife":      {found(90*day-time.Hour-us, time.Hour, remembered), nil, refreshed(time.Hour + us).kept()},
		"Expired":                       {found(day, 0), yes, month},
		"ExpiredIsForgotten":            {found(30*day, 0, remembered), nil, fresh},
		"ExactlyIdle":                   {found(8*day, 22*day, remembered, idleFor(7*day)), yes, month},
		"AlmostIdle":                    {found(8*day, 22*day, remembered, idleFor(7*day-us)), nil, reused(22 * day).kept()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decides(t, session.DefaultPolicy(), c.found, c.remember, c.want)
		})
	}
}

// drawFound draws no session or one with any times, including inconsistent ones that
// other settings, other clocks or an operator may have caused.
func drawFound(t *rapid.T, now time.Time) *session.Found {
	if rapid.IntRange(0, 9).Draw(t, "none") == 0 {
		return nil
	}
	const span = int64(800 * 24 * time.Hour / time.Microsecond)
	offset := func(label string, most int64) time.Time {
		return now.Add(time.Duration(rapid.Int64Range(-span, most).Draw(t, label)) * time.Microsecond)
	}
	f := &session.Found{Unreadable: rapid.Bool().Draw(t, "unreadable")}
	f.Session = stored(offset("created", span), offset("expires", span), func(s *session.Stored) {
		s.LastActivityAt, s.Remembered = offset("last used", 0), rapid.Bool().Draw(t, "is remembered")
	})
	if rapid.IntRange(0, 9).Draw(t, "ended") == 0 {
		f.Session.Expire(now)
	}
	return f
}

func drawRemember(t *rapid.T) *bool {
	return rapid.SampledFrom([]*bool{nil, yes, no}).Draw(t, "remember")
}

func TestPolicy_Decide_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		if err := policy.Validate(); err != nil {
			t.Fatalf("drew an invalid policy: %v", err)
		}
		found, remember := drawFound(t, noon), drawRemember(t)
		d := policy.Decide(noon, session.Actor{}, found, remember)

		createdAt, was := noon, false
		if d.Outcome != session.OutcomeCreated {
			createdAt, was = found.Session.CreatedAt(), found.Session.Remembered()
			if policy.StatusAt(noon, found.Session) != session.StatusActive {
				t.Fatal("Decide continues a session that has ended")
			}
		}
		if !d.ExpiresAt.After(noon) || d.ExpiresAt.After(createdAt.Add(termsOf(policy, d.Remembered).LongestLife)) {
			t.Fatalf("Decide returns an expired session or one past its longest life: %+v", d)
		}
		if remember != nil && d.Remembered != *remember {
			t.Fatalf("Decide ignores remember: %+v", d)
		}
		switch d.Outcome {
		case session.OutcomeCreated, session.OutcomeRefreshed:
			if !policy.RefreshAfter(stored(noon, d.ExpiresAt)).After(noon) {
				t.Fatalf("the new expiry is within the threshold: %+v", d)
			}
		case session.OutcomeReused:
			if found.Unreadable {
				t.Fatal("Decide reuses an unreadable token")
			}
			if d.Remembered == was && d.ExpiresAt.After(found.Session.ExpiresAt()) {
				t.Fatalf("Decide extends a session without a new token: %+v", d)
			}
		case session.OutcomeTransferred:
			t.Fatal("the outcome is transferred")
		}
		if d.Outcome != session.OutcomeCreated && remember == nil && d.Remembered != was {
			t.Fatalf("Decide changes remembered without a request: %+v", d)
		}
	})
}

// After a decision is applied, the same request at the same time reuses the session
// unchanged, with or without remember.
func TestPolicy_Decide_Settles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		found, remember := drawFound(t, noon), drawRemember(t)
		d := policy.Decide(noon, session.Actor{}, found, remember)

		var next session.Session
		switch d.Outcome {
		case session.OutcomeCreated:
			next = session.New(session.Draft{ExpiresAt: d.ExpiresAt, Remembered: d.Remembered}, noon)
		case session.OutcomeReused:
			next = found.Session
			before := next.Credential().Hash
			if next.Continue(nil, d) {
				next.Use(noon)
			}
			if next.Credential().Hash != before {
				t.Fatal("reuse changed the token")
			}
		case session.OutcomeRefreshed:
			next = found.Session
			next.Rotate(session.Credential{Hash: session.TokenHash{2}}, noon, d.ExpiresAt, noon.Add(policy.Grace))
			next.Continue(nil, d)
		case session.OutcomeTransferred:
			t.Fatal("the outcome is transferred")
		}
		want := session.Decision{Outcome: session.OutcomeReused, ExpiresAt: d.ExpiresAt, Remembered: d.Remembered}
		for _, again := range []*bool{nil, remember} {
			if got := policy.Decide(noon, session.Actor{}, &session.Found{Session: next}, again); got != want {
				t.Fatalf("after %+v, Decide = %+v, want %+v", d, got, want)
			}
		}
	})
}

// An actor's session lives for ActorDuration. It has no threshold and is never
// refreshed or remembered; only an unreadable token is replaced.
func TestPolicy_Decide_Actor(t *testing.T) {
	t.Parallel()
	ofActor := func(s *session.Stored) { s.Actor = agent.String() }
	created := decision{session.OutcomeCreated, time.Hour, false}
	for name, c := range map[string]struct {
		found    *session.Found
		remember *bool
		want     decision
	}{
		"New":                  {nil, nil, created},
		"NewAndRemembered":     {nil, yes, created},
		"JustCreated":          {found(0, time.Hour, ofActor), nil, reused(time.Hour)},
		"Remembered":           {found(0, time.Hour, ofActor), yes, reused(time.Hour)},
		"NoThreshold":          {found(time.Hour-us, us, ofActor), nil, reused(us)},
		"ExpiresNow":           {found(time.Hour, 0, ofActor), nil, created},
		"ExpiresAndRemembered": {found(time.Hour, 0, ofActor), yes, created},
		"Unreadable":           {unreadable(found(time.Minute, 59*time.Minute, ofActor)), nil, refreshed(59 * time.Minute)},
		"UnreadableAtItsEnd":   {unreadable(found(time.Hour-us, us, ofActor)), yes, refreshed(us)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := inShort(session.DefaultPolicy().Decide(noon, agent, c.found, c.remember)); got != c.want {
				t.Errorf("Decide = %+v, want %+v", got, c.want)
			}
		})
	}
}

// Without remember in the request, the replaced session decides whether the new one
// is remembered.
func TestPolicy_Create(t *testing.T) {
	t.Parallel()
	month := decision{session.OutcomeCreated, 30 * day, true}
	for name, c := range map[string]struct {
		remember *bool
		before   bool
		want     decision
	}{
		"Nobody":            {nil, false, fresh},
		"Previous":          {nil, true, month},
		"TheRequest":        {yes, false, month},
		"TheRequestDoesNot": {no, true, fresh},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := inShort(session.DefaultPolicy().Create(noon, session.Actor{}, c.remember, c.before)); got != c.want {
				t.Errorf("Create = %+v, want %+v", got, c.want)
			}
			want := decision{session.OutcomeCreated, time.Hour, false}
			if got := inShort(session.DefaultPolicy().Create(noon, agent, c.remember, c.before)); got != want {
				t.Errorf("Create for an actor = %+v, want %+v", got, want)
			}
		})
	}
}

// An actor's session is never refreshed.
func TestPolicy_RefreshAfter(t *testing.T) {
	t.Parallel()
	policy := session.DefaultPolicy()
	if got := policy.RefreshAfter(found(0, day).Session); !got.Equal(noon.Add(23 * time.Hour)) {
		t.Errorf("RefreshAfter = %s", got)
	}
	ofActor := func(s *session.Stored) { s.Actor = agent.String() }
	if got := policy.RefreshAfter(found(0, time.Hour, ofActor).Session); !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("RefreshAfter of an actor's session = %s", got)
	}
}

func BenchmarkPolicy_Decide(b *testing.B) {
	policy := session.DefaultPolicy()
	found := &session.Found{Session: stored(noon, noon.Add(24*time.Hour))}
	b.ReportAllocs()
	for b.Loop() {
		if policy.Decide(noon, session.Actor{}, found, nil).Outcome != session.OutcomeReused {
			b.Fatal("not reused")
		}
	}
}
