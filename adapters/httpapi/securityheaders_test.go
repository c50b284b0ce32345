package httpapi_test

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"

	"chatkit-session/adapters/httpapi"
)

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

// HSTS needs TLS: our own, or that of a proxy whose X-Forwarded-Proto is trusted.
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
