package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/clerk/fakeclerk"
)

// Admins see and end anybody's sessions, which the user's timeline tells, and
// which signs the user out; and nobody else does.
func TestAdmin(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		admin, theirs := s.credential(t, "user_boss", "admin"), s.from(t, "user_1", "sess_1")
		phone, laptop := s.post(t, theirs, `{"deviceId":"phone"}`), s.post(t, s.from(t, "user_1", "sess_2"), `{"deviceId":"laptop"}`)
		bystander := s.open(t, "user_2", "")
		if got := as[shown](t, s, http.StatusOK, http.MethodGet, "/admin/users/user_1/sessions", admin, "").statuses(); got != "laptop active, phone active" {
			t.Errorf("listed are %s", got)
		}
		for _, again := range []string{"once", "again"} {
			if status, body := s.send(t, http.MethodDelete, "/admin/sessions/"+phone.Session.ID, admin, "", "User-Agent", firefox); status != http.StatusNoContent {
				t.Errorf("%s DELETE = %d %s", again, status, body)
			}
		}
		if s.good(t, phone.Session.ChatKitSessionID) || !s.good(t, laptop.Session.ChatKitSessionID) {
			t.Error("the wrong session ended")
		}
		if got := s.post(t, theirs, `{"deviceId":"phone"}`); got.Code != "session_revoked" {
			t.Errorf("the sign-in that was signed out got %s", got.raw)
		}
		for want := 1; want >= 0; want-- {
			if got := as[struct{ Revoked int }](t, s, http.StatusOK, http.MethodDelete, "/admin/users/user_1/sessions", admin, ""); got.Revoked != want {
				t.Errorf("revoked %d, want %d", got.Revoked, want)
			}
		}
		if status, body := s.send(t, http.MethodDelete, "/admin/sessions/0194214b-3a00-7cc3-98c4-dc0c0c07398f", admin, ""); status != http.StatusNotFound {
			t.Errorf("of none DELETE = %d %s", status, body)
		}
		if !s.good(t, bystander.Session.ChatKitSessionID) {
			t.Error("another user's session ended")
		}
		told := 0
		for _, a := range s.timeline(t, s.from(t, "user_1", "sess_3")).Activity {
			if a.Type == "revoked" && a.Detail["by"] == "admin" && a.Detail["actor"] == "user_boss" && a.IP == "" && a.Client.Browser == "" {
				told++
			}
		}
		if told != 2 {
			t.Errorf("the timeline tells of %d", told)
		}
	}, "INTROSPECTION_KEYS="+backendKey)
}

// Totals by status, and use by day.
func TestAdmin_Stats(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		token := s.open(t, "user_1", "").Session.ChatKitSessionID
		s.open(t, "user_1", "")
		s.good(t, token) // two checks
		s.open(t, "user_2", "")
		s.revoke(t, "user_2", s.open(t, "user_2", "").Session.DeviceID)
		flush := func() {
			t.Helper()
			if err := s.app.usage.FlushAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		flush()
		s.clock.advance(23 * time.Hour)
		s.good(t, token)
		flush()
		s.clock.advance(time.Hour)
		_, got := s.send(t, http.MethodGet, "/admin/stats", s.credential(t, "user_boss", "admin"), "")
		const want = `{"days":[{"checks":2,"day":"2025-01-02","opens":0},{"checks":2,"day":"2025-01-01","opens":2}],"sessions":{"active":0,"expired":1,"revoked":1}}`
		if strings.TrimSpace(got) != want {
			t.Errorf("the totals are %s, want %s", got, want)
		}
	}, "INTROSPECTION_KEYS="+backendKey)
}

// Neither a member nor an admin of some organization is an admin here, and one
// who may read may not manage.
func TestAdmin_NeedsTheRole(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, `CHATKIT_ACCESS_POLICY={"roles":{"auditor":["read_all"],"admin":["read_all","manage_all"]},"others":["read_own","manage_own"]}`)
	organization, err := s.identity.Mint(fakeclerk.Claims{Subject: "user_1", SignIn: "sess_1", IssuedAt: s.clock.Now(), Override: map[string]any{"o": map[string]any{"id": "org_1", "rol": "admin"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path string
		auditor      int
	}{
		{http.MethodGet, "/admin/stats", http.StatusOK},
		{http.MethodGet, "/admin/users/user_1/sessions", http.StatusOK},
		{http.MethodDelete, "/admin/users/user_1/sessions", http.StatusForbidden},
		{http.MethodDelete, "/admin/sessions/x", http.StatusForbidden},
	} {
		for name, who := range map[string]struct {
			credential string
			want       int
		}{
			"member":       {s.credential(t, "user_1", "member"), http.StatusForbidden},
			"organization": {organization, http.StatusForbidden},
			"auditor":      {s.credential(t, "user_1", "auditor"), test.auditor},
			"nobody":       {"", http.StatusUnauthorized},
		} {
			if status, body := s.send(t, test.method, test.path, who.credential, ""); status != who.want {
				t.Errorf("%s: %s %s = %d %s, want %d", name, test.method, test.path, status, body, who.want)
			}
		}
	}
}

// verifyWarns reports whether forward-auth warns of a session's end.
func (s *service) verifyWarns(t testing.TB, token string) bool {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/chatkit/session/verify", http.NoBody)
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	s.app.server.Handler.ServeHTTP(recorder, request)
	return recorder.Header().Get("X-ChatKit-Warning") == "expires_soon"
}
