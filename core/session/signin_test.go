package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatkit-session/core/session"
)

// bearer returns the bearer of a sign-in that was verified this long before noon;
// unsaid means that the credential has no verification time.
func bearer(signIn string, ago time.Duration) session.Bearer {
	b := session.Bearer{User: user, Holder: holder(signIn)}
	if ago != unsaid {
		b.Verified = noon.Add(-ago)
	}
	return b
}

const unsaid time.Duration = -1 << 62

// holder parses a sign-in such as "sess_1", with an actor "sess_1 agent:agent_1".
func holder(text string) session.Holder {
	signIn, actor, _ := strings.Cut(text, " ")
	return session.Holder{SignIn: session.Must(session.ParseSignInID(signIn)), Actor: session.RestoreActor(actor)}
}

// seen returns a sign-in that was first seen and last verified this long before noon.
func seen(text string, first, verified time.Duration) session.SignIn {
	signIn, actor, _ := strings.Cut(text, " ")
	return session.RestoreSignIn(session.StoredSignIn{SignIn: signIn, Actor: actor, FirstSeen: noon.Add(-first), Verified: noon.Add(-verified)})
}

func TestRestoreSignIn(t *testing.T) {
	t.Parallel()
	s := session.RestoreSignIn(session.StoredSignIn{
		SignIn: "sess_1", Actor: "agent:agent_1", FirstSeen: noon, Verified: noon.Add(1), BlockedAt: noon.Add(2),
	})
	if s.Holder() != holder("sess_1 agent:agent_1") || !s.FirstSeen().Equal(noon) || !s.Verified().Equal(noon.Add(1)) || !s.BlockedAt().Equal(noon.Add(2)) {
		t.Errorf("RestoreSignIn = %+v", s)
	}
}

// The credential's time counts or, without it, when the sign-in was first seen.
func TestSignIns_VerifiedBy(t *testing.T) {
	t.Parallel()
	known := session.SignIns{seen("sess_2", time.Hour, time.Minute), seen("sess_1", 2*time.Hour, 30*time.Minute)}
	for name, c := range map[string]struct {
		bearer session.Bearer
		ago    time.Duration
	}{
		"SaysSo":               {bearer("sess_1", 5*time.Minute), 5 * time.Minute},
		"SaysLessThanWasSeen":  {bearer("sess_1", 3*time.Hour), 3 * time.Hour},
		"NotSeenBefore":        {bearer("sess_9", 5*time.Minute), 5 * time.Minute},
		"NeverInTheFuture":     {bearer("sess_1", -time.Minute), 0},
		"NotVerified":          {bearer("sess_1", unsaid), 2 * time.Hour},
		"NotVerifiedNotSeen":   {bearer("sess_9", unsaid), 0},
		"UnsaidOfAnotherActor": {bearer("sess_1 agent:agent_1", unsaid), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := noon.Sub(known.VerifiedBy(c.bearer, noon)); got != c.ago {
				t.Errorf("VerifiedBy is %s ago, want %s", got, c.ago)
			}
		})
	}
}

// An unknown sign-in is older than any other.
func TestSignIns_VerifiedIn(t *testing.T) {
	t.Parallel()
	known := session.SignIns{seen("sess_2", time.Hour, time.Minute)}
	if got := known.VerifiedIn(holder("sess_2")); !got.Equal(noon.Add(-time.Minute)) {
		t.Errorf("VerifiedIn = %s", got)
	}
	for _, unknown := range []session.Holder{holder("sess_1"), holder("sess_2 agent:agent_1"), {}} {
		if got := known.VerifiedIn(unknown); !got.IsZero() {
			t.Errorf("VerifiedIn(%v) = %s", unknown, got)
		}
	}
}

// inFull describes a sign-in, with its times as durations before noon.
func inFull(s session.SignIn) string {
	text := fmt.Sprintf("%s %s seen %s verified %s", s.Holder().SignIn, s.Holder().Actor, noon.Sub(s.FirstSeen()), noon.Sub(s.Verified()))
	if !s.BlockedAt().IsZero() {
		text += fmt.Sprintf(" blocked %s", noon.Sub(s.BlockedAt()))
	}
	return text
}

