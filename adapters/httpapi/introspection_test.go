package httpapi_test

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

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
			s := newSubject(t, config) // the core is not called
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
