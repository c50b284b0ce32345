package httpapi_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// quota is one of ten a minute, with something left or nothing.
func quota(group ports.LimitGroup, remaining int, next time.Duration) ports.Quota {
	return ports.Quota{
		Group: group, Limit: session.Limit{Most: 10, Within: time.Minute},
		Allowance: ports.Allowance{Allowed: remaining > 0, Remaining: remaining, Next: next},
	}
}

// Each request counts towards its caller's limit before the core is called.
func TestLimits(t *testing.T) {
	t.Parallel()
	const id = "0194214b-3a00-7cc3-98c4-dc0c0c07398f"
	for call, test := range map[string]struct {
		wants access.Permission
		group ports.LimitGroup
	}{
		"POST /session":                       {access.ReadOwn, ports.LimitOpens},
		"POST /session/transfer":              {access.ManageOwn, ports.LimitChanges},
		"GET /sessions":                       {access.ReadOwn, ports.LimitReads},
		"DELETE /sessions":                    {access.ManageOwn, ports.LimitChanges},
		"GET /sessions/" + id:                 {access.ReadOwn, ports.LimitReads},
		"DELETE /sessions/" + id:              {access.ManageOwn, ports.LimitChanges},
		"POST /sessions/" + id + "/transfer":  {access.ManageOwn, ports.LimitChanges},
		"GET /sessions/" + id + "/activity":   {access.ReadOwn, ports.LimitReads},
		"GET /activity":                       {access.ReadOwn, ports.LimitReads},
		"GET /admin/users/user_1/sessions":    {access.ReadAll, ports.LimitAdmin},
		"DELETE /admin/users/user_1/sessions": {access.ManageAll, ports.LimitAdmin},
		"DELETE /admin/sessions/" + id:        {access.ManageAll, ports.LimitAdmin},
		"GET /admin/stats":                    {access.ReadAll, ports.LimitAdmin},
	} {
		method, path, _ := strings.Cut(call, " ")
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			s := newLimited(t, httpapi.Config{}).permits(test.wants)
			s.limits.EXPECT().Spend(gomock.Any(), test.group, member.Holder).Return([]ports.Quota{quota(test.group, 0, 5001*time.Millisecond)}, session.KindRateLimited)
			got := s.send(t, method, "/api/chatkit"+path, "{", "Content-Type", "application/json")
			if got.status != http.StatusTooManyRequests || got.Error != "Too Many Requests" || got.Code != "rate_limited" || !strings.Contains(got.Message, "Retry-After") {
				t.Errorf("got %d %s", got.status, got.body)
			}
			for name, want := range map[string]string{
				"Retry-After": "6", "RateLimit": `"` + string(test.group) + `";r=0;t=6`, "RateLimit-Policy": `"` + string(test.group) + `";q=10;w=60`,
				"Cache-Control": "no-store",
			} {
				if value := got.header.Get(name); value != want {
					t.Errorf("%s is %q, want %q", name, value, want)
				}
			}
			if line := s.lines(t, "request")[0]; line["user"] != "user_123" || line["code"] != "rate_limited" {
				t.Errorf("the log has %v", line)
			}
		})
	}
}

// A parameter of the wrong form, which generated readers find, counts and is
// answered like everything else that is wrong with a request.
func TestLimits_MalformedParameters(t *testing.T) {
	t.Parallel()
	const id = "0194214b-3a00-7cc3-98c4-dc0c0c07398f"
	for call, test := range map[string]struct {
		wants access.Permission
		group ports.LimitGroup
	}{
		"GET /sessions?limit=ten":                     {access.ReadOwn, ports.LimitReads},
		"DELETE /sessions?keep=a&keep=b":              {access.ManageOwn, ports.LimitChanges},
		"GET /sessions/" + id + "/activity?limit=ten": {access.ReadOwn, ports.LimitReads},
		"GET /activity?limit=ten":                     {access.ReadOwn, ports.LimitReads},
		"GET /admin/users/user_1/sessions?limit=ten":  {access.ReadAll, ports.LimitAdmin},
	} {
		method, path, _ := strings.Cut(call, " ")
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			s := newLimited(t, httpapi.Config{}).permits(test.wants)
			s.limits.EXPECT().Spend(gomock.Any(), test.group, member.Holder).Return([]ports.Quota{quota(test.group, 9, 6*time.Second)}, nil)
			got := s.send(t, method, "/api/chatkit"+path, "")
			if got.status != http.StatusBadRequest || got.Field == "" || got.header.Get("RateLimit") != `"`+string(test.group)+`";r=9;t=6` || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %d %s %v", got.status, got.body, got.header)
			}
			if line := s.lines(t, "request")[0]; line["user"] != "user_123" || line["code"] != "invalid_request" {
				t.Errorf("the log has %v", line)
			}
			s.limits.EXPECT().Spend(gomock.Any(), test.group, member.Holder).Return([]ports.Quota{quota(test.group, 0, time.Second)}, session.KindRateLimited)
			if got := s.send(t, method, "/api/chatkit"+path, ""); got.status != http.StatusTooManyRequests {
				t.Errorf("beyond the limit it got %d %s", got.status, got.body)
			}
		})
	}
}

