package session_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"chatkit-session/core/session"
)

func TestSignIns_Block(t *testing.T) {
	t.Parallel()
	known := session.SignIns{seen("sess_1", 2*time.Hour, 30*time.Minute)}
	for of, want := range map[string]string{
		"sess_1":               "sess_1  seen 2h0m0s verified 30m0s blocked 0s",
		"sess_9":               "sess_9  seen 0s verified 0s blocked 0s",
		"sess_1 agent:agent_1": "sess_1 agent:agent_1 seen 0s verified 0s blocked 0s",
	} {
		if got := inFull(known.Block(noon, holder(of))[0]); got != want {
			t.Errorf("Block = %s, want %s", got, want)
		}
	}
	if !known[0].BlockedAt().IsZero() {
		t.Error("Block changes what was there")
	}
}

// A sign-in is protected from older ones for ten minutes after its verification;
// an actor's never is.
func TestSignIns_Protected(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other         string
		verified, own time.Duration
		want          bool
	}{
		"Newer":              {"sess_2", 0, time.Hour, true},
		"JustNewer":          {"sess_2", time.Minute - us, time.Minute, true},
		"Equal":              {"sess_2", time.Minute, time.Minute, false},
		"Older":              {"sess_2", time.Minute, 0, false},
		"ExactlyTenMinutes":  {"sess_2", 10 * time.Minute, time.Hour, true},
		"MoreThanTenMinutes": {"sess_2", 10*time.Minute + us, time.Hour, false},
		"AnActor":            {"sess_2 agent:agent_1", 0, time.Hour, false},
		"AnImpersonator":     {"sess_2 impersonator:user_9", 0, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := session.SignIns{seen(c.other, day, c.verified)}
			if got := known.Protected(holder(c.other), noon.Add(-c.own), noon); got != c.want {
				t.Errorf("Protected = %v", got)
			}
		})
	}
	if (session.SignIns{}).Protected(holder("sess_2"), noon.Add(-time.Hour), noon) {
		t.Error("an unknown sign-in is protected")
	}
}

// A user's moment is the later of the caller's verification and ten minutes ago,
// an admin's five seconds ago.
func TestMoments(t *testing.T) {
	t.Parallel()
	for ago, want := range map[time.Duration]time.Duration{
		0: 0, time.Minute: time.Minute, 10*time.Minute - us: 10*time.Minute - us, 10*time.Minute + us: 10 * time.Minute, day: 10 * time.Minute,
	} {
		if got := noon.Sub(session.UserMoment(noon.Add(-ago), noon)); got != want {
			t.Errorf("UserMoment for a sign-in verified %s ago is %s ago", ago, got)
		}
	}
	if got := noon.Sub(session.AdminMoment(noon)); got != 5*time.Second {
		t.Errorf("AdminMoment is %s ago", got)
	}
}

// held returns the session with this id, held by a sign-in such as "sess_1" or
// "sess_1 agent:agent_1", or by an unknown one ("").
func held(id, by string, with ...func(*session.Stored)) session.Session {
	signIn, actor, _ := strings.Cut(by, " ")
	with = append([]func(*session.Stored){func(s *session.Stored) { s.ID, s.SignIn, s.Actor = id, signIn, actor }}, with...)
	return stored(noon.Add(-time.Hour), noon.Add(time.Hour), with...)
}

func signedOut(s *session.Stored) { s.Status = session.StatusRevoked }
func overdue(s *session.Stored)   { s.ExpiresAt = noon }

// effect describes a sign-out: the sessions that end, the blocked sign-ins and
// how long ago the moment is.
func effect(out session.SignOut) string {
	var parts []string
	for _, s := range out.Sessions {
		parts = append(parts, s.ID().String())
	}
	for _, h := range out.Blocks {
		parts = append(parts, "block "+strings.TrimSpace(h.SignIn.String()+" "+h.Actor.String()))
	}
	if !out.Moment.IsZero() {
		parts = append(parts, "moment "+noon.Sub(out.Moment).String())
	}
	return strings.Join(parts, ", ")
}

func TestSignOutOne(t *testing.T) {
	t.Parallel()
	sessions := []session.Session{
		held("a", "sess_1"), held("b", "sess_2"), held("c", "sess_2"), held("d", "sess_3", signedOut), held("e", "sess_3"),
		held("f", ""), held("g", "sess_1 agent:agent_1"),
	}
	for name, c := range map[string]struct {
		id, by        string
		holderBlocked bool
		want          string
	}{
		"OwnSignIn":           {"a", "sess_1", false, "a"},
		"OtherSignIn":         {"b", "sess_1", false, "b, c, block sess_2"},
		"EndedSession":        {"d", "sess_1", false, "e, block sess_3"},
		"HolderBlocked":       {"d", "sess_1", true, ""},
		"UnknownHolder":       {"f", "sess_1", false, "f"},
		"Actor":               {"g", "sess_1", false, "g, block sess_1 agent:agent_1"},
		"UnknownSession":      {"z", "sess_1", false, ""},
		"ActorSparesItsUser":  {"a", "sess_1 agent:agent_1", false, "a, block sess_1"},
		"ActorEndsItsSession": {"g", "sess_1 agent:agent_1", false, "g"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := session.SignOutOne(sessions, session.Must(session.ParseID(c.id)), holder(c.by), c.holderBlocked)
			if got := effect(out); got != c.want {
				t.Errorf("SignOutOne = %q, want %q", got, c.want)
			}
		})
	}
}

