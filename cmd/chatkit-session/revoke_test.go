package main

import (
	"net/http"
	"strings"
	"testing"

	"chatkit-session/adapters/clerk/fakeclerk"
)

// from returns a JWT of a user's sign-in.
func (s *service) from(t testing.TB, user, signIn string) string {
	t.Helper()
	token, err := s.identity.Mint(fakeclerk.Claims{Subject: user, SignIn: signIn, Role: "member", IssuedAt: s.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Signing out means it: at once, for the token and for the other sign-in; and
// nobody else's sessions are to be seen.
func TestRevoke(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		here, there, stranger := s.from(t, "user_1", "sess_here"), s.from(t, "user_1", "sess_there"), s.from(t, "user_2", "sess_x")
		mine, theirs := s.post(t, here, `{"deviceId":"phone"}`), s.post(t, there, `{"deviceId":"laptop"}`)
		del := func(who, path string, want int, body string) {
			t.Helper()
			if status, got := s.ask(t, http.MethodDelete, "/api/chatkit/sessions"+path, who, ""); status != want || !strings.Contains(got, body) {
				t.Errorf("DELETE %s = %d %s, want %d %s", path, status, got, want, body)
			}
		}
		del(stranger, "/"+mine.Session.ID, http.StatusNotFound, "not_found")
		del(here, "/0194214b-3a00-7cc3-98c4-dc0c0c07398f", http.StatusNotFound, "not_found")
		if !s.good(t, mine.Session.ChatKitSessionID) || !s.good(t, theirs.Session.ChatKitSessionID) {
			t.Error("a stranger signed somebody out")
		}

		del(here, "/"+theirs.Session.ID, http.StatusNoContent, "")
		del(here, "/"+theirs.Session.ID, http.StatusNoContent, "") // again
		if s.good(t, theirs.Session.ChatKitSessionID) {
			t.Error("the token of a session that was signed out is good")
		}
		for _, body := range []string{`{"deviceId":"laptop"}`, `{"deviceId":"another"}`, ""} {
			if got := s.post(t, there, body); got.Status != http.StatusForbidden || got.Code != "session_revoked" {
				t.Errorf("the sign-in that was signed out got %d %s", got.Status, got.raw)
			}
		}
		if got := s.post(t, s.from(t, "user_1", "sess_anew"), `{"deviceId":"laptop"}`); got.Outcome != "created" {
			t.Errorf("signed in anew got %s", got.raw)
		}

		del(here, "?keep="+mine.Session.ID, http.StatusOK, `{"revoked":1}`)
		if !s.good(t, mine.Session.ChatKitSessionID) {
			t.Error("the session to keep is gone")
		}
		del(here, "?keep="+theirs.Session.ID, http.StatusNotFound, "not_found") // it ended
		del(here, "", http.StatusOK, `{"revoked":1}`)
		del(here, "", http.StatusOK, `{"revoked":0}`)
		if got := s.post(t, here, `{"deviceId":"phone"}`); got.Outcome != "created" {
			t.Errorf("ending one's own session blocks it: %s", got.raw)
		}
	}, "INTROSPECTION_KEYS="+backendKey)
}

// Who may open but not manage signs nobody out.
func TestRevoke_NeedsManageOwn(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, `CHATKIT_ACCESS_POLICY={"others":["read_own"]}`)
	opened := s.open(t, "user_1", "")
	for _, path := range []string{"", "/" + opened.Session.ID} {
		if status, body := s.ask(t, http.MethodDelete, "/api/chatkit/sessions"+path, s.from(t, "user_1", "sess_1"), ""); status != http.StatusForbidden {
			t.Errorf("DELETE %s = %d %s", path, status, body)
		}
	}
}
