package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const turnedAway = "callers were refused"

// refuses turns everybody away for a reason.
func (s *subject) refuses(kind session.Kind, reason session.Reason, cause string) {
	err := fmt.Errorf("admit: %w", session.Because(kind, reason, errors.New(cause)))
	s.authorizer.EXPECT().Authorize(gomock.Any(), gomock.Any(), gomock.Any()).Return(access.Caller{}, err).AnyTimes()
}

// A reason is told at once when it is new, then once a minute while there are
// any, with their number; and each refusal is counted once.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		counted := 0
		s := newSubject(t, httpapi.Config{TurnedAway: func(code, reason string) {
			if code != "unauthorized" || reason != "wrong_issuer" {
				t.Errorf("counts %s, %s", code, reason)
			}
			counted++
		}})
		s.refuses(session.KindUnauthenticated, session.ReasonIssuer, `the issuer (iss) is "https://clerk.other.example"`)
		hears := func(counts ...float64) {
			t.Helper()
			synctest.Wait()
			lines := s.lines(t, turnedAway)
			if len(lines) != len(counts) {
				t.Fatalf("it is told %d times, want %d:\n%s", len(lines), len(counts), s.log)
			}
			for i, line := range lines {
				if line["count"] != counts[i] || line["level"] != "WARN" || line["code"] != "unauthorized" || line["reason"] != "wrong_issuer" || line["settings"] != "CLERK_ISSUER" {
					t.Errorf("line %d is %v", i+1, line)
				}
			}
		}
		hears()
		s.post(t, "")
		hears(1)
		s.post(t, "")
		pass(59 * time.Second)
		s.post(t, "", "X-Request-Id", "the-last")
		hears(1)
		pass(time.Second)
		hears(1, 2)
		if line := s.lines(t, turnedAway)[1]; line["lastRequestId"] != "the-last" || !strings.Contains(fmt.Sprint(line["lastError"]), "clerk.other.example") {
			t.Errorf("the last one is told as %v", line)
		}
		pass(time.Hour) // without refusals in the interval, the next one is a first one again
		hears(1, 2)
		s.post(t, "")
		hears(1, 2, 1)
		if counted != 4 {
			t.Errorf("counted are %d", counted)
		}
	})
}

// Each reason has lines of its own, and names the settings to look at.
func TestRefusals_Reasons(t *testing.T) {
	t.Parallel()
	const foreign = "https://evil.example"
	denied := func(kind session.Kind, reason session.Reason) func(*subject) {
		return func(s *subject) { s.refuses(kind, reason, "a cause") }
	}
	unknownToken := func(s *subject) {
		s.checker.EXPECT().Check(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Checked{}, session.KindNotFound)
	}
	preflight := []string{"Access-Control-Request-Method", "POST"}
	for name, c := range map[string]struct {
		prepare                func(*subject)
		method, path           string
		headers                []string
		code, reason, settings string
	}{
		"Party":         {denied(session.KindUnauthenticated, session.ReasonParty), "POST", openPath, nil, "unauthorized", "wrong_party", "CLERK_AUTHORIZED_PARTIES"},
		"UnknownKey":    {denied(session.KindUnauthenticated, session.ReasonUnknownKey), "POST", openPath, nil, "unauthorized", "unknown_key", "CLERK_SECRET_KEY"},
		"Audience":      {denied(session.KindUnauthenticated, session.ReasonAudience), "POST", openPath, nil, "unauthorized", "wrong_audience", "CLERK_AUDIENCE"},
		"NotSession":    {denied(session.KindUnauthenticated, session.ReasonNotSession), "POST", openPath, nil, "unauthorized", "not_a_session_token", ""},
		"Actor":         {denied(session.KindActorDenied, ""), "POST", openPath, nil, "actor_denied", "", ""},
		"Signature":     {denied(session.KindUnauthenticated, session.ReasonSignature), "POST", openPath, nil, "unauthorized", "bad_signature", "CLERK_JWT_KEY"},
		"Nothing":       {denied(session.KindUnauthenticated, session.ReasonNoCredential), "POST", openPath, nil, "unauthorized", "no_credential", ""},
		"ForeignCookie": {denied(session.KindUnauthenticated, session.ReasonNoCredential), "POST", openPath, []string{"Origin", foreign, "Cookie", "__session=jwt"}, "unauthorized", "cookie_does_not_count", "ALLOWED_ORIGINS"},
		"NoRole":        {denied(session.KindNoRole, ""), "POST", openPath, nil, "role_not_found", "", "CHATKIT_ROLE_CLAIMS, CHATKIT_DEFAULT_ROLE"},
		"Forbidden":     {denied(session.KindForbidden, ""), "POST", openPath, nil, "permission_denied", "", "CHATKIT_ACCESS_POLICY"},
		"SignedOut":     {denied(session.KindSignedOut, ""), "POST", openPath, nil, "session_revoked", "", ""},
		"RateLimited":   {denied(session.KindRateLimited, ""), "POST", openPath, nil, "rate_limited", "", ""},
		"Origin":        {func(*subject) {}, "OPTIONS", openPath, append(preflight, "Origin", foreign), "origin_not_allowed", "", "ALLOWED_ORIGINS"},
		"NoToken":       {unknownToken, "GET", openPath + "/verify", nil, "unauthorized", "no_token", ""},
		"UnknownToken":  {unknownToken, "GET", openPath + "/verify", []string{"Authorization", "Bearer x"}, "unauthorized", "unknown_token", ""},
		"NoBackends":    {func(*subject) {}, "POST", openPath + "/introspect", []string{"Authorization", "Bearer x"}, "unauthorized", "introspection_is_off", "INTROSPECTION_KEYS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			c.prepare(s)
			s.do(t, request(t, c.method, c.path, "", c.headers...))
			lines := s.lines(t, turnedAway)
			if len(lines) != 1 {
				t.Fatalf("the log has\n%s", s.log)
			}
			for key, want := range map[string]string{"code": c.code, "reason": c.reason, "settings": c.settings} {
				if got, _ := lines[0][key].(string); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
		})
	}
}

// Nobody makes lines long, and a caller who is served, or asks for what cannot
// be, is not turned away.
func TestRefusals_NotForOtherErrors(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).admits()
	s.post(t, "[")
	s.do(t, request(t, http.MethodGet, "/nothing", ""))
	if strings.Contains(s.log.String(), turnedAway) {
		t.Errorf("a 400 or a 404 is told as a refusal:\n%s", s.log)
	}
	s.do(t, request(t, http.MethodOptions, openPath, "", "Access-Control-Request-Method", "POST", "Origin", "https://"+strings.Repeat("ü", 15_000)))
	for _, message := range []string{turnedAway, "request failed"} {
		for _, line := range s.lines(t, message) {
			if told := fmt.Sprint(line); len(told) > 700 {
				t.Errorf("a line of %d bytes: %.700s", len(told), told)
			}
		}
	}
	s = newSubject(t, httpapi.Config{})
	s.refuses(session.KindUnauthenticated, session.ReasonMalformed, strings.Repeat("x", 16<<10))
	s.post(t, "")
	if told := fmt.Sprint(s.lines(t, turnedAway)); len(told) > 700 {
		t.Errorf("a line of %d bytes", len(told))
	}
}
