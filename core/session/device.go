package session

import (
	"fmt"
	"time"
)

// DeviceID identifies the device of a session. The zero value means that the client
// sent no device id.
type DeviceID struct{ name }

// ParseDeviceID accepts 1 to MaxDeviceIDLength characters of A–Z a–z 0–9 . _ : -
// and returns a KindInvalid error otherwise.
func ParseDeviceID(value string) (DeviceID, error) {
	n, err := parseName("deviceId", value, MaxDeviceIDLength)
	return DeviceID{n}, err
}

// GenerateDeviceID returns the id for a device whose client sent none:
// device_{userId}_{unix milliseconds}.
func GenerateDeviceID(user UserID, at time.Time) DeviceID {
	return DeviceID{name{fmt.Sprintf("device_%s_%d", user, at.UnixMilli())}}
}
