package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

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

const unreadable = "a trusted proxy sent a header that cannot be parsed: the client's address or scheme is unknown"

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
