package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The answer to a success, to the byte but for the order of its members.
func TestOpenSession_Answers(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.asked()
	got := s.post(t, `{"metadata":{"source":"web","version":"1.0.0"}}`)
	const want = `{"outcome":"created","session":{` +
		`"chatKitSessionId":"550e8400-e29b-41d4-a716-446655440000",` +
		`"createdAt":"2025-01-01T00:00:00.000Z",` +
		`"deviceId":"device_user_123_1735689600000",` +
		`"expiresAt":"2025-01-02T00:00:00.000Z",` +
		`"expiresIn":86399,` + // whole seconds only
		`"id":"0194214b-3a00-7cc3-98c4-dc0c0c07398f",` +
		`"metadata":{"source":"web","version":"1.0.0"},` +
		`"refreshAfter":"2025-01-01T23:00:00.000Z",` +
		`"rememberMe":false,` +
		`"userId":"user_123","workflowId":"workflow_1"}}`
	if got.status != http.StatusOK || strings.TrimSpace(got.body) != want {
		t.Errorf("got %d %s\nwant %s", got.status, got.body, want)
	}
	if got.header.Get("Cache-Control") != "no-store" {
		t.Error("the owner's answer may be kept")
	}
	if log := s.log.String(); strings.Contains(log, token.Reveal()) || strings.Contains(log, "jwt") {
		t.Errorf("the log shows a secret:\n%s", log)
	}
}

// What the client says of remembering reaches the core as it is, and the answer
// says what became of it.
func TestOpenSession_RememberMe(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for body, want := range map[string]*bool{
		``: nil, `{}`: nil, `{"rememberMe":null}`: nil, `{"RememberMe":true}`: nil, `{"rememberMe":true}`: &yes, `{"rememberMe":false}`: &no,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			last := s.asked()
			got := s.post(t, body)
			if (last.Remember == nil) != (want == nil) || (want != nil && *last.Remember != *want) {
				t.Errorf("the core was asked for %v", last.Remember)
			}
			if answered := strings.Contains(got.body, `"rememberMe":true`); got.status != http.StatusOK || answered != (want == &yes) {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

// The token of the session that the client has reaches the core, whatever it
// is, and nothing shows it.
func TestOpenSession_Token(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	last := s.asked()
	odd := strings.Repeat("x", 9000)
	for _, headers := range [][]string{nil, {"X-ChatKit-Token", ""}, {"X-ChatKit-Token", token.Reveal()}, {"x-chatkit-token", odd}} {
		want := ""
		if headers != nil {
			want = headers[1]
		}
		got := s.post(t, `{"rememberMe":true}`, headers...)
		if got.status != http.StatusOK || last.Token != want || last.Remember == nil {
			t.Errorf("%.60v got %d, and the core %+v", headers, got.status, last)
		}
	}
	if log := s.log.String(); strings.Contains(log, token.Reveal()) || strings.Contains(log, odd) {
		t.Errorf("the log shows a token:\n%s", log)
	}
}

// Two tokens are none: proxies and servers would disagree on which one counts.
func TestOpenSession_TwoTokens(t *testing.T) {
	t.Parallel()
	for _, headers := range [][]string{{"X-ChatKit-Token", "a", "X-ChatKit-Token", "b"}, {"X-ChatKit-Token", "a", "X-ChatKit-Token", "a"}, {"X-ChatKit-Token", "", "X-ChatKit-Token", token.Reveal()}} {
		s := newSubject(t, httpapi.Config{}).admits() // the core is not asked
		got := s.post(t, "", headers...)
		if got.status != http.StatusBadRequest || got.Field != "X-ChatKit-Token" || strings.Contains(s.log.String(), token.Reveal()) {
			t.Errorf("%v got %d %s", headers, got.status, got.body)
		}
	}
}

// Who asks, whether they may, whether the service is configured, and what they
// ask for are checked in this order.
func TestOpenSession_ChecksInOrder(t *testing.T) {
	t.Parallel()
	const badBody = `{"deviceId":1}`
	twice := []string{"X-ChatKit-Token", "a", "X-ChatKit-Token", "b"}
	cases := []struct {
		name             string
		admit, workflow  error
		want             int
		title, message   string
		asksForTheirFlow bool
		headers          []string
	}{
		{"WhoFirst", session.KindUnauthenticated, session.KindNotConfigured, 401, "Unauthorized", "Authentication required", false, twice},
		{"ThenWhetherTheyMay", session.KindNoRole, session.KindNotConfigured, 403, "Forbidden", "User role not found", false, twice},
		{"ThenTheConfiguration", nil, session.KindNotConfigured, 500, "Configuration Error", "ChatKit workflow ID not configured", true, twice},
		{"ThenTheHeaders", nil, nil, 400, "Bad Request", "X-ChatKit-Token: is malformed or appears more than once", true, twice},
		{"ThenTheBody", nil, nil, 400, "Bad Request", "deviceId: has the wrong type", true, nil},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", access.ReadOwn).Return(member, session.Wrap(session.KindOf(test.admit), test.admit))
			if test.asksForTheirFlow {
				s.opener.EXPECT().Workflow().Return(workflow, session.Wrap(session.KindOf(test.workflow), test.workflow))
			}
			target := openPath
			if test.headers != nil && test.want != http.StatusBadRequest {
				target += "?%"
			}
			if got := s.send(t, http.MethodPost, target, badBody, test.headers...); got.status != test.want || got.Error != test.title || got.Message != test.message {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func BenchmarkOpenSession(b *testing.B) {
	handler, err := httpapi.New(httpapi.Config{}, httpapi.Core{Authorizer: gateOf{member}, Opener: openerOf{}, Limits: noLimits{}, Readiness: staying{}, Admission: roomy{}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := request(b, http.MethodPost, openPath, `{"deviceId":"phone","metadata":{"source":"web"}}`, "Authorization", "Bearer jwt")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

// gateOf, openerOf, noLimits, staying and roomy answer at once: a mock would be measured, too.
type gateOf struct{ caller access.Caller }

func (g gateOf) Authorize(context.Context, string, access.Permission) (access.Caller, error) {
	return g.caller, nil
}

type openerOf struct{}

func (openerOf) Workflow() (session.WorkflowID, error) { return workflow, nil }

func (openerOf) Open(_ context.Context, _ access.Caller, r ports.OpenRequest) (ports.Opened, error) {
	return opened(r), nil
}

type staying struct{ ports.Readiness }

func (staying) Draining() bool { return false }

type roomy struct{ ports.Admission }

func (roomy) Enter(context.Context, ports.Work) (func(), error) { return func() {}, nil }

type noLimits struct{ ports.Limits }

func (noLimits) Spend(context.Context, ports.LimitGroup, session.Holder) ([]ports.Quota, error) {
	return nil, nil
}
