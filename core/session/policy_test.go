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

// stored returns an active session with these times that was last used at noon.
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

// idleFor sets the last use to this long before noon.
func idleFor(d time.Duration) func(*session.Stored) {
	return func(s *session.Stored) { s.LastActivityAt = noon.Add(-d) }
}

// shortIdle returns the default policy with an idle timeout of an hour for sessions
// that are not remembered.
func shortIdle() session.Policy {
	policy := session.DefaultPolicy()
	policy.Usual.IdleTimeout = time.Hour
	return policy
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

func termsOf(policy session.Policy, remembered bool) session.Terms {
	if remembered {
		return policy.Remembered
	}
	return policy.Usual
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
		t.Errorf("StatusAt without an idle timeout = %s", got)
	}
}

// The defaults are documented.
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
		"NoTimeToTransfer":       {func(p *policy) { p.OfferLifetime = 0 }, "the lifetime of transfer codes (0s) must be positive"},
		"NoTimeForActors":        {func(p *policy) { p.ActorDuration = 0 }, "the duration of actors' sessions (0s) must be positive"},
		"ActorsLiveTooLong":      {func(p *policy) { p.ActorDuration = 30*day + ns }, "the duration of actors' sessions (720h0m0.000000001s) must not be longer than the longest life (720h0m0s)"},
		"NegativeLimit":          {func(p *policy) { p.MostSessions = -1 }, "the session limit of a user (-1) must not be negative"},
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
	t.Run("OneLinePerBrokenRule", func(t *testing.T) {
		t.Parallel()
		wrong := session.Terms{Duration: -2, LongestLife: -3, IdleTimeout: -1}
		err := policy{Threshold: -1, Grace: -1, Warning: -1, MostSessions: -1, Usual: wrong, Remembered: wrong}.Validate()
		if err == nil || len(strings.Split(err.Error(), "\n")) != 15 {
			t.Errorf("Validate = %v, want fifteen lines", err)
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

// Cutoff selects exactly the sessions for which StatusAt is StatusExpired. The test
// also draws each time at its boundary.
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
			t.Fatalf("expired = %v, selected by Cutoff = %v", expired, past)
		}
	})
}
