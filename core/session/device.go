package session

import (
	"fmt"
	"time"
)

// DeviceID names where a session lives. The zero value stands for "the client
// named no device".
type DeviceID struct{ name }

// ParseDeviceID accepts 1 to MaxDeviceIDLength characters of A–Z a–z 0–9 . _ : -
// and returns a KindInvalid error otherwise.
func ParseDeviceID(value string) (DeviceID, error) {
	n, err := parseName("deviceId", value, MaxDeviceIDLength)
	return DeviceID{n}, err
}

// GenerateDeviceID makes the name of a device whose client gave none:
// device_{userId}_{unix milliseconds}.
func GenerateDeviceID(user UserID, at time.Time) DeviceID {
	return DeviceID{name{fmt.Sprintf("device_%s_%d", user, at.UnixMilli())}}
}
