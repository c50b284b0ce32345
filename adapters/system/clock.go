// Package system implements the ports that need this machine: its clock and its
// secure random source.
package system

import (
	"time"

	"chatkit-session/ports"
)

// Clock reads the machine's clock.
type Clock struct{}

var _ ports.Clock = Clock{}

// Now implements ports.Clock.
func (Clock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
