package session_test

import (
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
		if got := inFull(known.Block(holder(of), noon)); got != want {
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
		t.Error("an unknown one is protected")
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
			t.Errorf("of one who verified %s ago it is %s ago", ago, got)
		}
	}
	if got := noon.Sub(session.AdminMoment(noon)); got != 5*time.Second {
		t.Errorf("an admin's is %s ago", got)
	}
}
