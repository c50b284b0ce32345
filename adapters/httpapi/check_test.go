package httpapi_test

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const (
	verifyPath     = "/api/chatkit/session/verify"
	introspectPath = "/api/chatkit/session/introspect"
	backendKey     = "0123456789abcdef0123456789abcdef"
	formType       = "application/x-www-form-urlencoded"
)

// checks makes the core answer any check of a token.
func (s *subject) checks(err error) *subject {
	s.checker.EXPECT().Check(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Checked{}, err).AnyTimes()
	return s
}

// good is what a good token stands for.
func good(expiring bool) ports.Checked {
	return ports.Checked{Session: opened(ports.OpenRequest{}).Session, Expiring: expiring}
}

func TestVerifySession(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.checker.EXPECT().Check(gomock.Any(), token.Reveal(), session.Source{}).Return(good(false), nil)
	got := s.do(t, request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer "+token.Reveal()))
	if got.status != http.StatusNoContent || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for name, want := range map[string]string{
		"X-ChatKit-User-Id": "user_123", "X-ChatKit-Session-Id": "0194214b-3a00-7cc3-98c4-dc0c0c07398f",
		"X-ChatKit-Device-Id": "device_user_123_1735689600000", "X-ChatKit-Workflow-Id": "workflow_1", "X-ChatKit-Warning": "",
	} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if strings.Contains(s.log.String(), token.Reveal()) {
		t.Errorf("the log shows the token:\n%s", s.log)
	}
}

// A session that is about to end is said to be.
func TestVerifySession_Warns(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.checker.EXPECT().Check(gomock.Any(), "x", gomock.Any()).Return(good(true), nil)
	got := s.do(t, request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer x"))
	if got.status != http.StatusNoContent || got.header.Get("X-ChatKit-Warning") != "expires_soon" || got.header.Get("X-ChatKit-User-Id") != "user_123" {
		t.Errorf("got %d %v", got.status, got.header)
	}
}

// Whoever acts in the user's name is named; for the user in person there is no
// such header at all.
func TestVerifySession_Actor(t *testing.T) {
	t.Parallel()
	for actor, want := range map[session.Actor][]string{
		{}: nil, impersonator: {"impersonator:user_support"}, agent: {"agent:agent_1"},
	} {
		s := newSubject(t, httpapi.Config{})
		s.checker.EXPECT().Check(gomock.Any(), "x", gomock.Any()).Return(ports.Checked{Session: actorsSession(actor).Outline()}, nil)
		got := s.do(t, request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer x", "X-ChatKit-Actor", "agent:forged"))
		if value := got.header.Values("X-ChatKit-Actor"); got.status != http.StatusNoContent || !slices.Equal(value, want) || got.header.Get("X-ChatKit-User-Id") != "user_123" {
			t.Errorf("of %q got %d %v", actor, got.status, got.header)
		}
	}
}

// Only a bearer token counts, and no refusal names a session.
func TestVerifySession_Refuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		headers []string
		asked   string
		answer  error
		want    int
	}{
		"NoToken":     {nil, "", session.KindNotFound, 401},
		"OtherScheme": {[]string{"Authorization", "Basic " + token.Reveal()}, "", session.KindNotFound, 401},
		"OfACookie":   {[]string{"Cookie", "__session=" + token.Reveal(), "Origin", page}, "", session.KindNotFound, 401},
		"NotGood":     {[]string{"Authorization", "Bearer x"}, "x", session.Wrap(session.KindNotFound, errors.New(secret)), 401},
		"StoreDown":   {[]string{"Authorization", "Bearer x"}, "x", session.Wrap(session.KindUnavailable, errors.New(secret)), 503},
		"Bug":         {[]string{"Authorization", "Bearer x"}, "x", errors.New(secret), 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			s.checker.EXPECT().Check(gomock.Any(), test.asked, session.Source{}).Return(ports.Checked{Session: actorsSession(agent), Expiring: true}, test.answer)
			got := s.do(t, request(t, http.MethodGet, verifyPath, "", test.headers...))
			if got.status != test.want || strings.Contains(got.body, secret) || got.header.Get("X-ChatKit-User-Id")+got.header.Get("X-ChatKit-Warning")+got.header.Get("X-ChatKit-Actor") != "" {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if (got.header.Get("WWW-Authenticate") != "") != (test.want == http.StatusUnauthorized) {
				t.Errorf("a %d has WWW-Authenticate %q", got.status, got.header.Get("WWW-Authenticate"))
			}
		})
	}
}

// Proxies ask with the method of the request that they ask about: none of them
// is a preflight, and none is refused.
func TestVerifySession_AnyMethod(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			s.checker.EXPECT().Check(gomock.Any(), "x", gomock.Any()).Return(good(false), nil)
			s.checker.EXPECT().Check(gomock.Any(), "", gomock.Any()).Return(ports.Checked{}, session.KindNotFound).Times(2)
			got := s.do(t, request(t, method, verifyPath+"?a=%zz;", "body", "Authorization", "Bearer x"))
			if got.status != http.StatusNoContent || got.header.Get("X-ChatKit-User-Id") != "user_123" {
				t.Errorf("got %d %s", got.status, got.body)
			}
			for _, origin := range []string{page, "https://elsewhere.example"} {
				if got := s.do(t, request(t, method, verifyPath, "", "Origin", origin, "Access-Control-Request-Method", "POST")); got.status != http.StatusUnauthorized {
					t.Errorf("without a token got %d %s", got.status, got.body)
				}
			}
			if lines := s.lines(t, "request"); lines[0]["method"] != method || lines[0]["route"] != verifyPath {
				t.Errorf("the log has %v", lines[0])
			}
		})
	}
}

