package system_test

import (
	"testing"

	"chatkit-session/adapters/system"
	"chatkit-session/ports/porttest"
)

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	porttest.Identifiers(t, system.Identifiers{})
}
