package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// opens makes the core answer an open with err.
func (s *subject) opens(err error) *subject {
	s.admits().opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Opened{}, err).AnyTimes()
	return s
}

// Every kind has its answer, however deep it is wrapped; no answer has the
// cause, and the log has it exactly once.
func TestErrors_EveryKind(t *testing.T) {
	t.Parallel()
	type problem struct {
		status               int
		title, message, code string
	}
	internal := problem{500, "Internal Server Error", "Internal error: report the requestId to the operator of the service", "internal_error"}
	table := map[session.Kind]problem{
		session.KindInternal:        internal,
		session.KindUnreadable:      internal,
		session.KindInvalid:         {400, "Bad Request", "The request is invalid", "invalid_request"},
		session.KindUnauthenticated: {401, "Unauthorized", "Authentication required", "unauthorized"},
		session.KindNoRole:          {403, "Forbidden", "User role not found", "role_not_found"},
		session.KindForbidden:       {403, "Forbidden", "Your role does not permit this request", "permission_denied"},
		session.KindSignedOut:       {403, "Forbidden", "This sign-in was signed out: sign in again", "session_revoked"},
		session.KindContested:       {403, "Forbidden", "A newer sign-in is using this device: verify your identity, or open a session without deviceId and without X-ChatKit-Token", "contested_device"},
		session.KindOtherSignIn:     {403, "Forbidden", "This session belongs to another sign-in: create the transfer code on the device that uses the session", "other_sign_in"},
		session.KindActorDenied:     {403, "Forbidden", "Impersonators and agents are not permitted to do this: the user must do it in person", "actor_denied"},
		session.KindReverification:  {403, "Forbidden", "Verify your identity, then retry", "reverification_required"},
		session.KindNotConfigured:   {500, "Configuration Error", "ChatKit workflow ID not configured", "workflow_not_configured"},
		session.KindNotFound:        {404, "Not Found", "Not found", "not_found"},
		session.KindConflict:        {409, "Conflict", "A concurrent request changed the same data: retry the request", "conflict"},
		session.KindUnavailable:     {503, "Service Unavailable", "Temporarily unavailable: retry after the number of seconds in Retry-After", "unavailable"},
		session.KindOverloaded:      {503, "Service Unavailable", "The service is overloaded: retry after the number of seconds in Retry-After", "overloaded"},
		session.KindRateLimited:     {429, "Too Many Requests", "Too many requests: retry after the number of seconds in Retry-After", "rate_limited"},
		session.KindCreateFailed:    {500, "Internal Server Error", "Failed to create session", "create_failed"},
		session.KindRefreshFailed:   {500, "Internal Server Error", "Failed to refresh session", "refresh_failed"},
	}
	for _, kind := range session.Kinds() {
		t.Run(kind.Error(), func(t *testing.T) {
			t.Parallel()
			want, known := table[kind]
			if !known {
				t.Fatal("this kind has no answer")
			}
			cause := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", session.Wrap(kind, errors.New(secret))))
			s := newSubject(t, httpapi.Config{}).opens(cause)
			r := request(t, http.MethodPost, openPath, "", "Authorization", "Bearer jwt")
			recorder := httptest.NewRecorder()
			s.handler.ServeHTTP(recorder, r) // some of these the core never answers an open with: not in the contract
			got := parse(t, recorder)
			if (problem{got.status, got.Error, got.Message, got.Code}) != want {
				t.Errorf("got %d %s\nwant %v", got.status, got.body, want)
			}
			if strings.Contains(got.body, secret) {
				t.Errorf("the answer shows the cause: %s", got.body)
			}
			if id := got.header.Get("X-Request-Id"); got.RequestID == "" || got.RequestID != id {
				t.Errorf("the answer's request id is %q, the header's %q", got.RequestID, id)
			}
			logged := s.lines(t, "request failed")
			if strings.Count(s.log.String(), secret) != 1+len(s.lines(t, turnedAway)) || len(logged) != 1 || logged[0]["requestId"] != got.RequestID || logged[0]["code"] != want.code {
				t.Errorf("the log has\n%s", s.log)
			}
			if level := logged[0]["level"]; (level == "ERROR") != (want.status >= 500 && want.code != "overloaded") {
				t.Errorf("a %d is logged as %v", want.status, level)
			}
			if helps := kind == session.KindReverification || kind == session.KindContested; strings.Contains(got.body, "clerk_error") != helps {
				t.Errorf("Clerk's front end would verify a factor, or not: %s", got.body)
			}
			after := ""
			if want.status == http.StatusServiceUnavailable || want.status == http.StatusTooManyRequests {
				after = "2"
			}
			if value := got.header.Get("Retry-After"); value != after {
				t.Errorf("a %d has Retry-After %q", want.status, value)
			}
		})
	}
}