func introspect(t testing.TB, s *subject, body string, headers ...string) answer {
	t.Helper()
	return s.do(t, request(t, http.MethodPost, introspectPath, body, headers...))
}

func TestIntrospectToken(t *testing.T) {
	t.Parallel()
	config := httpapi.Config{IntrospectionKeys: []string{"ffffffffffffffffffffffffffffffff", backendKey}}
	as := []string{"Authorization", "Bearer " + backendKey, "Content-Type", formType}
	t.Run("Active", func(t *testing.T) {
		t.Parallel()
		s := newSubject(t, config)
		s.checker.EXPECT().Check(gomock.Any(), token.Reveal(), session.Source{}).Return(good(false), nil)
		got := introspect(t, s, "token_type_hint=access_token&token="+token.Reveal(), as...)
		const want = `{"active":true,"device_id":"device_user_123_1735689600000","exp":1735776000,"iat":1735689600,` +
			`"sid":"0194214b-3a00-7cc3-98c4-dc0c0c07398f","sub":"user_123","workflow_id":"workflow_1"}`
		if got.status != http.StatusOK || strings.TrimSpace(got.body) != want || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %d %s", got.status, got.body)
		}
		if strings.Contains(s.log.String(), token.Reveal()) || strings.Contains(s.log.String(), backendKey) {
			t.Errorf("the log shows a secret:\n%s", s.log)
		}
	})
	t.Run("Expiring", func(t *testing.T) {
		t.Parallel()
		s := newSubject(t, config)
		s.checker.EXPECT().Check(gomock.Any(), "x", session.Source{}).Return(good(true), nil)
		if got := introspect(t, s, "token=x", as...); !strings.Contains(got.body, `,"sub":"user_123","warning":"expires_soon",`) {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("Actor", func(t *testing.T) {
		t.Parallel()
		for actor, want := range map[session.Actor]string{
			{}: `{"active":true,"device_id":`, impersonator: `{"act":{"sub":"user_support","type":"impersonator"},"active":true,`, agent: `{"act":{"sub":"agent_1","type":"agent"},"active":true,`,
		} {
			s := newSubject(t, config)
			s.checker.EXPECT().Check(gomock.Any(), "x", session.Source{}).Return(ports.Checked{Session: actorsSession(actor).Outline()}, nil)
			if got := introspect(t, s, "token=x", as...); got.status != http.StatusOK || !strings.HasPrefix(got.body, want) || !strings.Contains(got.body, `"sub":"user_123"`) {
				t.Errorf("of %q got %d %s", actor, got.status, got.body)
			}
		}
	})
	t.Run("BadQuery", func(t *testing.T) {
		t.Parallel()
		s := newSubject(t, config) // the core is not asked
		r := request(t, http.MethodPost, introspectPath+"?token=%zz", "token=x", as...)
		if got := s.do(t, r); got.status != http.StatusBadRequest || got.Field != "query" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("Inactive", func(t *testing.T) {
		t.Parallel()
		s := newSubject(t, config).checks(session.Wrap(session.KindNotFound, errors.New(secret)))
		if got := introspect(t, s, "token=x", as...); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"active":false}` {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("StoreDown", func(t *testing.T) {
		t.Parallel()
		s := newSubject(t, config).checks(session.Wrap(session.KindUnavailable, errors.New(secret)))
		if got := introspect(t, s, "token=x", as...); got.status != http.StatusServiceUnavailable || strings.Contains(got.body, secret) {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	for name, key := range map[string]string{
		"NoKey": "", "WrongKey": "Bearer 0123456789abcdef0123456789abcdee", "PartOfAKey": "Bearer " + backendKey[:31],
		"OtherScheme": "Basic " + backendKey, "BothKeys": "Bearer " + strings.Join(config.IntrospectionKeys, ","),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, config) // nobody is asked
			if got := introspect(t, s, "token=x", "Authorization", key, "Content-Type", formType); got.status != http.StatusUnauthorized {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	t.Run("NobodyMay", func(t *testing.T) {
		t.Parallel()
		s := newSubject(t, httpapi.Config{})
		for _, key := range []string{"", "Bearer", "Bearer " + backendKey} {
			if got := introspect(t, s, "token=x", "Authorization", key, "Content-Type", formType); got.status != http.StatusUnauthorized {
				t.Errorf("%q got %d %s", key, got.status, got.body)
			}
		}
	})
}

// The back end says from where a token was used, and nothing else does.
// Operators are told what is wrong with a back end's key, and nobody else is.
func TestIntrospectToken_SaysWhichKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys []string
		key  string
		want string
	}{
		"NoneSet": {nil, "Bearer " + strings.Repeat("k", 32), "INTROSPECTION_KEYS is not set"},
		"NotSent": {[]string{strings.Repeat("k", 32)}, "", "there is no introspection key"},
		"Unknown": {[]string{strings.Repeat("k", 32)}, "Bearer " + strings.Repeat("x", 32), "it is none of INTROSPECTION_KEYS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{IntrospectionKeys: c.keys})
			got := introspect(t, s, "token=x", "Authorization", c.key, "Content-Type", formType)
			if got.status != http.StatusUnauthorized || strings.Contains(got.body, "KEYS") {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if text := s.log.String(); !strings.Contains(text, c.want) || strings.Contains(text, strings.Repeat("x", 32)) {
				t.Errorf("the log has %s, want %q in it", text, c.want)
			}
		})
	}
}

func TestIntrospectToken_Source(t *testing.T) {
	t.Parallel()
	agent := url.QueryEscape(firefoxLinux)
	for form, want := range map[string]session.Source{
		"":                                          {},
		"&client_ip=&user_agent=":                   {},
		"&client_ip=198.51.100.7":                   address("198.51.100.7"),
		"&user_agent=" + agent:                      {Client: firefox},
		"&user_agent=??&client_ip=2001:db8::7":      address("2001:db8::7"),
		"&client_ip=::ffff:198.51.100.7":            address("198.51.100.7"),
		"&client_ip=fe80::1%25eth0":                 address("fe80::1"),
		"&client_ip=198.51.100.7:80":                address("198.51.100.7"),
		"&client_ip=%5B2001:db8::7%5D:80":           address("2001:db8::7"),
		"&client_ip=testclient":                     {},
		"&client_ip=10.0.0.0/8":                     {},
		"&client_ip=%20":                            {},
		"&client_ip=testclient&user_agent=" + agent: {Client: firefox},
		"&client_ip=192.0.2.9&user_agent=" + agent:  {Address: netip.MustParseAddr("192.0.2.9"), Client: firefox},
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{IntrospectionKeys: []string{backendKey}, TrustedProxies: prefixes("192.0.2.0/24")})
			s.checker.EXPECT().Check(gomock.Any(), "x", want).Return(good(false), nil)
			got := introspect(t, s, "token=x"+form, "Authorization", "Bearer "+backendKey, "Content-Type", formType, "User-Agent", "curl/8.5.0", "X-Forwarded-For", "203.0.113.9")
			if got.status != http.StatusOK {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func TestIntrospectToken_BadInput(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		contentType, body, field string
		want                     int
	}{
		"NoToken":      {formType, "", "token", 400},
		"TwoTokens":    {formType, "token=a&token=b", "token", 400},
		"TwoAddresses": {formType, "token=x&client_ip=192.0.2.1&client_ip=192.0.2.1", "client_ip", 400},
		"TwoAgents":    {formType, "token=x&user_agent=a&user_agent=a", "user_agent", 400},
		"JSON":         {"application/json", `{"token":"x"}`, "Content-Type", 400},
		"NoType":       {"", "token=x", "Content-Type", 400},
		"NotAForm":     {formType, "token=%zz", "body", 400},
		"TooLarge":     {formType, "token=" + strings.Repeat("x", 16<<10), "body", 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{IntrospectionKeys: []string{backendKey}})
			got := introspect(t, s, test.body, "Authorization", "Bearer "+backendKey, "Content-Type", test.contentType)
			if got.status != test.want || got.Field != test.field {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}
