package session_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"chatkit-session/core/session"
)

var noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

const (
	us  = time.Microsecond
	day = 24 * time.Hour
)

// stored returns an active session of the given times that is in use at noon.
func stored(createdAt, expiresAt time.Time, with ...func(*session.Stored)) session.Session {
	s := session.Stored{
		ID:             "0194f3a0-0000-7000-8000-000000000001",
		User:           "user_1",
		Device:         "phone",
		Workflow:       "workflow_1",
		Status:         session.StatusActive,
		CreatedAt:      createdAt,
		ExpiresAt:      expiresAt,
		LastActivityAt: noon,
		Credential:     session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")},
	}
	for _, change := range with {
		change(&s)
	}
	return session.Restore(s)
}

func remembered(s *session.Stored) { s.Remembered = true }

// idleFor lets the session be last used so long before noon.
func idleFor(d time.Duration) func(*session.Stored) {
	return func(s *session.Stored) { s.LastActivityAt = noon.Add(-d) }
}

// shortIdle is the default policy with an idle timeout of an hour for usual
// sessions.
func shortIdle() session.Policy {
	policy := session.DefaultPolicy()
	policy.Usual.IdleTimeout = time.Hour
	return policy
}

// A decision in short, for tables.
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

// kept is d for a session that is remembered.
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

func TestPolicy_StatusAt(t *testing.T) {
	t.Parallel()
	revoked := found(2*time.Hour, 0)
	revoked.Session.Revoke(session.EndUser, noon)
	for name, c := range map[string]struct {
		found *session.Found
		want  session.Status
	}{
		"Active":                      {found(0, day), session.StatusActive},
		"AlmostExpired":               {found(day-us, us), session.StatusActive},
		"ExpiresNow":                  {found(day, 0), session.StatusExpired},
		"AlmostAtItsLongestLife":      {found(30*day-us, day), session.StatusActive},
		"AtItsLongestLife":            {found(30*day, day), session.StatusExpired},
		"RememberedLivesLonger":       {found(30*day, day, remembered), session.StatusActive},
		"RememberedAlmostAtItsEnd":    {found(90*day-us, day, remembered), session.StatusActive},
		"RememberedAtItsLongestLife":  {found(90*day, day, remembered), session.StatusExpired},
		"AlmostIdle":                  {found(day, day, idleFor(time.Hour-us)), session.StatusActive},
		"ExactlyIdle":                 {found(day, day, idleFor(time.Hour)), session.StatusExpired},
		"RememberedIsIdleByItsOwn":    {found(day, day, remembered, idleFor(7*day-us)), session.StatusActive},
		"RememberedExactlyIdle":       {found(day, day, remembered, idleFor(7*day)), session.StatusExpired},
		"RevokedStaysSoPastItsExpiry": {revoked, session.StatusRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := shortIdle().StatusAt(noon, c.found.Session); got != c.want {
				t.Errorf("StatusAt = %s, want %s", got, c.want)
			}
		})
	}
	if got := session.DefaultPolicy().StatusAt(noon, found(day, day, idleFor(day)).Session); got != session.StatusActive {
		t.Errorf("without an idle timeout it is %s", got)
	}
}

// drawPolicy draws any valid policy.
func drawPolicy(t *rapid.T) session.Policy {
	seconds := func(label string, low, high int64) time.Duration {
		return time.Duration(rapid.Int64Range(low, high).Draw(t, label)) * time.Second
	}
	const year = 365 * 24 * 3600
	terms := func(of string) session.Terms {
		duration := seconds(of+" duration", 1, year)
		return session.Terms{
			Duration: duration, LongestLife: duration + seconds(of+" more life", 0, year),
			IdleTimeout: seconds(of+" idle", 0, 1) * time.Duration(rapid.Int64Range(1, year).Draw(t, of+" idle timeout")),
		}
	}
	p := session.Policy{Usual: terms("usual"), Remembered: terms("remembered"), OfferLifetime: time.Minute}
	p.ActorDuration = seconds("actor duration", 1, int64(p.Usual.LongestLife/time.Second))
	shorter := min(p.Usual.Duration, p.Remembered.Duration)
	p.Threshold = seconds("threshold", 0, int64(shorter/time.Second)-1)
	p.Grace = seconds("grace", 0, int64((shorter-p.Threshold)/time.Second)-1)
	return p
}

