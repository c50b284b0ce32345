package session_test

import (
	"testing"
	"time"

	"chatkit-session/core/session"
)

func TestAnomalyRules_NewDevicesAt(t *testing.T) {
	t.Parallel()
	rules := session.AnomalyRules{NewDevices: session.Limit{Most: 1, Within: 10 * time.Minute}}
	on := func(device string, age time.Duration) session.Session {
		return stored(noon.Add(-age), noon.Add(day), func(s *session.Stored) { s.Device = device })
	}
	signedOut := on("tablet", time.Minute)
	signedOut.Revoke(session.EndUser, noon)
	for name, c := range map[string]struct {
		sessions []session.Session
		want     int
	}{
		"None":                {nil, 0},
		"New":                 {[]session.Session{on("phone", 0), on("laptop", 10*time.Minute-us)}, 2},
		"NotNew":              {[]session.Session{on("phone", 10*time.Minute), on("laptop", day)}, 0},
		"SameDeviceTwice":     {[]session.Session{on("phone", 0), on("phone", time.Minute), on("laptop", 0)}, 2},
		"EndedSession":        {[]session.Session{on("phone", 0), signedOut}, 2},
		"SignedOutAndInAgain": {[]session.Session{on("tablet", 0), signedOut}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := rules.NewDevicesAt(noon, c.sessions); got != c.want {
				t.Errorf("NewDevicesAt = %d, want %d", got, c.want)
			}
		})
	}
	if got := rules.DevicesSince(noon); !got.Equal(noon.Add(-10 * time.Minute)) {
		t.Errorf("DevicesSince = %s", got)
	}
}

func TestAnomalyRules_ExceedsNewDevices(t *testing.T) {
	t.Parallel()
	rules := session.AnomalyRules{NewDevices: session.Limit{Most: 2, Within: 10 * time.Minute}}
	on := func(device, signIn string) session.Session {
		return stored(noon, noon.Add(day), func(s *session.Stored) { s.Device, s.SignIn = device, signIn })
	}
	created := on("new", "sess_1")
	for name, c := range map[string]struct {
		others           []session.Session
		byUser, bySignIn bool
	}{
		"None":              {nil, false, false},
		"AtTheLimit":        {[]session.Session{on("phone", "sess_1")}, false, false},
		"SignInCrosses":     {[]session.Session{on("phone", "sess_1"), on("laptop", "sess_1")}, true, true},
		"UserCrosses":       {[]session.Session{on("phone", "sess_1"), on("laptop", "sess_2")}, true, false},
		"UserCrossedSignIn": {[]session.Session{on("phone", "sess_1"), on("laptop", "sess_1"), on("tablet", "sess_2")}, false, true},
		"CrossedBefore":     {[]session.Session{on("phone", "sess_1"), on("laptop", "sess_1"), on("tablet", "sess_1")}, false, false},
		"KnownDevice":       {[]session.Session{on("phone", "sess_1"), on("new", "sess_1")}, false, false},
		"UnknownHolders":    {[]session.Session{on("phone", ""), on("laptop", "")}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			byUser, bySignIn := rules.ExceedsNewDevices(noon, created, c.others)
			if byUser != c.byUser || bySignIn != c.bySignIn {
				t.Errorf("ExceedsNewDevices = %v, %v, want %v, %v", byUser, bySignIn, c.byUser, c.bySignIn)
			}
		})
	}
	off := session.AnomalyRules{}
	if byUser, bySignIn := off.ExceedsNewDevices(noon, created, nil); byUser || bySignIn {
		t.Errorf("without a limit: ExceedsNewDevices = %v, %v", byUser, bySignIn)
	}
}