func TestPolicy_SignOutAll(t *testing.T) {
	t.Parallel()
	sessions := []session.Session{
		held("a", "sess_1"), held("b", "sess_2"), held("c", "sess_2", overdue), held("d", "sess_3", signedOut),
		held("e", "sess_1 agent:agent_1"), held("f", ""),
	}
	known := session.SignIns{seen("sess_1", day, time.Minute), seen("sess_2", day, day), seen("sess_4", day, day), seen("sess_4 agent:agent_1", day, day)}
	for name, c := range map[string]struct {
		by, keep, want string
	}{
		"All":            {"sess_1", "", "a, b, c, e, f, block sess_2, block sess_3, block sess_1 agent:agent_1, block sess_4, block sess_4 agent:agent_1, moment 1m0s"},
		"AllButOwn":      {"sess_1", "a", "b, c, e, f, block sess_2, block sess_3, block sess_1 agent:agent_1, block sess_4, block sess_4 agent:agent_1, moment 1m0s"},
		"AllButAnothers": {"sess_1", "b", "a, c, e, f, block sess_3, block sess_1 agent:agent_1, block sess_4, block sess_4 agent:agent_1, moment 1m0s"},
		"Actor":          {"sess_1 agent:agent_1", "", "e, block sess_4 agent:agent_1"},
		"KeepExpired":    {"sess_1", "c", "not found"},
		"KeepEnded":      {"sess_1", "d", "not found"},
		"KeepUnknown":    {"sess_1", "z", "not found"},
		"KeepUsers":      {"sess_1 agent:agent_1", "a", "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var keep session.ID
			if c.keep != "" {
				keep = session.Must(session.ParseID(c.keep))
			}
			caller := session.Bearer{User: user, Holder: holder(c.by), Verified: noon.Add(-time.Minute)}
			out, err := session.DefaultPolicy().SignOutAll(noon, caller, keep, sessions, known)
			got := effect(out)
			if errors.Is(err, session.KindNotFound) {
				got += "not found"
			}
			if got != c.want {
				t.Errorf("SignOutAll = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestSignOutUser(t *testing.T) {
	t.Parallel()
	sessions := []session.Session{held("a", "sess_1"), held("b", "sess_2", overdue), held("c", "sess_3", signedOut)}
	known := session.SignIns{seen("sess_1", day, time.Minute)}
	for name, c := range map[string]struct {
		admin session.UserID
		want  string
	}{
		"AnotherUser": {session.Must(session.ParseUserID("user_9")), "a, b, block sess_1, block sess_2, block sess_3, moment 5s"},
		"Oneself":     {user, "a, b, block sess_2, block sess_3, moment 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := session.SignOutUser(noon, session.Bearer{User: c.admin, Holder: holder("sess_1")}, user, sessions, known)
			if got := effect(out); got != c.want {
				t.Errorf("SignOutUser = %q, want %q", got, c.want)
			}
		})
	}
}

// Sessions that have expired already affect nobody.
func TestSignOut_Others(t *testing.T) {
	t.Parallel()
	out := session.SignOut{
		Sessions: []session.Session{held("a", "sess_1"), held("b", "sess_2", overdue), held("c", "sess_3")},
		Blocks:   []session.Holder{holder("sess_4")},
	}
	want := []session.Holder{holder("sess_4"), holder("sess_3")}
	if got := out.Others(noon, session.DefaultPolicy(), holder("sess_1")); !slices.Equal(got, want) {
		t.Errorf("Others = %v, want %v", got, want)
	}
}

func TestSignIns_AnyProtected(t *testing.T) {
	t.Parallel()
	known := session.SignIns{seen("sess_2", day, time.Minute), seen("sess_3", day, time.Hour)}
	caller := session.Bearer{User: user, Holder: holder("sess_1"), Verified: noon.Add(-5 * time.Minute)}
	if known.AnyProtected([]session.Holder{holder("sess_3"), holder("sess_9")}, caller, noon) {
		t.Error("AnyProtected = true for older and unknown sign-ins")
	}
	if !known.AnyProtected([]session.Holder{holder("sess_3"), holder("sess_2")}, caller, noon) {
		t.Error("AnyProtected = false with a newer sign-in")
	}
}

func TestHolder_Manages(t *testing.T) {
	t.Parallel()
	other := session.Must(session.NewActor(session.ActorAgent, "agent_2"))
	for name, c := range map[string]struct {
		by    string
		actor session.Actor
		want  bool
	}{
		"UserOwn":    {"sess_1", session.Actor{}, true},
		"UserActor":  {"sess_1", agent, true},
		"ActorOwn":   {"sess_1 agent:agent_1", agent, true},
		"ActorUser":  {"sess_1 agent:agent_1", session.Actor{}, false},
		"ActorOther": {"sess_1 agent:agent_1", other, false},
	} {
		if got := holder(c.by).Manages(c.actor); got != c.want {
			t.Errorf("%s: Manages = %v", name, got)
		}
	}
}