// drawFound draws a session of any times, sensible or not, as other settings,
// other clocks or an operator may have left it, or none.
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

func termsOf(policy session.Policy, remembered bool) session.Terms {
	if remembered {
		return policy.Remembered
	}
	return policy.Usual
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
				t.Fatal("continues a session that has ended")
			}
		}
		if !d.ExpiresAt.After(noon) || d.ExpiresAt.After(createdAt.Add(termsOf(policy, d.Remembered).LongestLife)) {
			t.Fatalf("gives out an expired session, or one that goes past its longest life: %+v", d)
		}
		if remember != nil && d.Remembered != *remember {
			t.Fatalf("does not do as it is told: %+v", d)
		}
		switch d.Outcome {
		case session.OutcomeCreated, session.OutcomeRefreshed:
			if !policy.RefreshAfter(stored(noon, d.ExpiresAt)).After(noon) {
				t.Fatalf("leaves a session that must refresh at once: %+v", d)
			}
		case session.OutcomeReused:
			if found.Unreadable {
				t.Fatal("reuses a token that nobody can read")
			}
			if d.Remembered == was && d.ExpiresAt.After(found.Session.ExpiresAt()) {
				t.Fatalf("prolongs a session without a new token: %+v", d)
			}
		case session.OutcomeTransferred:
			t.Fatal("moves what nobody moves")
		}
		if d.Outcome != session.OutcomeCreated && remember == nil && d.Remembered != was {
			t.Fatalf("changes what nobody asked for: %+v", d)
		}
	})
}

// Applying a decision leaves a session that the next request, at the same
// moment, reuses as it is, whether or not it says again what it wants.
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
			t.Fatal("moves what nobody moves")
		}
		want := session.Decision{Outcome: session.OutcomeReused, ExpiresAt: d.ExpiresAt, Remembered: d.Remembered}
		for _, again := range []*bool{nil, remember} {
			if got := policy.Decide(noon, session.Actor{}, &session.Found{Session: next}, again); got != want {
				t.Fatalf("after %+v comes %+v, want %+v", d, got, want)
			}
		}
	})
}

// The defaults are promised to operators.
func TestDefaultPolicy(t *testing.T) {
	t.Parallel()
	want := session.Policy{
		Usual:         session.Terms{Duration: day, LongestLife: 30 * day},
		Remembered:    session.Terms{Duration: 30 * day, LongestLife: 90 * day, IdleTimeout: 7 * day},
		ActorDuration: time.Hour,
		Threshold:     time.Hour,
		Grace:         30 * time.Second,
		Warning:       5 * time.Minute,
		OfferLifetime: 2 * time.Minute,
		MostSessions:  10,
	}
	if got := session.DefaultPolicy(); got != want {
		t.Errorf("DefaultPolicy = %+v, want %+v", got, want)
	}
}

