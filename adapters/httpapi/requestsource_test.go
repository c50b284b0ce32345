package httpapi_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var firefox = session.Client{Browser: "Firefox 133", OS: "Linux", Kind: "desktop"}

// Addresses come as proxies write them: with ports (Azure's gateways), in the
// brackets of RFC 7239, in one line or in several.
func TestSource_Forwarded(t *testing.T) {
	t.Parallel()
	const v6 = "2001:db8::7"
	for name, test := range map[string]struct {
		lines []string
		want  string // empty for unknown
		warns bool
	}{
		"Port":              {[]string{"198.51.100.7:5678"}, "198.51.100.7", false},
		"HiddenPort":        {[]string{"198.51.100.7:_x1"}, "198.51.100.7", false},
		"PortBehindAnother": {[]string{"198.51.100.7:5678, 10.9.9.9:80"}, "198.51.100.7", false},
		"IPv6":              {[]string{v6}, v6, false},
		"Brackets":          {[]string{"[" + v6 + "]"}, v6, false},
		"BracketsAndPort":   {[]string{"[" + v6 + "]:5678"}, v6, false},
		"Quotes":            {[]string{`"[` + v6 + `]:5678"`}, v6, false},
		"Zone":              {[]string{"fe80::7%eth0"}, "fe80::7", false},
		"ZoneInBrackets":    {[]string{"[fe80::7%25eth0]:1"}, "fe80::7", false},
		"Mapped":            {[]string{"[::ffff:198.51.100.7]:1"}, "198.51.100.7", false},
		"Spaces":            {[]string{" \t198.51.100.7 \t,\t 10.9.9.9 "}, "198.51.100.7", false},
		"EmptyElements":     {[]string{"198.51.100.7,, ,10.9.9.9,"}, "198.51.100.7", false},
		"Lines":             {[]string{"1.1.1.1, 198.51.100.7:1", "10.8.8.8", "", "10.9.9.9"}, "198.51.100.7", false},
		"ForgedFirstLine":   {[]string{"1.1.1.1", "198.51.100.7"}, "198.51.100.7", false},
		"ForgedNonsense":    {[]string{"<script>, 198.51.100.7"}, "198.51.100.7", false},
		"AllAreProxies":     {[]string{"10.5.5.5:1, 10.9.9.9"}, "10.5.5.5", false},
		"OnlyItself":        {[]string{"10.1.2.3:99"}, "", false},
		"Unknown":           {[]string{"1.1.1.1, unknown"}, "", false},
		"Hidden":            {[]string{"1.1.1.1, _proxy"}, "", false},
		"Nothing":           {[]string{"", " , "}, "", false},
		"Name":              {[]string{"client.example.com"}, "", true},
		"BadPort":           {[]string{"198.51.100.7:port"}, "", true},
		"LongPort":          {[]string{"198.51.100.7:567890"}, "", true},
		"NoPort":            {[]string{"198.51.100.7:"}, "", true},
		"OpenBracket":       {[]string{"[" + v6}, "", true},
		"AfterTheBracket":   {[]string{"[" + v6 + "]5678"}, "", true},
		"IPv4InBrackets":    {[]string{"[198.51.100.7]"}, "", true},
		"NonsenseBehind":    {[]string{"1.1.1.1, <script>, 10.9.9.9"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{TrustedProxies: prefixes("10.0.0.0/8")})
			var want session.Source
			if test.want != "" {
				want = address(test.want)
			}
			s.checker.EXPECT().Check(gomock.Any(), "x", want).Return(ports.Checked{}, session.KindNotFound).Times(2)
			for range 2 {
				r := request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer x", "Forwarded", "for=192.0.2.66")
				r.RemoteAddr = "10.1.2.3:1"
				r.Header["X-Forwarded-For"] = test.lines
				s.do(t, r)
			}
			if warnings := s.lines(t, unreadable); len(warnings) > 1 || (len(warnings) == 1) != test.warns {
				t.Errorf("the log warns %d times: %v", len(warnings), warnings)
			}
		})
	}
}

const unreadable = "a trusted proxy sends a header that cannot be read: what it is to tell is unknown"

// What cannot be read is said once for each header, cut short; what strangers
// send is not looked at.
func TestSource_Unreadable(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{TrustedProxies: prefixes("10.0.0.0/8")})
	for _, peer := range []string{"203.0.113.9:1", "10.1.2.3:1", "10.1.2.3:1", "10.1.2.4:1"} {
		r := request(t, http.MethodGet, "/healthz", "", "X-Forwarded-For", strings.Repeat("é", 500), "X-Forwarded-Proto", "gopher")
		r.RemoteAddr = peer
		if s.do(t, r); peer == "203.0.113.9:1" && len(s.lines(t, unreadable)) > 0 {
			t.Error("the log warns of what a stranger sends")
		}
	}
	warnings := s.lines(t, unreadable)
	if len(warnings) != 2 {
		t.Fatalf("the log warns %d times", len(warnings))
	}
	for _, warning := range warnings {
		value, _ := warning["value"].(string)
		want := map[any]string{"X-Forwarded-For": strings.Repeat("é", 32) + "…", "X-Forwarded-Proto": "gopher"}[warning["header"]]
		if warning["level"] != "WARN" || value != want {
			t.Errorf("the log warns %v", warning)
		}
	}
}

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
				r.Header.Set("X-Real-Ip", "192.0.2.66") // nobody is believed with this one
				r.Header.Set("User-Agent", test.agent)
				if test.forwarded != "" {
					r.Header.Set("X-Forwarded-For", test.forwarded)
				}
				s.do(t, r)
			}
		})
	}
}
