package httpapi_test

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/session"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		sent string
		kept bool
	}{
		"Good":       {"Trace-1.2_3", true},
		"Longest":    {strings.Repeat("x", 64), true},
		"TooLong":    {strings.Repeat("x", 65), false},
		"Empty":      {"", false},
		"Space":      {"a b", false},
		"Markup":     {"<script>", false},
		"NotASCII":   {"é", false},
		"LogForging": {"a\nb", false},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			got := s.do(t, request(t, http.MethodGet, "/healthz", "", "X-Request-Id", test.sent))
			id := got.header.Get("X-Request-Id")
			if (id == test.sent) != test.kept || id == "" {
				t.Errorf("sent %q, got %q", test.sent, id)
			}
			if lines := s.lines(t, "request"); len(lines) != 1 || lines[0]["requestId"] != id {
				t.Errorf("the log has\n%s", s.log)
			}
		})
	}
}

// The access log says what happened, and nothing that may be a secret.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.asked()
	s.post(t, `{"deviceId":"phone","metadata":{"note":"hunter2"}}`, "Cookie", "__session=hunter2", "X-Forwarded-For", "198.51.100.7")
	s.do(t, request(t, http.MethodGet, "/nothing?token=hunter2", ""))
	lines := s.lines(t, "request")
	if len(lines) != 2 || strings.Contains(s.log.String(), "hunter2") || strings.Contains(s.log.String(), "jwt") {
		t.Fatalf("the log has\n%s", s.log)
	}
	for key, want := range map[string]any{"method": "POST", "route": openPath, "status": 200.0, "client": "192.0.2.1", "user": "user_123", "outcome": "created"} {
		if lines[0][key] != want {
			t.Errorf("%s is %v, want %v", key, lines[0][key], want)
		}
	}
	if lines[1]["status"] != 404.0 || lines[1]["user"] != nil {
		t.Errorf("the second request is logged as %v", lines[1])
	}
}

// Probes come every few seconds: those that succeed are not what an operator
// reads the log for.
func TestAccessLog_OfProbes(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.ready.EXPECT().Ready(gomock.Any()).Return(nil, session.KindUnavailable)
	for _, path := range []string{"/healthz", "/readyz"} {
		s.do(t, request(t, http.MethodGet, path, ""))
	}
	lines := s.lines(t, "request")
	if len(lines) != 2 || lines[0]["level"] != "DEBUG" || lines[1]["level"] != "INFO" {
		t.Errorf("the log has\n%s", s.log)
	}
}

// An operator sees whom the service refused, and why.
func TestAccessLog_OfRefusals(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.authorizer.EXPECT().Authorize(gomock.Any(), gomock.Any(), gomock.Any()).Return(member, session.KindNoRole)
	s.post(t, "")
	if line := s.lines(t, "request")[0]; line["user"] != "user_123" || line["code"] != "role_not_found" || line["status"] != 403.0 {
		t.Errorf("the log has\n%s", s.log)
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.asked()
	for _, got := range []answer{s.post(t, ""), s.post(t, "["), s.do(t, request(t, http.MethodGet, "/nothing", ""))} {
		for name, want := range map[string]string{
			"X-Content-Type-Options":    "nosniff",
			"Referrer-Policy":           "no-referrer",
			"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
			"Strict-Transport-Security": "", // it came over plain HTTP
			"Server":                    "",
		} {
			if value := got.header.Get(name); value != want {
				t.Errorf("a %d has %s: %q, want %q", got.status, name, value, want)
			}
		}
	}
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// HSTS needs TLS: our own, or that of a proxy that is trusted to say so.
func TestSecurityHeaders_HSTS(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		proxies []netip.Prefix
		peer    string
		proto   string
		tls     bool
		want    bool
	}{
		"OurOwnTLS":          {nil, "203.0.113.9:1", "", true, true},
		"TrustedProxy":       {prefixes("10.0.0.0/8"), "10.1.2.3:1", "https", false, true},
		"MappedProxy":        {prefixes("10.0.0.0/8"), "[::ffff:10.1.2.3]:1", "https", false, true},
		"TrustedProxyNoTLS":  {prefixes("10.0.0.0/8"), "10.1.2.3:1", "http", false, false},
		"UpperCase":          {prefixes("10.0.0.0/8"), "10.1.2.3:1", "HTTPS", false, true},
		"WebSocket":          {prefixes("10.0.0.0/8"), "10.1.2.3:1", "wss", false, true},
		"TwoProxies":         {prefixes("10.0.0.0/8"), "10.1.2.3:1", "https,http", false, true},
		"TwoProxiesSpaced":   {prefixes("10.0.0.0/8"), "10.1.2.3:1", " https , http", false, true},
		"FirstWithoutTLS":    {prefixes("10.0.0.0/8"), "10.1.2.3:1", "http, https", false, false},
		"NoScheme":           {prefixes("10.0.0.0/8"), "10.1.2.3:1", "httpss", false, false},
		"AnybodyElse":        {prefixes("10.0.0.0/8"), "203.0.113.9:1", "https", false, false},
		"NobodyIsTrusted":    {nil, "10.1.2.3:1", "https", false, false},
		"NoAddressOfTheirs":  {prefixes("10.0.0.0/8"), "", "https", false, false},
		"AnAddressOfNoSense": {prefixes("10.0.0.0/8"), "pipe", "https", false, false},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{TrustedProxies: test.proxies})
			r := request(t, http.MethodGet, "/healthz", "", "X-Forwarded-Proto", test.proto)
			if r.RemoteAddr = test.peer; test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if got := s.do(t, r).header.Get("Strict-Transport-Security"); (got != "") != test.want {
				t.Errorf("Strict-Transport-Security: %q", got)
			}
		})
	}
}