func TestPolicy_Validate(t *testing.T) {
	t.Parallel()
	const ns = time.Nanosecond
	type policy = session.Policy
	for name, change := range map[string]func(*policy){
		"TheDefault": func(*policy) {},
		"NothingOptional": func(p *policy) {
			p.Threshold, p.Grace, p.Warning, p.MostSessions, p.Remembered.IdleTimeout = 0, 0, 0, 0, 0
		},
		"JustTheThreshold": func(p *policy) { p.Threshold, p.Grace = p.Usual.Duration-ns, 0 },
		"AllOfItsLife": func(p *policy) {
			p.Usual.LongestLife, p.Remembered.LongestLife = p.Usual.Duration, p.Remembered.Duration
		},
		"JustTheGrace":             func(p *policy) { p.Grace = p.Usual.Duration - p.Threshold - ns },
		"ActorsLiveAsLongAsOthers": func(p *policy) { p.ActorDuration = p.Usual.LongestLife },
		"ShortOffers":              func(p *policy) { p.OfferLifetime = ns },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := session.DefaultPolicy()
			change(&p)
			if err := p.Validate(); err != nil {
				t.Errorf("Validate = %v", err)
			}
		})
	}
	for name, c := range map[string]struct {
		change func(*policy)
		want   string
	}{
		"NegativeThreshold":      {func(p *policy) { p.Threshold = -ns }, "the refresh threshold (-1ns) must not be negative"},
		"NegativeGrace":          {func(p *policy) { p.Grace = -ns }, "the rotation grace (-1ns) must not be negative"},
		"NegativeWarning":        {func(p *policy) { p.Warning = -ns }, "the warning window (-1ns) must not be negative"},
		"NoTimeToTransfer":       {func(p *policy) { p.OfferLifetime = 0 }, "the lifetime of transfer codes (0s) must be longer than nothing"},
		"NoTimeForActors":        {func(p *policy) { p.ActorDuration = 0 }, "the duration of actors' sessions (0s) must be positive"},
		"ActorsLiveTooLong":      {func(p *policy) { p.ActorDuration = 30*day + ns }, "the duration of actors' sessions (720h0m0.000000001s) must not be longer than the longest life (720h0m0s)"},
		"NegativeLimit":          {func(p *policy) { p.MostSessions = -1 }, "the most sessions of a user (-1) must not be negative"},
		"Threshold":              {func(p *policy) { p.Threshold, p.Usual.Duration, p.Grace = day, day, -0 }, "the refresh threshold (24h0m0s) must be shorter than the duration (24h0m0s)"},
		"Threshold/Remembered":   {func(p *policy) { p.Remembered.Duration = p.Threshold }, "the refresh threshold (1h0m0s) must be shorter than the remembered duration (1h0m0s)"},
		"LongestLife":            {func(p *policy) { p.Usual.LongestLife = day - time.Second }, "the duration (24h0m0s) must not be longer than the longest life (23h59m59s)"},
		"LongestLife/Remembered": {func(p *policy) { p.Remembered.LongestLife = day }, "the remembered duration (720h0m0s) must not be longer than the remembered longest life (24h0m0s)"},
		"Grace":                  {func(p *policy) { p.Grace = 23 * time.Hour }, "the rotation grace (23h0m0s) must be shorter than the duration less the refresh threshold (23h0m0s)"},
		"Grace/Remembered":       {func(p *policy) { p.Remembered.Duration = time.Hour + p.Grace }, "the rotation grace (30s) must be shorter than the remembered duration less the refresh threshold (30s)"},
		"Idle":                   {func(p *policy) { p.Usual.IdleTimeout = -ns }, "the idle timeout (-1ns) must not be negative"},
		"Idle/Remembered":        {func(p *policy) { p.Remembered.IdleTimeout = -ns }, "the remembered idle timeout (-1ns) must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := session.DefaultPolicy()
			c.change(&p)
			err := p.Validate()
			if err == nil || !slices.Contains(strings.Split(err.Error(), "\n"), c.want) {
				t.Errorf("Validate = %v, want %q", err, c.want)
			}
		})
	}
	t.Run("EachMistakeHasALine", func(t *testing.T) {
		t.Parallel()
		wrong := session.Terms{Duration: -2, LongestLife: -3, IdleTimeout: -1}
		err := policy{Threshold: -1, Grace: -1, Warning: -1, MostSessions: -1, Usual: wrong, Remembered: wrong}.Validate()
		if err == nil || len(strings.Split(err.Error(), "\n")) != 15 {
			t.Errorf("Validate = %v, want fifteen lines", err)
		}
	})
}

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
		"ItsOwn":              {rotated(0, time.Hour, us), own, true},
		"TheOneBefore":        {rotated(0, time.Hour, us), before, true},
		"AnOlderOne":          {rotated(0, time.Hour, us), older, false},
		"None":                {found(0, time.Hour).Session, session.TokenHash{}, false},
		"GraceIsOver":         {rotated(0, time.Hour, 0), before, false},
		"GraceOverOwnIsGood":  {rotated(0, time.Hour, 0), own, true},
		"AlmostExpired":       {rotated(0, us, 0), own, true},
		"ExpiresNow":          {rotated(0, 0, us), own, false},
		"ExpiredInTheGrace":   {rotated(0, 0, us), before, false},
		"Revoked":             {revoked, own, false},
		"RevokedInTheGrace":   {revoked, before, false},
		"PastTheLongestLife":  {rotated(30*day, time.Hour, time.Hour), own, false},
		"AlmostAtItsEnd":      {rotated(30*day-us, time.Hour, time.Hour), own, true},
		"AheadOfItsOwnFuture": {rotated(-time.Hour, 2*time.Hour, 0), own, true},
		"AlmostIdle":          {rotated(day, time.Hour, 0, idleFor(time.Hour-us)), own, true},
		"ExactlyIdle":         {rotated(day, time.Hour, 0, idleFor(time.Hour)), own, false},
		"IdleInTheGrace":      {rotated(day, time.Hour, us, idleFor(time.Hour)), before, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := policy.Accepts(noon, c.session, c.hash); got != c.want {
				t.Errorf("Accepts = %v", got)
			}
		})
	}
}

