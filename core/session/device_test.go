package session_test

import (
	"strings"
	"testing"

	"chatkit-session/core/session"
)

func TestGenerateDeviceID(t *testing.T) {
	t.Parallel()
	longest := session.Must(session.ParseUserID(strings.Repeat("u", session.MaxUserIDLength)))
	if got := session.GenerateDeviceID(user, noon).String(); got != "device_user_1_1735732800000" {
		t.Errorf("GenerateDeviceID = %s", got)
	}
	if _, err := session.ParseDeviceID(session.GenerateDeviceID(longest, noon).String()); err != nil {
		t.Errorf("ParseDeviceID of a generated device id = %v", err)
	}
}
