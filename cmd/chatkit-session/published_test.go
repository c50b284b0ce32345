package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The published answers, to the letter. A text that begins with ~ is a regular
// expression for the whole value: ids, tokens, and texts that may change.
const (
	publishedOpen = `{
		"session": {
			"id": "~[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
			"chatKitSessionId": "~[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
			"deviceId": "device_user_1_1735732800000",
			"userId": "user_1",
			"workflowId": "workflow_1",
			"createdAt": "2025-01-01T12:00:00.000Z",
			"expiresAt": "2025-01-02T12:00:00.000Z",
			"refreshAfter": "2025-01-02T11:00:00.000Z",
			"expiresIn": 86400,
			"rememberMe": false,
			"metadata": {"source": "web", "version": "1.0.0"}
		},
		"outcome": "created"
	}`
	publishedUnauthorized  = `{"error": "Unauthorized", "message": "Authentication required", "code": "unauthorized", "requestId": "request-1"}`
	publishedNoRole        = `{"error": "Forbidden", "message": "User role not found", "code": "role_not_found", "requestId": "request-1"}`
	publishedNoWorkflow    = `{"error": "Configuration Error", "message": "ChatKit workflow ID not configured", "code": "workflow_not_configured", "requestId": "request-1"}`
	publishedCreateFailed  = `{"error": "Internal Server Error", "message": "Failed to create session", "code": "create_failed", "requestId": "request-1"}`
	publishedRefreshFailed = `{"error": "Internal Server Error", "message": "Failed to refresh session", "code": "refresh_failed", "requestId": "request-1"}`
	publishedRateLimited   = `{"error": "~.+", "message": "~.+", "code": "rate_limited", "requestId": "request-1"}`
)

// TestPublished holds the answers that clients were promised: the successful
// open, and the errors with their status, title and message.
func TestPublished(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	for name, test := range map[string]struct {
		settings []string
		role     string // empty sends no role claim
		body     string
		store    func(store) store
		later    time.Duration // opens a session and moves the clock first
		status   int
		answer   string
		header   http.Header
	}{
		"Open": {
			role: "member", body: `{"metadata":{"source":"web","version":"1.0.0"}}`, status: 200, answer: publishedOpen,
			header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "X-Request-Id": {"request-1"}},
		},
		"NoRole":       {status: 403, answer: publishedNoRole},
		"NoWorkflow":   {role: "member", settings: []string{"CHATKIT_WORKFLOW_ID="}, status: 500, answer: publishedNoWorkflow},
		"CreateFailed": {role: "member", store: failing(cause), status: 500, answer: publishedCreateFailed},
		"RefreshFailed": {
			role: "member", store: failing(cause), later: 23 * time.Hour, status: 500, answer: publishedRefreshFailed,
		},
		"RateLimited": {
			role: "member", settings: []string{"CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=1"}, later: time.Second, status: 429, answer: publishedRateLimited,
			header: http.Header{"Retry-After": {"59"}, "Content-Type": {"application/json"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faulty := &faultyStore{store: openSQLite(t)}
			s := onStore(t, faulty, test.settings...)
			if test.later > 0 {
				s.open(t, "user_1", "")
				s.clock.advance(test.later)
			}
			if test.store != nil {
				faulty.store = test.store(faulty.store)
			}
			got := s.call(t, http.MethodPost, "/api/chatkit/session", s.credential(t, "user_1", test.role), test.body)
			got.is(t, test.status, test.answer, test.header)
		})
	}
	t.Run("Unauthorized", func(t *testing.T) {
		t.Parallel()
		got := onSQLite(t).call(t, http.MethodPost, "/api/chatkit/session", "", "")
		got.is(t, 401, publishedUnauthorized, http.Header{"Www-Authenticate": {"Bearer"}})
	})
}