// A refused caller does not use up any quota.
func TestLimits_RefusedCaller(t *testing.T) {
	t.Parallel()
	for _, err := range []error{session.KindUnauthenticated, session.KindNoRole, session.KindForbidden, session.KindUnavailable} {
		s := newLimited(t, httpapi.Config{})
		s.authorizer.EXPECT().Authorize(gomock.Any(), gomock.Any(), gomock.Any()).Return(member, err)
		if got := s.post(t, ""); got.status == http.StatusTooManyRequests || got.header.Get("RateLimit")+got.header.Get("RateLimit-Policy") != "" {
			t.Errorf("%v got %d", err, got.status)
		}
	}
}

// What is left is told with a success and with a mistake, and before the
// operator's: the service has no workflow.
func TestLimits_Allowed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body       string
		configured bool
		want       int
	}{
		"Good": {"{}", true, 200}, "Mistake": {"[]", true, 400}, "NotConfigured": {"{}", false, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLimited(t, httpapi.Config{}).permits(access.ReadOwn)
			s.limits.EXPECT().Spend(gomock.Any(), ports.LimitOpens, member.Holder).Return([]ports.Quota{quota(ports.LimitOpens, 9, 6*time.Second)}, nil)
			if test.configured {
				s.opener.EXPECT().Workflow().Return(workflow, nil)
			} else {
				s.opener.EXPECT().Workflow().Return(session.WorkflowID{}, session.KindNotConfigured)
			}
			s.opener.EXPECT().Open(gomock.Any(), calling, gomock.Any()).Return(opened(ports.OpenRequest{}), nil).AnyTimes()
			got := s.post(t, test.body, "Origin", page)
			if got.status != test.want || got.header.Get("RateLimit") != `"opens";r=9;t=6` || got.header.Get("RateLimit-Policy") != `"opens";q=10;w=60` || got.header.Get("Retry-After") != "" {
				t.Errorf("got %d %v", got.status, got.header)
			}
			for _, name := range []string{"Retry-After", "RateLimit", "RateLimit-Policy"} {
				if exposed := got.header.Get("Access-Control-Expose-Headers"); !strings.Contains(","+exposed+",", ","+name+",") {
					t.Errorf("pages may not read %s, but %s", name, exposed)
				}
			}
		})
	}
}

// Without a limit, the answer has no rate limit headers.
func TestLimits_None(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.asked()
	if got := s.post(t, ""); got.status != http.StatusOK || got.header.Get("RateLimit")+got.header.Get("RateLimit-Policy") != "" {
		t.Errorf("got %d %v", got.status, got.header)
	}
}