// Clerk's front end understands how to help, and is told how long ago is too
// long: less than 90 seconds is less than two of Clerk's minutes. Without step-up
// newer sign-ins are protected anyway, for ten minutes: with 0 of them it
// would ask the user again and again.
func TestErrors_Reverification(t *testing.T) {
	t.Parallel()
	for within, minutes := range map[time.Duration]string{0: "10", time.Second: "1", time.Minute: "1", 90 * time.Second: "2", 10 * time.Minute: "10"} {
		s := newSubject(t, httpapi.Config{StepUpWithin: within}).permits(access.ManageOwn)
		s.revoker.EXPECT().Revoke(gomock.Any(), gomock.Any(), gomock.Any()).Return(session.Wrap(session.KindReverification, errors.New(secret)))
		got := s.send(t, http.MethodDelete, sessionsPath+"/"+anID.String(), "", "X-Request-Id", "r1")
		want := `{"clerk_error":{"metadata":{"reverification":{"afterMinutes":` + minutes + `,"level":"first_factor"}},"reason":"reverification-error","type":"forbidden"},` +
			`"code":"reverification_required","error":"Forbidden","message":"Verify your identity, then retry","requestId":"r1"}`
		if got.status != http.StatusForbidden || strings.TrimSpace(got.body) != want {
			t.Errorf("within %v: got %d %s\nwant %s", within, got.status, got.body, want)
		}
		contested := newSubject(t, httpapi.Config{StepUpWithin: within}).opens(session.Wrap(session.KindContested, errors.New(secret)))
		got = contested.post(t, `{"deviceId":"phone"}`)
		want = `{"clerk_error":{"metadata":{"reverification":{"afterMinutes":` + minutes + `,"level":"first_factor"}},"reason":"reverification-error","type":"forbidden"},"code":"contested_device",`
		if got.status != http.StatusForbidden || !strings.HasPrefix(got.body, want) {
			t.Errorf("within %v: got %d %s\nwant %s", within, got.status, got.body, want)
		}
	}
}

// The errors of HTTP and of Echo's router.
func TestErrors_OfHTTP(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		method, path string
		want         int
		code, allow  string
	}{
		"UnknownPath":            {"GET", "/nothing", 404, "not_found", ""},
		"UnknownPathBelow":       {"POST", openPath + "/more", 404, "not_found", ""},
		"TrailingSlash":          {"POST", openPath + "/", 404, "not_found", ""},
		"UpperCase":              {"POST", strings.ToUpper(openPath), 404, "not_found", ""},
		"DotSegments":            {"GET", "/api/../healthz", 404, "not_found", ""},
		"WrongMethod":            {"GET", openPath, 405, "method_not_allowed", "OPTIONS, POST"},
		"UnknownMethod":          {"BREW", openPath, 405, "method_not_allowed", "OPTIONS, POST"},
		"DeleteOfHealth":         {"DELETE", "/healthz", 405, "method_not_allowed", "OPTIONS, GET, HEAD"},
		"PostToTheDocumentation": {"POST", "/docs", 405, "method_not_allowed", "OPTIONS, GET"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			got := s.do(t, request(t, test.method, test.path, "", "Authorization", "Bearer jwt"))
			if got.status != test.want || got.Code != test.code || got.header.Get("Allow") != test.allow {
				t.Errorf("got %d %s, Allow %q", got.status, got.body, got.header.Get("Allow"))
			}
		})
	}
}

// A request that exceeds its timeout gets a 503.
func TestErrors_Deadline(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{RequestTimeout: 10 * time.Millisecond})
	s.admits().opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).
		DoAndReturn(func(ctx context.Context, _ access.Caller, _ ports.OpenRequest) (ports.Opened, error) {
			<-ctx.Done()
			return ports.Opened{}, fmt.Errorf("waited: %w", ctx.Err())
		})
	if got := s.post(t, ""); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestErrors_Panic(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.admits().opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).
		DoAndReturn(func(context.Context, access.Caller, ports.OpenRequest) (ports.Opened, error) { panic(secret) })
	got := s.post(t, "")
	if got.status != http.StatusInternalServerError || got.Code != "internal_error" || strings.Contains(got.body, secret) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	logged := s.lines(t, "request failed")
	if len(logged) != 1 || strings.Count(s.log.String(), secret) != 1 || !strings.Contains(fmt.Sprint(logged[0]["stack"]), "OpenSession") {
		t.Errorf("the log has\n%s", s.log)
	}
	if len(s.lines(t, "request")) != 1 {
		t.Error("the access log lacks the request")
	}
}

// http.ErrAbortHandler is not recovered.
func TestErrors_Abort(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.admits().opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).
		DoAndReturn(func(context.Context, access.Caller, ports.OpenRequest) (ports.Opened, error) {
			panic(http.ErrAbortHandler)
		})
	defer func() {
		if value, ok := recover().(error); !ok || !errors.Is(value, http.ErrAbortHandler) {
			t.Errorf("recovered %v", value)
		}
	}()
	s.post(t, "")
}

// A client that disconnected is not logged as an error.
func TestErrors_ClientGone(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).opens(session.Wrap(session.KindUnavailable, context.Canceled))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.do(t, request(t, http.MethodPost, openPath, "", "Authorization", "Bearer jwt").WithContext(ctx))
	if logged := s.lines(t, "request failed"); len(logged) != 1 || logged[0]["level"] != "DEBUG" {
		t.Errorf("the log has\n%s", s.log)
	}
}