func TestPolicy_Misleads(t *testing.T) {
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
		"NothingChanged":          {usual, usual, false},
		"Used":                    {usual, used(usual), false},
		"Revoked":                 {usual, revoked(usual), true},
		"WasRevoked":              {revoked(usual), revoked(usual), false},
		"RevokedWhenItsTimeWasUp": {of(0, 0), revoked(of(0, 0)), false},
		"LastsLonger":             {of(us, 0), usual, false},
		"LastsAsLong":             {usual, of(time.Second+us, 0), false},
		"EndsBefore":              {usual, of(time.Second, 0), true},
		"RotatedWithGrace":        {usual, rotated(usual, time.Second+us), false},
		"RotatedWithLess":         {usual, rotated(usual, time.Second), true},
		"RotatedWithNone":         {usual, rotated(usual, 0), true},
		"RotatedTwiceInTheGrace":  {of(time.Minute, time.Minute), rotated(of(time.Minute, time.Minute), time.Minute), true},
		"RotatedTwiceAfterIt":     {of(time.Minute, 0), rotated(of(time.Minute, 0), time.Minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.older.Credential().Hash != own {
				t.Fatal("the older copy has another token")
			}
			if got := policy.Misleads(noon, until, c.older, c.current); got != c.want {
				t.Errorf("Misleads = %v", got)
			}
		})
	}
}

// What opening hands out as it is, back ends accept; what opening would
// replace, they do not, but for the end of a life that it replaces early.
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

