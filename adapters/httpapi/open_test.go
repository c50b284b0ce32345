package httpapi_test

import (
	"context"
	"fmt"
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
		{"ThenTheHeaders", nil, nil, 400, "Bad Request", "X-ChatKit-Token: has the wrong form, or is there twice", true, twice},
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

// Which credential reaches the gate.
func TestOpenSession_Credential(t *testing.T) {
	t.Parallel()
	const cookie = "theme=dark; __session=from-cookie; x=y"
	cases := map[string]struct {
		headers []string
		want    string
	}{
		"None":                         {nil, ""},
		"Bearer":                       {[]string{"Authorization", "Bearer jwt"}, "jwt"},
		"BearerInLowerCase":            {[]string{"Authorization", "bearer jwt"}, "jwt"},
		"BearerWithSpaces":             {[]string{"Authorization", "Bearer   jwt "}, "jwt"},
		"OtherScheme":                  {[]string{"Authorization", "Basic jwt"}, ""},
		"NoScheme":                     {[]string{"Authorization", "jwt"}, ""},
		"SchemeOnly":                   {[]string{"Authorization", "Bearer"}, ""},
		"CookieFromOurPage":            {[]string{"Cookie", cookie, "Origin", page}, "from-cookie"},
		"CookieFromAnotherPage":        {[]string{"Cookie", cookie, "Origin", "https://evil.example"}, ""},
		"CookieWithoutOrigin":          {[]string{"Cookie", cookie}, ""},
		"CookieWithNullOrigin":         {[]string{"Cookie", cookie, "Origin", "null"}, ""},
		"CookieOfThePostOfTheSameSite": {[]string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}, ""},
		"HeaderBeforeCookie":           {[]string{"Cookie", cookie, "Origin", page, "Authorization", "Bearer jwt"}, "jwt"},
		"BadHeaderBeforeCookie":        {[]string{"Cookie", cookie, "Origin", page, "Authorization", "Basic x"}, ""},
		"TwoCookies":                   {[]string{"Cookie", "__session=planted; __session=from-cookie", "Origin", page}, ""},
		"TheSameCookieTwice":           {[]string{"Cookie", "__session=from-cookie; __session=from-cookie", "Origin", page}, "from-cookie"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			s.authorizer.EXPECT().Authorize(gomock.Any(), test.want, access.ReadOwn).Return(access.Caller{}, session.Wrap(session.KindUnauthenticated, session.KindUnauthenticated))
			got := s.do(t, request(t, http.MethodPost, openPath, "", test.headers...))
			want := `Bearer error="invalid_token"`
			if test.want == "" {
				want = "Bearer"
			}
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != want {
				t.Errorf("got %d %s, WWW-Authenticate %q", got.status, got.body, got.header.Get("WWW-Authenticate"))
			}
		})
	}
}

// A page of the service's own origin reads with the cookie; other sites'
// pages, and requests that change something, do not.
func TestCredential_SameOriginReads(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, site, origin, want string
	}{
		"Read":          {http.MethodGet, "same-origin", "", "from-cookie"},
		"Write":         {http.MethodPost, "same-origin", "", ""},
		"SameSite":      {http.MethodGet, "same-site", "", ""},
		"CrossSite":     {http.MethodGet, "cross-site", "", ""},
		"Typed":         {http.MethodGet, "none", "", ""},
		"OldBrowser":    {http.MethodGet, "", "", ""},
		"ForeignOrigin": {http.MethodGet, "same-origin", "https://evil.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t, test.method, openPath, "", "Cookie", "__session=from-cookie", "Sec-Fetch-Site", test.site)
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			if got, err := httpapi.CredentialsOf(r, page); err != nil || strings.Join(got, " ") != test.want {
				t.Errorf("the credentials are %q, %v", got, err)
			}
		})
	}
}

// Clerk's scripts name the cookie after their instance, too: each different value
// counts once, and only a few do.
func TestCredential_Cookies(t *testing.T) {
	t.Parallel()
	var storm []string
	for n := range 1000 {
		storm = append(storm, fmt.Sprintf("__session_%08d=%d", n, n))
	}
	for cookies, want := range map[string]string{
		"__session_Abc-_123=a":                                       "a",
		"__session=a; __session_Abc-_123=a":                          "a",
		"__session=a; __session_Abc-_123=b; __session_zzzzzzzz=c":    "a b c",
		"__session=; __session_Abc-_123=b":                           "b",
		"__session=a; __session=planted; __session_Abc-_123=b":       "",
		"__session_Abc-_123=b; __session=a; __session_Abc-_123=c":    "",
		"__session=a; __session=b; __session=a":                      "",
		"__session_=a; __session_short=a; __session_123456789=a":     "",
		"__session_Abc-_12!=a; __sessionAbc-_123=a; __client_uat=17": "",
		strings.Join(storm, "; "):                                    "0 1 2 3",
	} {
		r := request(t, http.MethodPost, openPath, "", "Cookie", cookies, "Origin", page)
		if got, err := httpapi.CredentialsOf(r, page); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%.100s has the credentials %q, %v, want %s", cookies, got, err, want)
		}
	}
}

// Of several cookies the one that is good counts; two that are, of different
// sign-ins, do not.
func TestOpenSession_SeveralCookies(t *testing.T) {
	t.Parallel()
	other := member
	other.SignIn = session.Must(session.ParseSignInID("sess_2"))
	stranger := member
	stranger.User = session.Must(session.ParseUserID("user_2"))
	type gate struct {
		caller access.Caller
		err    error
	}
	good, bad, unknown := gate{member, nil}, gate{err: session.KindUnauthenticated}, gate{err: session.KindUnavailable}
	for name, test := range map[string]struct {
		gates []gate // of a, b and c
		want  int
	}{
		"First":               {[]gate{good, bad, bad}, 200},
		"Last":                {[]gate{bad, bad, good}, 200},
		"AfterAnUnknown":      {[]gate{unknown, good, bad}, 200},
		"BeforeAnUnknown":     {[]gate{good, unknown}, 200},
		"SameSignIn":          {[]gate{good, good, bad}, 200},
		"None":                {[]gate{bad, bad}, 401},
		"NoneIsKnown":         {[]gate{bad, unknown, bad}, 503},
		"UnknownFirst":        {[]gate{unknown, bad}, 503},
		"AnotherSignIn":       {[]gate{good, bad, {other, nil}}, 401},
		"AnotherUser":         {[]gate{{stranger, nil}, good}, 401},
		"AnotherWithoutARole": {[]gate{{stranger, session.KindNoRole}, good}, 401},
		"WithoutARole":        {[]gate{bad, {member, session.KindNoRole}}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			cookies := ""
			for i, gate := range test.gates {
				value := string(rune('a' + i))
				cookies += "__session_0000000" + value + "=" + value + ";"
				s.authorizer.EXPECT().Authorize(gomock.Any(), value, access.ReadOwn).Return(gate.caller, gate.err).MaxTimes(1)
			}
			s.opener.EXPECT().Workflow().Return(workflow, nil).AnyTimes()
			s.opener.EXPECT().Open(gomock.Any(), calling, gomock.Any()).DoAndReturn(
				func(_ context.Context, _ access.Caller, r ports.OpenRequest) (ports.Opened, error) {
					return opened(r), nil
				}).AnyTimes()
			if got := s.do(t, request(t, http.MethodPost, openPath, "", "Cookie", cookies, "Origin", page)); got.status != test.want {
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
