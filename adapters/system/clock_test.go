package system_test

import (
	"testing"

	"chatkit-session/adapters/system"
	"chatkit-session/ports/porttest"
)

func TestClock(t *testing.T) {
	t.Parallel()
	porttest.Clock(t, system.Clock{})
}
