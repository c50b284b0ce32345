package session

import (
	"slices"
	"time"
)

// DevicesSince returns the start of the time in which a device counts as new at
// now: devices with a session created after it are new.
func (r AnomalyRules) DevicesSince(now time.Time) time.Time { return now.Add(-r.NewDevices.Within) }

// NewDevicesAt returns how many devices among sessions, ended ones included, are
// new at now.
func (r AnomalyRules) NewDevicesAt(now time.Time, sessions []Session) int {
	since, devices := r.DevicesSince(now), map[DeviceID]bool{}
	for _, s := range sessions {
		if s.createdAt.After(since) {
			devices[s.slot.Device] = true
		}
	}
	return len(devices)
}

// ExceedsNewDevices reports whether created, a session created at now beside
// others of its user, takes the number of new devices past the limit: byUser,
// counting all of the user's sessions, and bySignIn, counting only those that
// created's sign-in holds. Each is true only for the session that crosses the
// limit, not for those after it.
func (r AnomalyRules) ExceedsNewDevices(now time.Time, created Session, others []Session) (byUser, bySignIn bool) {
	crosses := func(before []Session) bool {
		after := append(slices.Clip(before), created)
		return r.NewDevices.Passed(r.NewDevicesAt(now, after)) && !r.NewDevices.Passed(r.NewDevicesAt(now, before))
	}
	own := slices.DeleteFunc(slices.Clone(others), func(s Session) bool { return !s.HeldBy(created.holder) })
	return crosses(others), crosses(own)
}