func TestPolicy_Left(t *testing.T) {
	t.Parallel()
	revoked := found(0, day)
	revoked.Session.Revoke(session.EndUser, noon)
	never := session.DefaultPolicy()
	never.Warning = 0
	for name, c := range map[string]struct {
		policy session.Policy
		found  *session.Found
		left   time.Duration
		warn   bool
	}{
		"Plenty":                  {session.DefaultPolicy(), found(0, day), day, false},
		"BeforeTheWarning":        {session.DefaultPolicy(), found(0, 5*time.Minute), 5 * time.Minute, false},
		"LessThanTheWarning":      {session.DefaultPolicy(), found(0, 5*time.Minute-us), 5*time.Minute - us, true},
		"AlmostNothing":           {session.DefaultPolicy(), found(0, us), us, true},
		"Nothing":                 {session.DefaultPolicy(), found(0, 0), 0, false},
		"OfItsLongestLife":        {session.DefaultPolicy(), found(30*day-time.Minute, day), time.Minute, true},
		"OfItsLongestLifeForLong": {session.DefaultPolicy(), found(30*day-time.Minute, day, remembered), day, false},
		"IdleIsNoWarning":         {shortIdle(), found(day, day, idleFor(time.Hour-us)), day, false},
		"Idle":                    {shortIdle(), found(day, day, idleFor(time.Hour)), 0, false},
		"Revoked":                 {session.DefaultPolicy(), revoked, 0, false},
		"NeverWarned":             {never, found(0, us), us, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if left, warn := c.policy.Left(noon, c.found.Session); left != c.left || warn != c.warn {
				t.Errorf("Left = %s, %v, want %s, %v", left, warn, c.left, c.warn)
			}
		})
	}
}

func TestPolicy_Cutoff(t *testing.T) {
	t.Parallel()
	got := session.DefaultPolicy().Cutoff(noon)
	want := session.Cutoff{
		ExpiresAt:  noon,
		Usual:      session.TermsCutoff{CreatedAt: noon.Add(-30 * day)},
		Remembered: session.TermsCutoff{CreatedAt: noon.Add(-90 * day), LastActivityAt: noon.Add(-7 * day)},
	}
	if got != want {
		t.Errorf("Cutoff = %+v, want %+v", got, want)
	}
}

// What a store finds by the cutoff is what StatusAt calls expired; each time is
// drawn at its boundary, too.
func TestPolicy_Cutoff_AsStatusAtSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		cutoff, isRemembered := policy.Cutoff(noon), rapid.Bool().Draw(t, "remembered")
		of := cutoff.Usual
		if isRemembered {
			of = cutoff.Remembered
		}
		near := func(label string, boundary time.Time) time.Time {
			return boundary.Add(time.Duration(rapid.SampledFrom([]int64{-1e12, -1, 0, 1, 1e12}).Draw(t, label)) * us)
		}
		s := stored(near("created", of.CreatedAt), near("expires", cutoff.ExpiresAt), func(s *session.Stored) {
			s.Remembered, s.LastActivityAt = isRemembered, near("last used", of.LastActivityAt)
		})
		past := !s.ExpiresAt().After(cutoff.ExpiresAt) || !s.CreatedAt().After(of.CreatedAt) ||
			(!of.LastActivityAt.IsZero() && !s.LastActivityAt().After(of.LastActivityAt))
		if expired := policy.StatusAt(noon, s) == session.StatusExpired; expired != past {
			t.Fatalf("expired is %v, past the cutoff %v", expired, past)
		}
	})
}

