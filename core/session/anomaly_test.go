package session_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"chatkit-session/core/session"
)

func TestRules(t *testing.T) {
	t.Parallel()
	got := slices.Sorted(slices.Values(session.Rules()))
	if fmt.Sprint(got) != "[addresses contested_device foreign_code new_devices opens superseded_token]" {
		t.Errorf("Rules = %v", got)
	}
}

func TestParseAction(t *testing.T) {
	t.Parallel()
	for _, want := range []session.Action{session.ActionRecord, session.ActionRevoke} {
		if got, err := session.ParseAction(string(want)); err != nil || got != want {
			t.Errorf("ParseAction(%s) = %s, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "Revoke", "block"} {
		if got, err := session.ParseAction(text); !errors.Is(err, session.KindInvalid) || got != "" {
			t.Errorf("ParseAction(%q) = %s, %v", text, got, err)
		}
	}
}

func TestAnomalyRules_Default(t *testing.T) {
	t.Parallel()
	rules := session.DefaultAnomalyRules()
	for _, rule := range session.Rules() {
		if got := rules.Action(rule); got != session.ActionRecord {
			t.Errorf("action of %s = %s", rule, got)
		}
	}
	want := "{{10 10m0s} {120 1m0s} {5 5m0s} 0s 1 map[]}"
	if got := fmt.Sprint(rules); got != want {
		t.Errorf("rules = %s, want %s", got, want)
	}
}

func TestAnomalyRules_Action(t *testing.T) {
	t.Parallel()
	rules := session.AnomalyRules{Actions: map[session.Rule]session.Action{session.RuleOpens: session.ActionRevoke}}
	for _, rule := range session.Rules() {
		want := session.ActionRecord
		if rule == session.RuleOpens {
			want = session.ActionRevoke
		}
		if got := rules.Action(rule); got != want {
			t.Errorf("Action(%s) = %s, want %s", rule, got, want)
		}
	}
}

func TestAnomalyRules_Superseded(t *testing.T) {
	t.Parallel()
	previous := session.TokenHash{2}
	rotated := func(graceUntil time.Duration) session.Session {
		return found(time.Hour, day, func(s *session.Stored) { s.Previous, s.PreviousUntil = previous, noon.Add(graceUntil) }).Session
	}
	seen, revoked, again := rotated(0), rotated(0), rotated(0)
	seen.SeeSuperseded()
	revoked.Revoke(session.EndUser, noon)
	again.SeeSuperseded()
	again.Rotate(session.Credential{Hash: session.TokenHash{3}}, noon, noon.Add(day), noon)
	for name, c := range map[string]struct {
		after   time.Duration
		session session.Session
		hash    session.TokenHash
		want    bool
	}{
		"TwoTabsWithinTheGrace": {0, rotated(us), previous, false},
		"AfterTheGrace":         {0, rotated(0), previous, true},
		"LongAfterTheGrace":     {0, rotated(-day), previous, true},
		"CurrentToken":          {0, rotated(0), session.TokenHash{1}, false},
		"OlderToken":            {0, rotated(0), session.TokenHash{7}, false},
		"WithinTolerance":       {time.Minute, rotated(us - time.Minute), previous, false},
		"AfterTolerance":        {time.Minute, rotated(-time.Minute), previous, true},
		"Disabled":              {-1, rotated(-day), previous, false},
		"AlreadyRecorded":       {0, seen, previous, false},
		"EndedSession":          {0, revoked, previous, false},
		"NextRotation":          {0, again, session.TokenHash{1}, true},
		"PreviousRotation":      {0, again, previous, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (session.AnomalyRules{SupersededAfter: c.after}).Superseded(noon, c.session, c.hash); got != c.want {
				t.Errorf("Superseded = %v", got)
			}
		})
	}
}

func TestAnomalyRules_SupersededAction(t *testing.T) {
	t.Parallel()
	laptop := session.NewSource(address("192.0.2.1"), session.NewClient("Firefox 133", "Linux", "desktop"))
	inTheTrain := session.NewSource(address("198.51.100.7"), session.NewClient("Firefox 134", "Linux", "desktop"))
	thief := session.NewSource(address("203.0.113.9"), session.NewClient("curl 8", "", "bot"))
	s := found(0, day, func(s *session.Stored) { s.Source = laptop }).Session
	revokes := map[session.Rule]session.Action{session.RuleSupersededToken: session.ActionRevoke}
	for name, c := range map[string]struct {
		actions map[session.Rule]session.Action
		source  session.Source
		want    session.Action
	}{
		"Thief":                      {revokes, thief, session.ActionRevoke},
		"ThiefWithDefaultAction":     {nil, thief, session.ActionRecord},
		"LaptopThatWakesUp":          {revokes, laptop, session.ActionRecord},
		"LaptopThatWakesUpSomewhere": {revokes, inTheTrain, session.ActionRecord},
		"UnknownSource":              {revokes, session.Source{}, session.ActionRecord},
		"ActionOfAnotherRule":        {map[session.Rule]session.Action{session.RuleOpens: session.ActionRevoke}, thief, session.ActionRecord},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (session.AnomalyRules{Actions: c.actions}).SupersededAction(s, c.source); got != c.want {
				t.Errorf("SupersededAction = %s", got)
			}
		})
	}
}

func TestAnomalyRules_ForeignCode(t *testing.T) {
	t.Parallel()
	for most, want := range map[int]string{0: "", 1: "1", 3: "3"} {
		got := ""
		for refused := range 6 {
			if (session.AnomalyRules{ForeignCodes: most}).ForeignCode(refused) {
				got += fmt.Sprint(refused)
			}
		}
		if got != want {
			t.Errorf("with a limit of %d, anomalies at %q, want %q", most, got, want)
		}
	}
}
