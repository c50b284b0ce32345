package session

import "time"

// DevicesSince returns from when on a device counts as new at now.
func (r AnomalyRules) DevicesSince(now time.Time) time.Time { return now.Add(-r.NewDevices.Within) }

// NewDevicesAt counts the devices among sessions that are new at now.
func (r AnomalyRules) NewDevicesAt(now time.Time, sessions []Session) int {
	since, devices := r.DevicesSince(now), map[DeviceID]bool{}
	for _, s := range sessions {
		if s.createdAt.After(since) {
			devices[s.slot.Device] = true
		}
	}
	return len(devices)
}