// TestPublished_Statuses holds the HTTP status of every code, each answered by
// the service itself.
func TestPublished_Statuses(t *testing.T) {
	t.Parallel()
	const openPath, listPath = "/api/chatkit/session", "/api/chatkit/sessions"
	older, newer := bearer{user: "user_1", signIn: "sess_older", ago: 30}, bearer{user: "user_1", signIn: "sess_newer", ago: 5}
	// lists answers the list of sessions on a store that fails with err.
	lists := func(t *testing.T, err error) said {
		t.Helper()
		s := onStore(t, failing(err)(openSQLite(t)))
		return s.call(t, http.MethodGet, listPath, s.credential(t, "user_1", "member"), "")
	}
	// asks answers one request of a member.
	asks := func(t *testing.T, method, path, body string, headers ...string) said {
		t.Helper()
		s := onSQLite(t)
		return s.call(t, method, path, s.credential(t, "user_1", "member"), body, headers...)
	}
	// after answers a request of the older sign-in once the newer one has a session.
	after := func(t *testing.T, method, path, body string) said {
		t.Helper()
		s := onSQLite(t)
		id := s.opens(t, "created", s.bearing(t, newer), `{"deviceId":"phone"}`).Session.ID
		return s.call(t, method, strings.ReplaceAll(path, "{id}", id), s.bearing(t, older), body)
	}
	table := map[string]struct {
		status int
		answer func(t *testing.T) said
	}{
		"invalid_request": {400, func(t *testing.T) said { return asks(t, http.MethodPost, openPath, `{"deviceId":"no spaces"}`) }},
		"duplicate_header": {400, func(t *testing.T) said {
			return asks(t, http.MethodPost, openPath, "", "Authorization", "Bearer another")
		}},
		"unauthorized": {401, func(t *testing.T) said { return onSQLite(t).call(t, http.MethodPost, openPath, "", "") }},
		"role_not_found": {403, func(t *testing.T) said {
			s := onSQLite(t)
			return s.call(t, http.MethodPost, openPath, s.credential(t, "user_1", ""), "")
		}},
		"permission_denied": {403, func(t *testing.T) said { return asks(t, http.MethodGet, "/api/chatkit/admin/stats", "") }},
		"session_revoked": {403, func(t *testing.T) said {
			s := onSQLite(t)
			id := s.opens(t, "created", s.bearing(t, older), "").Session.ID
			as204(t, s, "/sessions/"+id, s.bearing(t, newer))
			return s.call(t, http.MethodPost, openPath, s.bearing(t, older), "")
		}},
		"contested_device":        {403, func(t *testing.T) said { return after(t, http.MethodPost, openPath, `{"deviceId":"phone"}`) }},
		"other_sign_in":           {403, func(t *testing.T) said { return after(t, http.MethodPost, listPath+"/{id}/transfer", "") }},
		"reverification_required": {403, func(t *testing.T) said { return after(t, http.MethodDelete, listPath+"/{id}", "") }},
		"actor_denied": {403, func(t *testing.T) said {
			s := onSQLite(t)
			return s.call(t, http.MethodGet, "/api/chatkit/activity", s.bearing(t, bearer{user: "user_1", signIn: "sess_1", act: agent}), "")
		}},
		"origin_not_allowed": {403, func(t *testing.T) said {
			return asks(t, http.MethodOptions, openPath, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
		}},
		"not_found":            {404, func(t *testing.T) said { return asks(t, http.MethodGet, listPath+"/unknown", "") }},
		"method_not_allowed":   {405, func(t *testing.T) said { return asks(t, http.MethodGet, openPath, "") }},
		"conflict":             {409, func(t *testing.T) said { return lists(t, session.KindConflict) }},
		"body_too_large":       {413, func(t *testing.T) said { return asks(t, http.MethodPost, openPath, strings.Repeat(" ", 16<<10+1)) }},
		"unsupported_encoding": {415, func(t *testing.T) said { return asks(t, http.MethodPost, openPath, "{}", "Content-Encoding", "gzip") }},
		"rate_limited":         {429, func(t *testing.T) said { return lists(t, session.KindRateLimited) }},
		"internal_error":       {500, func(t *testing.T) said { return lists(t, errors.New("disk on fire")) }},
		"create_failed": {500, func(t *testing.T) said {
			s := onStore(t, failing(errors.New("disk on fire"))(openSQLite(t)))
			return s.call(t, http.MethodPost, openPath, s.credential(t, "user_1", "member"), "")
		}},
		"refresh_failed": {500, func(t *testing.T) said {
			faulty := &faultyStore{store: openSQLite(t)}
			s := onStore(t, faulty)
			s.open(t, "user_1", "")
			s.clock.advance(23 * time.Hour)
			faulty.updateFails = errors.New("disk on fire")
			return s.call(t, http.MethodPost, openPath, s.credential(t, "user_1", "member"), "")
		}},
		"workflow_not_configured": {500, func(t *testing.T) said {
			s := onSQLite(t, "CHATKIT_WORKFLOW_ID=")
			return s.call(t, http.MethodPost, openPath, s.credential(t, "user_1", "member"), "")
		}},
		"unavailable": {503, func(t *testing.T) said { return lists(t, session.KindUnavailable) }},
		"overloaded":  {503, func(t *testing.T) said { return lists(t, session.KindOverloaded) }},
	}
	for _, code := range slices.Sorted(maps.Keys(table)) {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			got := table[code].answer(t)
			var answered answer
			if err := json.Unmarshal(got.body, &answered); err != nil || answered.Code != code || got.status != table[code].status {
				t.Errorf("got %d %s, want %d with the code %s", got.status, got.body, table[code].status, code)
			}
		})
	}
}

