package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"chatkit-session/core/session"
)

func TestParseNames(t *testing.T) {
	t.Parallel()
	parse := map[string]struct {
		field string
		limit int
		parse func(string) (fmt.Stringer, error)
	}{
		"ID":       {"id", 64, func(v string) (fmt.Stringer, error) { return session.ParseID(v) }},
		"User":     {"userId", session.MaxUserIDLength, func(v string) (fmt.Stringer, error) { return session.ParseUserID(v) }},
		"Device":   {"deviceId", session.MaxDeviceIDLength, func(v string) (fmt.Stringer, error) { return session.ParseDeviceID(v) }},
		"Workflow": {"workflowId", session.MaxWorkflowIDLength, func(v string) (fmt.Stringer, error) { return session.ParseWorkflowID(v) }},
		"SignIn":   {"sid", session.MaxSignInIDLength, func(v string) (fmt.Stringer, error) { return session.ParseSignInID(v) }},
	}
	for name, p := range parse {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, good := range []string{"a", "device_user_123_1704067200000", "A-Z.a:z_0-9", strings.Repeat("x", p.limit)} {
				if got, err := p.parse(good); err != nil || got.String() != good {
					t.Errorf("parse(%q) = %v, %v", good, got, err)
				}
			}
			for _, bad := range []string{"", " ", "a b", "a\n", "a\x00", "é", "a/b", "a\x7f", "\xff", "💬", strings.Repeat("x", p.limit+1)} {
				_, err := p.parse(bad)
				var e *session.Error
				if !errors.As(err, &e) || e.Kind != session.KindInvalid || e.Field != p.field || e.Problem == "" {
					t.Errorf("parse(%q) = %v, want an invalid %s", bad, err, p.field)
				}
			}
		})
	}
}

func TestNames_Zero(t *testing.T) {
	t.Parallel()
	if !(session.DeviceID{}).IsZero() || phone.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestMust(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("Must did not panic")
		}
	}()
	session.Must(session.ParseUserID(""))
}
