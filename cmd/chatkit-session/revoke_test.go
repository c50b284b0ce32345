package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/api/apitest"
)

// bearer is who presents a token in a test.
type bearer struct {
	user, signIn string
	role         string // member when empty
	// ago is how many minutes ago the user verified a factor; negative when the
	// token does not say.
	ago int
	// act is the claim of that name; nil for the user in person.
	act any
}

// Actors, as the claim act says who they are.
var (
	impersonator = map[string]any{"sub": "user_boss"}
	agent        = map[string]any{"sub": "agent_1", "type": "agent"}
)

// bearing returns a JWT of somebody, issued at the service's time.
func (s *service) bearing(t testing.TB, b bearer) string {
	t.Helper()
	token, err := s.identity.Mint(b.claims(s.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (b bearer) claims(now time.Time) fakeclerk.Claims {
	override := map[string]any{"fva": []int{b.ago, -1}}
	if b.ago < 0 {
		override["fva"] = nil
	}
	if b.act != nil {
		override["act"] = b.act
	}
	return fakeclerk.Claims{Subject: b.user, SignIn: b.signIn, Role: cmp.Or(b.role, "member"), IssuedAt: now, Override: override}
}

// from returns a JWT of a user's sign-in, which was verified just now.
func (s *service) from(t testing.TB, user, signIn string) string {
	t.Helper()
	return s.bearing(t, bearer{user: user, signIn: signIn})
}

// Signing out takes effect at once, for the token and for the other sign-in; and
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
		del(here, "/"+strings.ToUpper(theirs.Session.ID), http.StatusNotFound, "not_found")
		del(here, "?keep="+strings.ToUpper(mine.Session.ID), http.StatusNotFound, "not_found")
		del(here, "?keep="+mine.Session.ID+"%", http.StatusBadRequest, `"query"`)
		del(here, "?keep="+mine.Session.ID+";v=2", http.StatusBadRequest, `"query"`)
		del(here, "?except="+mine.Session.ID, http.StatusBadRequest, `"query"`)
		del(here, "/0194214b-3a00-7cc3-98c4-dc0c0c07398f", http.StatusNotFound, "not_found")
		if !s.good(t, mine.Session.ChatKitSessionID) || !s.good(t, theirs.Session.ChatKitSessionID) {
			t.Error("somebody is signed out")
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

// Users see their sessions, all of them and no others, page by page.
func TestList(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		var tokens []string
		for _, device := range []string{"phone", "laptop", "tablet"} {
			tokens = append(tokens, s.open(t, "user_1", `{"deviceId":"`+device+`"}`).Session.ChatKitSessionID)
			s.clock.advance(time.Minute)
		}
		s.open(t, "user_2", "")
		s.revoke(t, "user_1", "laptop")
		list := func(query string) (page struct {
			Sessions []struct {
				ID, DeviceID, Status string
				Current              bool
			}
			NextCursor string
		},
		) {
			t.Helper()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/chatkit/sessions"+query, http.NoBody)
			request.Header.Set("Authorization", "Bearer "+s.credential(t, "user_1", "member"))
			request.Header.Set("X-ChatKit-Token", tokens[0])
			recorder := httptest.NewRecorder()
			s.app.server.Handler.ServeHTTP(recorder, request)
			apitest.Conforms(t, request, recorder.Result())
			for _, token := range tokens {
				if strings.Contains(recorder.Body.String(), token) {
					t.Error("a list shows a token")
				}
			}
			if err := json.Unmarshal(recorder.Body.Bytes(), &page); err != nil {
				t.Fatal(err)
			}
			return page
		}
		if got := fmt.Sprint(list("").Sessions); !regexp.MustCompile(`^\[\{\S+ tablet active false\} \{\S+ laptop revoked false\} \{\S+ phone active true\}\]$`).MatchString(got) {
			t.Errorf("listed are %s", got)
		}
		first := list("?limit=2")
		rest := list("?limit=2&cursor=" + first.NextCursor)
		if len(first.Sessions) != 2 || len(rest.Sessions) != 1 || rest.Sessions[0].DeviceID != "phone" || rest.NextCursor != "" {
			t.Errorf("page by page: %v, %v", first, rest)
		}
		s.clock.advance(24 * time.Hour)
		if got := list("?status=expired").Sessions; len(got) != 2 {
			t.Errorf("expired are %v", got)
		}
		id := first.Sessions[0].ID
		if status, body := s.ask(t, http.MethodGet, "/api/chatkit/sessions/"+id, s.credential(t, "user_1", "member"), ""); status != http.StatusOK || !strings.Contains(body, `"deviceId":"tablet"`) {
			t.Errorf("shown is %d %s", status, body)
		}
		if status, body := s.ask(t, http.MethodGet, "/api/chatkit/sessions/"+id, s.credential(t, "user_2", "member"), ""); status != http.StatusNotFound {
			t.Errorf("another user is shown %d %s", status, body)
		}
	})
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
