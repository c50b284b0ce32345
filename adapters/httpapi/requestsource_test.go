package httpapi_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var firefox = session.Client{Browser: "Firefox 133", OS: "Linux", Kind: "desktop"}

// From where a request comes. Two ask: who calls, and, for somebody else, who
// verifies a token; of these only trusted proxies are believed.
func TestSource(t *testing.T) {
	t.Parallel()
	one := prefixes("10.0.0.0/8")
	known := func(text string, client session.Client) session.Source {
		return session.Source{Address: netip.MustParseAddr(text), Client: client}
	}
	for name, test := range map[string]struct {
		proxies                []netip.Prefix
		peer, forwarded, agent string
		calls, verifies        session.Source
	}{
		"Direct":            {nil, "203.0.113.9:1", "", firefoxLinux, known("203.0.113.9", firefox), session.Source{}},
		"DirectForged":      {nil, "203.0.113.9:1", "198.51.100.7", firefoxLinux, known("203.0.113.9", firefox), session.Source{}},
		"PastTheProxy":      {one, "203.0.113.9:1", "198.51.100.7", firefoxLinux, known("203.0.113.9", firefox), session.Source{}},
		"ThroughProxy":      {one, "10.1.2.3:1", "198.51.100.7", firefoxLinux, known("198.51.100.7", firefox), known("198.51.100.7", firefox)},
		"ForgedThrough":     {one, "10.1.2.3:1", "1.1.1.1, 198.51.100.7", "", known("198.51.100.7", session.Client{}), known("198.51.100.7", session.Client{})},
		"ThroughTwo":        {one, "10.1.2.3:1", "198.51.100.7, 10.9.9.9", "", known("198.51.100.7", session.Client{}), known("198.51.100.7", session.Client{})},
		"ProxyNamesNobody":  {one, "10.1.2.3:1", "", firefoxLinux, session.Source{Client: firefox}, session.Source{Client: firefox}},
		"ProxyNamesNoSense": {one, "10.1.2.3:1", "<script>", "", session.Source{}, session.Source{}},
		"MappedProxyNobody": {one, "[::ffff:10.1.2.3]:1", "", "", session.Source{}, session.Source{}},
		"WithinTheNetwork":  {one, "10.1.2.3:1", "10.5.5.5", "", known("10.5.5.5", session.Client{}), known("10.5.5.5", session.Client{})},
		"Mapped":            {nil, "[::ffff:203.0.113.9]:1", "", "", known("203.0.113.9", session.Client{}), session.Source{}},
		"Zone":              {nil, "[fe80::1%eth0]:1", "", "", known("fe80::1", session.Client{}), session.Source{}},
		"IPv6ThroughProxy":  {one, "10.1.2.3:1", "2001:db8::7", "", known("2001:db8::7", session.Client{}), known("2001:db8::7", session.Client{})},
		"NoAddress":         {one, "pipe", "198.51.100.7", firefoxLinux, session.Source{Client: firefox}, session.Source{}},
		"NothingKnown":      {nil, "", "", "???", session.Source{}, session.Source{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{TrustedProxies: test.proxies}).admits()
			s.opener.EXPECT().Open(gomock.Any(), from(member, test.calls), gomock.Any()).
				DoAndReturn(func(_ context.Context, _ access.Caller, r ports.OpenRequest) (ports.Opened, error) {
					return opened(r), nil
				})
			s.checker.EXPECT().Check(gomock.Any(), "jwt", test.verifies).Return(ports.Checked{}, session.KindNotFound)
			for _, r := range []*http.Request{request(t, http.MethodPost, openPath, ""), request(t, http.MethodGet, verifyPath, "")} {
				r.RemoteAddr = test.peer
				r.Header.Set("Authorization", "Bearer jwt")
				r.Header.Set("X-Real-Ip", "192.0.2.66") // this header is never trusted
				r.Header.Set("User-Agent", test.agent)
				if test.forwarded != "" {
					r.Header.Set("X-Forwarded-For", test.forwarded)
				}
				s.do(t, r)
			}
		})
	}
}