// A request is refused if its rate limit cannot be checked in time.
func TestLimits_Timeout(t *testing.T) {
	t.Parallel()
	s := newLimited(t, httpapi.Config{}).permits(access.ReadOwn)
	s.limits.EXPECT().Spend(gomock.Any(), gomock.Any(), gomock.Any()).Return(nil, session.KindUnavailable)
	if got := s.post(t, ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// Checks that fail count for the network of whose client it is, never for the
// back end that was shown an invalid token; when there were too many, that is the
// answer.
func TestLimits_Failures(t *testing.T) {
	t.Parallel()
	from := func(text string) session.Source {
		if text == "" {
			return session.Source{}
		}
		return session.Source{Address: netip.MustParseAddr(text)}
	}
	as := []string{"Authorization", "Bearer " + backendKey, "Content-Type", formType}
	for what, test := range map[string]struct {
		method, path, body string
		headers            []string
		proxied            bool
		source             session.Source
		want               int // when there were not too many
	}{
		"Verify":            {http.MethodGet, verifyPath, "", []string{"Authorization", "Bearer x"}, false, from("192.0.2.1"), 401},
		"VerifyForged":      {http.MethodGet, verifyPath, "", []string{"Authorization", "Bearer x", "X-Forwarded-For", "203.0.113.9"}, false, from("192.0.2.1"), 401},
		"VerifyBehindProxy": {http.MethodGet, verifyPath, "", []string{"Authorization", "Bearer x", "X-Forwarded-For", "198.51.100.7, 203.0.113.9"}, true, from("203.0.113.9"), 401},
		"VerifyOfAProxy":    {http.MethodGet, verifyPath, "", []string{"Authorization", "Bearer x"}, true, from(""), 401},
		"Introspect":        {http.MethodPost, introspectPath, "token=x", as, false, from(""), 200},
		"IntrospectOf":      {http.MethodPost, introspectPath, "token=x&client_ip=198.51.100.7", as, false, from("198.51.100.7"), 200},
		"WrongKey":          {http.MethodPost, introspectPath, "token=x&client_ip=198.51.100.7", []string{"Authorization", "Bearer y", "Content-Type", formType}, false, from("192.0.2.1"), 401},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			config := httpapi.Config{IntrospectionKeys: []string{backendKey}}
			if test.proxied {
				config.TrustedProxies = prefixes("192.0.2.0/24")
			}
			s := newLimited(t, config).checks(session.KindNotFound)
			expect := func(quotas []ports.Quota, err error) {
				s.limits.EXPECT().SpendFailure(gomock.Any(), test.source).Return(quotas, err)
			}
			expect([]ports.Quota{quota(ports.LimitFailuresOfAddress, 3, time.Second)}, nil)
			if got := s.do(t, request(t, test.method, test.path, test.body, test.headers...)); got.status != test.want || got.header.Get("RateLimit") != `"failures_of_address";r=3;t=1` {
				t.Errorf("got %d %v", got.status, got.header)
			}
			expect([]ports.Quota{quota(ports.LimitFailuresOfAddress, 0, time.Nanosecond)}, session.KindRateLimited)
			got := s.do(t, request(t, test.method, test.path, test.body, test.headers...))
			if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "1" || got.header.Get("WWW-Authenticate") != "" ||
				got.header.Get("RateLimit") != `"failures_of_address";r=0;t=1` || got.header.Get("RateLimit-Policy") != `"failures_of_address";q=10;w=60` {
				t.Errorf("got %d %v", got.status, got.header)
			}
		})
	}
}

// What is no failure of the token's counts for nobody: not a good one, not a
// store that is down, not a back end's mistake, and not what shows none: a
// page's preflight, or the request of somebody who is not signed in.
func TestLimits_NoFailures(t *testing.T) {
	t.Parallel()
	config := httpapi.Config{IntrospectionKeys: []string{backendKey}}
	as := []string{"Authorization", "Bearer " + backendKey, "Content-Type", formType}
	for name, result := range map[string]error{"Good": nil, "StoreDown": session.KindUnavailable, "Bug": errors.New(secret)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLimited(t, config) // it counts nothing
			s.checker.EXPECT().Check(gomock.Any(), "x", gomock.Any()).Return(good(false), result).Times(2)
			for _, got := range []answer{
				s.do(t, request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer x")), introspect(t, s, "token=x", as...),
			} {
				if (got.status < 300) != (result == nil) || got.header.Get("RateLimit") != "" {
					t.Errorf("got %d %v", got.status, got.header)
				}
			}
		})
	}
	for name, headers := range map[string][]string{
		"NoToken": nil, "OtherScheme": {"Authorization", "Basic x"}, "EmptyToken": {"Authorization", "Bearer "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLimited(t, config).checks(session.KindNotFound) // it counts nothing
			verified := s.do(t, request(t, http.MethodGet, verifyPath, "", headers...))
			without := introspect(t, s, "token=x", append([]string{"Content-Type", formType}, headers...)...)
			empty := introspect(t, s, "token=&client_ip=198.51.100.7", as...)
			if verified.status != http.StatusUnauthorized || without.status != http.StatusUnauthorized || empty.status != http.StatusOK || strings.TrimSpace(empty.body) != `{"active":false}` {
				t.Errorf("got %d, %d, %d %s", verified.status, without.status, empty.status, empty.body)
			}
		})
	}
	t.Run("Mistake", func(t *testing.T) {
		t.Parallel()
		if got := introspect(t, newLimited(t, config), "", as...); got.status != http.StatusBadRequest {
			t.Errorf("got %d", got.status)
		}
	})
}
