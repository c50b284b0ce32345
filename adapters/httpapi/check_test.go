package httpapi_test

import (
	"errors"
	"net/http"
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
func (s *subject) checks(found session.Session, err error) *subject {
	s.checker.EXPECT().Check(gomock.Any(), gomock.Any()).Return(found, err).AnyTimes()
	return s
}

func TestVerifySession(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.checker.EXPECT().Check(gomock.Any(), token.Reveal()).Return(opened(ports.OpenRequest{}).Session, nil)
	got := s.do(t, request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer "+token.Reveal()))
	if got.status != http.StatusNoContent || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for name, want := range map[string]string{
		"X-ChatKit-User-Id": "user_123", "X-ChatKit-Session-Id": "0194214b-3a00-7cc3-98c4-dc0c0c07398f",
		"X-ChatKit-Device-Id": "device_user_123_1735689600000", "X-ChatKit-Workflow-Id": "workflow_1",
	} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if strings.Contains(s.log.String(), token.Reveal()) {
		t.Errorf("the log shows the token:\n%s", s.log)
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
			s.checker.EXPECT().Check(gomock.Any(), test.asked).Return(session.Session{}, test.answer)
			got := s.do(t, request(t, http.MethodGet, verifyPath, "", test.headers...))
			if got.status != test.want || strings.Contains(got.body, secret) || got.header.Get("X-ChatKit-User-Id") != "" {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if (got.header.Get("WWW-Authenticate") != "") != (test.want == http.StatusUnauthorized) {
				t.Errorf("a %d has WWW-Authenticate %q", got.status, got.header.Get("WWW-Authenticate"))
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
		s.checker.EXPECT().Check(gomock.Any(), token.Reveal()).Return(opened(ports.OpenRequest{}).Session, nil)
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
	t.Run("Inactive", func(t *testing.T) {
		t.Parallel()
		s := newSubject(t, config).checks(session.Session{}, session.Wrap(session.KindNotFound, errors.New(secret)))
		if got := introspect(t, s, "token=x", as...); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"active":false}` {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("StoreDown", func(t *testing.T) {
		t.Parallel()
		s := newSubject(t, config).checks(session.Session{}, session.Wrap(session.KindUnavailable, errors.New(secret)))
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

func TestIntrospectToken_BadInput(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		contentType, body, field string
		want                     int
	}{
		"NoToken":   {formType, "", "token", 400},
		"TwoTokens": {formType, "token=a&token=b", "token", 400},
		"JSON":      {"application/json", `{"token":"x"}`, "Content-Type", 400},
		"NoType":    {"", "token=x", "Content-Type", 400},
		"NotAForm":  {formType, "token=%zz", "body", 400},
		"TooLarge":  {formType, "token=" + strings.Repeat("x", 16<<10), "body", 413},
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
