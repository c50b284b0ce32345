package session_test

import (
	"testing"
	"time"

	"chatkit-session/core/session"
)

func TestCheckClock(t *testing.T) {
	t.Parallel()
	noon := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	limit := session.MaxClockSkew
	for name, c := range map[string]struct {
		store time.Time
		took  time.Duration
		agree bool
	}{
		"SameTime":              {noon, 0, true},
		"StoreJustWithinBehind": {noon.Add(-limit), 0, true},
		"StoreBehind":           {noon.Add(-limit - time.Microsecond), 0, false},
		"StoreJustWithinAhead":  {noon.Add(limit), 0, true},
		"StoreAhead":            {noon.Add(limit + time.Microsecond), 0, false},
		"SlowAnswer":            {noon.Add(8 * time.Second), 9 * time.Second, true},
		"StoreAheadSlowAnswer":  {noon.Add(15 * time.Second), 9 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := session.CheckClock(c.store, noon, noon.Add(c.took))
			if c.agree != (err == nil) || (err != nil && session.KindOf(err) != session.KindUnavailable) {
				t.Errorf("CheckClock = %v, want agreement %v", err, c.agree)
			}
		})
	}
}