// A record keeps the earliest first sight and the latest verification.
func TestSignIns_See(t *testing.T) {
	t.Parallel()
	known := session.SignIns{seen("sess_1", 2*time.Hour, 30*time.Minute), seen("sess_2", time.Hour, time.Hour)}
	for name, c := range map[string]struct {
		bearer session.Bearer
		want   string
	}{
		"New":              {bearer("sess_9", 5*time.Minute), "sess_9  seen 0s verified 5m0s"},
		"NewUnsaid":        {bearer("sess_9", unsaid), "sess_9  seen 0s verified 0s"},
		"NewActor":         {bearer("sess_1 agent:agent_1", unsaid), "sess_1 agent:agent_1 seen 0s verified 0s"},
		"VerifiedAnew":     {bearer("sess_1", 5*time.Minute), "sess_1  seen 2h0m0s verified 5m0s"},
		"VerifiedAsKnown":  {bearer("sess_1", 30*time.Minute), "sess_1  seen 2h0m0s verified 30m0s"},
		"VerifiedBefore":   {bearer("sess_1", 3*time.Hour), "sess_1  seen 2h0m0s verified 30m0s"},
		"NotVerified":      {bearer("sess_1", unsaid), "sess_1  seen 2h0m0s verified 30m0s"},
		"NeverInTheFuture": {bearer("sess_1", -time.Minute), "sess_1  seen 2h0m0s verified 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := inFull(known.See(c.bearer, noon)); got != c.want {
				t.Errorf("See = %s, want %s", got, c.want)
			}
		})
	}
}

// Sign-ins that hold an active session stay recorded, and the fifty of the others
// that were verified last.
func TestSignIns_Forgettable(t *testing.T) {
	t.Parallel()
	var known session.SignIns
	for i := range session.MaxIdleSignIns + 3 {
		known = append(known, seen(fmt.Sprintf("sess_%02d", i), 0, time.Duration(i)*time.Minute))
	}
	slices.Reverse(known)
	of := func(by string, with ...func(*session.Stored)) session.Session {
		signIn, actor, _ := strings.Cut(by, " ")
		return found(0, day, append(with, func(s *session.Stored) { s.SignIn, s.Actor = signIn, actor })...).Session
	}
	over := func(s *session.Stored) { s.Status = session.StatusRevoked }
	tie := session.SignIns{seen("sess_b", 0, day), seen("sess_a", 0, day), seen("sess_a agent:agent_1", 0, day)}
	for name, c := range map[string]struct {
		known session.SignIns
		held  []session.Session
		want  string
	}{
		"None":                   {nil, nil, ""},
		"JustFifty":              {known[3:], nil, ""},
		"TheOldest":              {known, nil, "sess_50 sess_51 sess_52"},
		"NotThoseThatHold":       {known, []session.Session{of("sess_52"), of("sess_50")}, "sess_51"},
		"ThoseThatHoldTakeNone":  {known, []session.Session{of("sess_00"), of("sess_01")}, "sess_52"},
		"NotThoseThatHeld":       {known, []session.Session{of("sess_52", over)}, "sess_50 sess_51 sess_52"},
		"AnActorHoldsForItself":  {known, []session.Session{of("sess_52 agent:agent_1")}, "sess_50 sess_51 sess_52"},
		"TheNameBreaksTies":      {append(slices.Clone(tie), known[3:51]...), nil, "sess_b"},
		"TheActorBreaksTheOther": {append(slices.Clone(tie), known[3:52]...), nil, "sess_a agent:agent_1 sess_b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, h := range c.known.Forgettable(c.held) {
				got = append(got, strings.TrimSuffix(h.SignIn.String()+" "+h.Actor.String(), " "))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("Forgettable = %v, want %s", got, c.want)
			}
		})
	}
}