// At the limit end, in this order and each from the longest unused on, what was
// not used for a day, what the holder has itself, and what others have.
func TestPolicy_Excess(t *testing.T) {
	t.Parallel()
	mine := session.Holder{SignIn: signIn}
	live := func(id string, idle, age time.Duration, more ...func(*session.Stored)) session.Session {
		more = append([]func(*session.Stored){idleFor(idle), func(s *session.Stored) { s.ID, s.SignIn = id, "sess_2" }}, more...)
		return stored(noon.Add(-age), noon.Add(day), more...)
	}
	own := func(s *session.Stored) { s.SignIn = "sess_1" }
	acts := func(s *session.Stored) { s.Actor = "agent:agent_1" }
	otherActs := func(s *session.Stored) { s.Actor = "impersonator:agent_1" }
	a, b, c := live("a", 3*time.Hour, 3*time.Hour), live("b", time.Hour, 5*time.Hour), live("c", 2*time.Hour, 9*time.Hour)
	var actors []session.Session
	for i := range session.MostOfActor {
		actors = append(actors, live(string(rune('0'+i)), time.Duration(i)*time.Minute, 0, acts))
	}
	for name, test := range map[string]struct {
		most   int
		holder session.Holder
		live   []session.Session
		want   string
	}{
		"NoLimit":               {0, mine, []session.Session{a, b, c}, ""},
		"None":                  {1, mine, nil, ""},
		"RoomForOne":            {4, mine, []session.Session{a, b, c}, ""},
		"JustFull":              {3, mine, []session.Session{b, c, a}, "a"},
		"OneTooMany":            {2, mine, []session.Session{b, c, a}, "ac"},
		"OnlyOne":               {1, mine, []session.Session{b, c, a}, "acb"},
		"AgeBreaksTies":         {1, mine, []session.Session{live("a", 0, time.Hour), live("b", 0, 2*time.Hour)}, "ba"},
		"TheIDBreaksTheRest":    {2, mine, []session.Session{live("b", 0, 0), live("a", 0, 0)}, "a"},
		"UseCountsBeforeTheAge": {2, mine, []session.Session{live("a", 0, 2*time.Hour), live("b", us, time.Hour)}, "b"},
		"OwnComesFirst":         {3, mine, []session.Session{a, live("b", 0, 0, own), c}, "b"},
		"UnusedForADayComesBeforeOwn": {
			3, mine, []session.Session{live("a", day, day), live("b", 3*time.Hour, day, own), c}, "a",
		},
		"AlmostADayIsInUse": {3, mine, []session.Session{live("a", day-us, day), live("b", 0, day, own), c}, "b"},
		"AllInTheirOrder": {
			1, mine,
			[]session.Session{a, b, live("c", day, day), live("d", day+us, day, own), live("e", us, 0, own), live("f", 2*us, 0, own)},
			"dcfeab",
		},
		"AnActorsAreNoUsers":    {2, mine, append([]session.Session{a}, actors...), ""},
		"AnActorsAreNotOwn":     {2, mine, []session.Session{a, b, live("x", 0, 0, own, acts)}, "a"},
		"AnActorHasTen":         {1, session.Holder{SignIn: signIn, Actor: agent}, append([]session.Session{a, b}, actors[:9]...), ""},
		"AnActorHasNoMore":      {0, session.Holder{SignIn: signIn, Actor: agent}, append([]session.Session{a, b}, actors...), "9"},
		"OtherActorsDoNotCount": {1, session.Holder{SignIn: signIn, Actor: agent}, append([]session.Session{live("x", 0, 0, otherActs)}, actors[:9]...), ""},
		"AnActorsOwnComeFirst":  {1, session.Holder{SignIn: signIn, Actor: agent}, append([]session.Session{live("x", 0, 0, own, acts)}, actors...), "x9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy, order := session.Policy{MostSessions: test.most}, slices.Clone(test.live)
			got := ""
			for _, s := range policy.Excess(noon, test.live, test.holder) {
				got += s.ID().String()
			}
			if got != test.want {
				t.Errorf("Excess = %q, want %q", got, test.want)
			}
			for i := range order {
				if order[i].ID() != test.live[i].ID() {
					t.Fatal("Excess sorts its argument")
				}
			}
		})
	}
}

// What an actor has lives for its own time, without threshold or refresh, and is
// never remembered; only a token that nobody can read is replaced.
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

// In whose place a session comes says whether it is remembered, if the request
// does not.
func TestPolicy_Create(t *testing.T) {
	t.Parallel()
	month := decision{session.OutcomeCreated, 30 * day, true}
	for name, c := range map[string]struct {
		remember *bool
		before   bool
		want     decision
	}{
		"Nobody":            {nil, false, fresh},
		"TheOneBefore":      {nil, true, month},
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
				t.Errorf("for an actor Create = %+v, want %+v", got, want)
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
		t.Errorf("of an actor's, RefreshAfter = %s", got)
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
