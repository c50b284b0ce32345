package main

import (
	"testing"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
)

// docs/operate.md promises that db/end_all_sessions.sql ends what a restored
// backup has revived, and that users can go on.
func TestRestore_EndAllSessions(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	opened, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	s := onStore(t, opened, "INTROSPECTION_KEYS="+backendKey)
	revived := s.open(t, "user_1", `{"deviceId":"phone"}`)
	pgtest.Script(t, url, "../../db/end_all_sessions.sql")
	if s.checkedFrom(t, revived.Session.ChatKitSessionID, "192.0.2.1", "") {
		t.Error("the revived token is still valid")
	}
	again := s.open(t, "user_1", `{"deviceId":"phone"}`)
	if again.Outcome != "created" || again.Session.ID == revived.Session.ID {
		t.Errorf("the next open is %s", again.raw)
	}
}