// failing returns a store whose updates and lists fail with err.
func failing(err error) func(store) store {
	return func(s store) store { return &failingStore{s, err} }
}

type failingStore struct {
	store
	err error
}

func (f *failingStore) Update(context.Context, ports.Scope, func(ports.Seen) (ports.Changes, error)) error {
	return f.err
}

func (f *failingStore) List(context.Context, ports.ListQuery) ([]session.Session, error) {
	return nil, f.err
}

// call sends a request whose id is request-1 through the real router; an empty
// credential sends none. A header that the request has already is added.
func (s *service) call(t testing.TB, method, path, credential, body string, headers ...string) said {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	request.Header.Set("X-Request-Id", "request-1")
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	s.app.server.Handler.ServeHTTP(recorder, request)
	return said{recorder.Code, recorder.Header(), recorder.Body.Bytes()}
}

// is expects a status, a body as the constants above have it, and headers.
func (got said) is(t testing.TB, status int, body string, header http.Header) {
	t.Helper()
	if got.status != status {
		t.Errorf("the status is %d, want %d", got.status, status)
	}
	for name, want := range header {
		if !slices.Equal(got.header.Values(name), want) {
			t.Errorf("the header %s is %q, want %q", name, got.header.Values(name), want)
		}
	}
	var want, have any
	if err := errors.Join(json.Unmarshal([]byte(body), &want), json.Unmarshal(got.body, &have)); err != nil {
		t.Fatalf("%s: %v", got.body, err)
	}
	for _, difference := range differences("", want, have) {
		t.Error(difference)
	}
}

// differences lists where have is not exactly want, whose texts may be regular
// expressions.
func differences(path string, want, have any) (found []string) {
	wanted, isObject := want.(map[string]any)
	object, haveObject := have.(map[string]any)
	if !isObject || !haveObject {
		if text, isText := want.(string); isText && strings.HasPrefix(text, "~") {
			value, _ := have.(string)
			if regexp.MustCompile("^(?:" + text[1:] + ")$").MatchString(value) {
				return nil
			}
		} else if want == have {
			return nil
		}
		return []string{fmt.Sprintf("%s is %v, want %v", path, have, want)}
	}
	for name, value := range wanted {
		if _, exists := object[name]; !exists {
			found = append(found, fmt.Sprintf("%s.%s is missing", path, name))
			continue
		}
		found = append(found, differences(path+"."+name, value, object[name])...)
	}
	for name := range object {
		if _, known := wanted[name]; !known {
			found = append(found, fmt.Sprintf("%s.%s is new: %v", path, name, object[name]))
		}
	}
	return found
}
