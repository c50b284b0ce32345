package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
)

// Which origins may call, by the preflight and by the call itself.
func TestCORS(t *testing.T) {
	t.Parallel()
	listed := []string{
		"https://app.example.com", "http://localhost:3000", "https://*.preview.example.com", "HTTPS://Upper.example.com/",
		"capacitor://localhost", "moz-extension://5c1f0e5c-11a2", "https://shop-*-team.vercel.app",
	}
	cases := map[string]bool{
		"https://app.example.com":                   true,
		"http://localhost:3000":                     true,
		"https://upper.example.com":                 true,
		"https://a.preview.example.com":             true,
		"https://a.b.preview.example.com":           true,
		"http://app.example.com":                    false,
		"https://app.example.com:8443":              false,
		"https://app.example.com.evil.example":      false,
		"https://evilapp.example.com":               false,
		"http://localhost:3001":                     false,
		"http://localhost":                          false,
		"https://preview.example.com":               false,
		"https://.preview.example.com":              false,
		"https://evilpreview.example.com":           false,
		"http://a.preview.example.com":              false,
		"https://a.preview.example.com:1":           false,
		"https://evil.example/.preview.example.com": false,
		"https://evil.example#.preview.example.com": false,
		"https://x@a.preview.example.com":           false,
		"https://a_b.preview.example.com":           true,
		"capacitor://localhost":                     true,
		"capacitor://localhost.evil.example":        false,
		"tauri://localhost":                         false,
		"moz-extension://5C1F0E5C-11A2":             true, // as Safari and others write it
		"HTTPS://APP.EXAMPLE.COM":                   false,
		"https://shop-git-x1-team.vercel.app":       true,
		"https://shop--team.vercel.app":             false,
		"https://shop-team.vercel.app":              false,
		"https://shop-a.b-team.vercel.app":          false,
		"https://shop-a-team.vercel.app:8443":       false,
		"https://shop-a-team.vercel.app.evil":       false,
		"http://shop-a-team.vercel.app":             false,
		"https://xshop-a-team.vercel.app":           false,
		"null":                                      false,
		"*":                                         false,
		"garbage":                                   false,
	}
	for origin, allowed := range cases {
		t.Run(origin, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{AllowedOrigins: listed})
			s.asked()
			preflight := s.do(t, request(t, http.MethodOptions, openPath, "",
				"Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,baggage,content-type,sentry-trace,traceparent"))
			call := s.post(t, "", "Origin", origin)
			want := ""
			if allowed {
				want = origin
			}
			for _, got := range []answer{preflight, call} {
				if value := got.header.Get("Access-Control-Allow-Origin"); value != want {
					t.Errorf("%d allows %q", got.status, value)
				}
				if !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Origin") {
					t.Errorf("%d does not vary by origin", got.status)
				}
			}
			if !allowed {
				if preflight.status != http.StatusForbidden || preflight.Code != "origin_not_allowed" {
					t.Errorf("the preflight got %d %s", preflight.status, preflight.body)
				}
				if lines := s.lines(t, turnedAway); len(lines) != 1 || !strings.Contains(lines[0]["lastError"].(string), strconv.Quote(origin)) {
					t.Errorf("the operator is told %v", lines)
				}
				return
			}
			for name, wants := range map[string][]string{
				"Access-Control-Allow-Methods":     {"GET", "POST", "DELETE"},
				"Access-Control-Allow-Headers":     {"Authorization", "Content-Type", "X-ChatKit-Token", "traceparent", "tracestate", "baggage", "sentry-trace"},
				"Access-Control-Allow-Credentials": {"true"},
			} {
				for _, want := range wants {
					if !strings.Contains(preflight.header.Get(name), want) {
						t.Errorf("the preflight's %s is %q", name, preflight.header.Get(name))
					}
				}
			}
			if preflight.status != http.StatusNoContent || !strings.Contains(call.header.Get("Access-Control-Expose-Headers"), "X-Request-Id") {
				t.Errorf("the preflight got %d, the call exposes %q", preflight.status, call.header.Get("Access-Control-Expose-Headers"))
			}
		})
	}
}

// Pages can read error answers.
func TestCORS_OfErrors(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).admits()
	for _, got := range []answer{
		s.post(t, "[", "Origin", page),
		s.do(t, request(t, http.MethodGet, "/nothing", "", "Origin", page)),
		s.do(t, request(t, http.MethodPost, openPath, "", "Origin", page, "Authorization", "a", "Authorization", "b")),
	} {
		if got.status < http.StatusBadRequest || got.header.Get("Access-Control-Allow-Origin") != page {
			t.Errorf("a page cannot read the %d", got.status)
		}
	}
}
