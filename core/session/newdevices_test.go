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
		"None":                     {nil, 0},
		"New":                      {[]session.Session{on("phone", 0), on("laptop", 10*time.Minute-us)}, 2},
		"NotNewAnyMore":            {[]session.Session{on("phone", 10*time.Minute), on("laptop", day)}, 0},
		"ADeviceCountsOnce":        {[]session.Session{on("phone", 0), on("phone", time.Minute), on("laptop", 0)}, 2},
		"ThoseThatEndedCount":      {[]session.Session{on("phone", 0), signedOut}, 2},
		"SignedInAndOutOnOneCount": {[]session.Session{on("tablet", 0), signedOut}, 1},
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
