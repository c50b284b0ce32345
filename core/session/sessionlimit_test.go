package session_test

import (
	"slices"
	"testing"
	"time"

	"chatkit-session/core/session"
)

// At the limit, sessions end in this order, and the least recently used first: those
// not used for a day, the holder's own, others'.
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
					t.Fatal("Excess reordered its argument")
				}
			}
		})
	}
}
