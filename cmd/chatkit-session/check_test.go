package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chatkit-session/api/apitest"
)

const backendKey = "0123456789abcdef0123456789abcdef"

// ask sends a request with a bearer to the router and returns what it says.
func (s *service) ask(t testing.TB, method, path, bearer, form string) (status int, body string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form))
	request.Header.Set("Authorization", "Bearer "+bearer)
	if form != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	recorder := httptest.NewRecorder()
	s.app.server.Handler.ServeHTTP(recorder, request)
	response := recorder.Result()
	apitest.Conforms(t, request, response)
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(raw)
}

// good reports what a proxy and a back end are told of a token, which must
// agree.
func (s *service) good(t testing.TB, token string) bool {
	t.Helper()
	verified, _ := s.ask(t, http.MethodGet, "/api/chatkit/session/verify", token, "")
	_, introspected := s.ask(t, http.MethodPost, "/api/chatkit/session/introspect", backendKey, "token="+token)
	active := strings.Contains(introspected, `"active":true`)
	if (verified == http.StatusNoContent) != active {
		t.Errorf("verify says %d, introspect %s", verified, introspected)
	}
	return active
}

// A token is good from the answer that gave it until its session expires; one
// that was superseded, for the grace.
func TestCheck_ThroughTheLifeOfASession(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		says := func(when, token string, want bool) {
			t.Helper()
			if got := s.good(t, token); got != want {
				t.Errorf("%s the token is good: %v", when, got)
			}
		}
		says("before there is any", "550e8400-e29b-41d4-a716-446655440000", false)
		first := s.open(t, "user_1", "").Session.ChatKitSessionID
		says("at once", first, true)
		s.clock.advance(23 * time.Hour)
		second := s.open(t, "user_1", "").Session.ChatKitSessionID
		says("after the refresh", second, true)
		says("within the grace", first, true)
		s.clock.advance(30*time.Second - time.Microsecond)
		says("at the end of the grace", first, true)
		s.clock.advance(time.Microsecond)
		says("after the grace", first, false)
		says("after the other's grace", second, true)
		s.clock.advance(24 * time.Hour)
		says("when its time is up", second, false)
	}, "INTROSPECTION_KEYS=another-key-of-thirty-two-characters, "+backendKey)
}

// The grace ends with the session.
func TestCheck_EndedInTheGrace(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		first := s.open(t, "user_1", `{"deviceId":"phone"}`).Session.ChatKitSessionID
		s.clock.advance(23 * time.Hour)
		second := s.open(t, "user_1", `{"deviceId":"phone"}`).Session.ChatKitSessionID
		s.revoke(t, "user_1", "phone")
		if s.good(t, first) || s.good(t, second) {
			t.Error("a token of an ended session is good")
		}
	}, "INTROSPECTION_KEYS="+backendKey)
}

func BenchmarkCheck(b *testing.B) {
	for name, on := range map[string]func(testing.TB, ...string) *service{"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		s := on(b, "INTROSPECTION_KEYS="+backendKey)
		token := s.open(b, "user_1", "").Session.ChatKitSessionID
		for path, send := range map[string]func() *http.Request{
			"verify": func() *http.Request {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/chatkit/session/verify", http.NoBody)
				r.Header.Set("Authorization", "Bearer "+token)
				return r
			},
			"introspect": func() *http.Request {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/api/chatkit/session/introspect", strings.NewReader("token="+token))
				r.Header.Set("Authorization", "Bearer "+backendKey)
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				return r
			},
		} {
			b.Run(name+"/"+path, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					recorder := httptest.NewRecorder()
					if s.app.server.Handler.ServeHTTP(recorder, send()); recorder.Code >= http.StatusBadRequest {
						b.Fatal(recorder.Body)
					}
				}
			})
		}
	}
}