// The client's address is the peer's, unless the peer is a trusted proxy: then
// it is the nearest address that is none.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		proxies   []netip.Prefix
		peer      string
		forwarded string
		want      string
	}{
		"Direct":               {nil, "203.0.113.9:1", "", "203.0.113.9"},
		"DirectForged":         {nil, "203.0.113.9:1", "198.51.100.7", "203.0.113.9"},
		"LoopbackForged":       {nil, "127.0.0.1:1", "198.51.100.7", "127.0.0.1"},
		"PrivateForged":        {nil, "10.1.2.3:1", "198.51.100.7", "10.1.2.3"},
		"ThroughProxy":         {prefixes("10.0.0.0/8"), "10.1.2.3:1", "198.51.100.7", "198.51.100.7"},
		"ThroughTwo":           {prefixes("10.0.0.0/8"), "10.1.2.3:1", "198.51.100.7, 10.9.9.9", "198.51.100.7"},
		"ForgedThroughProxy":   {prefixes("10.0.0.0/8"), "10.1.2.3:1", "1.1.1.1, 198.51.100.7", "198.51.100.7"},
		"PastTheProxy":         {prefixes("10.0.0.0/8"), "203.0.113.9:1", "198.51.100.7", "203.0.113.9"},
		"NotListedLoopback":    {prefixes("10.0.0.0/8"), "127.0.0.1:1", "198.51.100.7", "127.0.0.1"},
		"OneAddress":           {prefixes("10.1.2.3/32"), "10.1.2.4:1", "198.51.100.7", "10.1.2.4"},
		"IPv6":                 {prefixes("fd00::/8"), "[fd00::1]:1", "2001:db8::7", "2001:db8::7"},
		"IPv6Direct":           {nil, "[2001:db8::9]:1", "", "2001:db8::9"},
		"NoSenseThroughProxy":  {prefixes("10.0.0.0/8"), "10.1.2.3:1", "<script>", "10.1.2.3"},
		"NothingThroughProxy":  {prefixes("10.0.0.0/8"), "10.1.2.3:1", "", "10.1.2.3"},
		"MappedNetworkGiven":   {prefixes("::ffff:10.0.0.0/104"), "10.9.9.9:1", "198.51.100.7", "198.51.100.7"},
		"LinkLocalProxy":       {prefixes("fe80::/10"), "[fe80::1%eth0]:1", "198.51.100.7", "198.51.100.7"},
		"UnmaskedNetworkGiven": {prefixes("10.1.2.3/8"), "10.9.9.9:1", "198.51.100.7", "198.51.100.7"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{TrustedProxies: test.proxies})
			r := request(t, http.MethodGet, "/healthz", "")
			r.RemoteAddr = test.peer
			if test.forwarded != "" {
				r.Header.Set("X-Forwarded-For", test.forwarded)
			}
			r.Header.Set("X-Real-Ip", "192.0.2.66") // nobody is believed with this one
			s.do(t, r)
			if got := s.lines(t, "request")[0]["client"]; got != test.want {
				t.Errorf("the client is %v, want %s", got, test.want)
			}
		})
	}
}

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

// A page can read why it was refused.
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
