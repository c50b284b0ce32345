package httpapi_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

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

// The answer warns about a session that expires soon.
func TestVerifySession_Warns(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.checker.EXPECT().Check(gomock.Any(), "x", gomock.Any()).Return(good(true), nil)
	got := s.do(t, request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer x"))
	if got.status != http.StatusNoContent || got.header.Get("X-ChatKit-Warning") != "expires_soon" || got.header.Get("X-ChatKit-User-Id") != "user_123" {
		t.Errorf("got %d %v", got.status, got.header)
	}
}

// The actor is named; for the user in person there is no
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

// Only bearer tokens are accepted, and refusals do not identify a session.
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

// Proxies use the method of their client's request: every method is answered,
// and none is treated as a preflight.
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
