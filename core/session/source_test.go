package session_test

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"chatkit-session/core/session"
)

func address(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(text)
}

func TestNewClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ given, want string }{
		"Unchanged":                 {"Firefox 133", "Firefox 133"},
		"Empty":                     {"", ""},
		"Trimmed":                   {" \u00a0Firefox ", "Firefox"},
		"OnlySpaces":                {"   ", ""},
		"Controls":                  {"Fire\x00fox\n\u202e 133\x7f", "Firefox 133"},
		"TrimmedAfterCleaning":      {"\n Firefox \n", "Firefox"},
		"NotUTF8":                   {"Fire\xfffox\ufffd", "Firefox"},
		"MaximumLength":             {strings.Repeat("x", 64), strings.Repeat("x", 64)},
		"Truncated":                 {strings.Repeat("x", 65), strings.Repeat("x", 64)},
		"TruncatedBetweenRunes":     {strings.Repeat("x", 63) + "é", strings.Repeat("x", 63)},
		"TruncatedBetweenLongRunes": {strings.Repeat("💬", 17), strings.Repeat("💬", 16)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := session.NewClient(c.given, "", ""), (session.Client{Browser: c.want}); got != want {
				t.Errorf("browser = %q, want %q", got, want)
			}
			if got, want := session.NewClient("", c.given, ""), (session.Client{OS: c.want}); got != want {
				t.Errorf("os = %q, want %q", got, want)
			}
			if got, want := session.NewClient("", "", c.given), (session.Client{Kind: c.want}); got != want {
				t.Errorf("kind = %q, want %q", got, want)
			}
		})
	}
}

func TestNewClient_AnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		got := session.NewClient(string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")), "", rapid.String().Draw(t, "text"))
		for _, field := range []string{got.Browser, got.Kind} {
			if len(field) > session.MaxClientField || !utf8.ValidString(field) || strings.ContainsAny(field, "\x00\n\r\t") {
				t.Fatalf("NewClient kept %q", field)
			}
		}
	})
}

func TestNewSource(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"192.0.2.1":              "192.0.2.1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"2001:db8::1":            "2001:db8::1",
		"fe80::1%eth0":           "fe80::1",
		"::ffff:192.0.2.1%zone0": "192.0.2.1",
		"":                       "",
	} {
		got := session.NewSource(address(given), session.Client{OS: "Linux"})
		if got.Address != address(want) || got.Client.OS != "Linux" {
			t.Errorf("NewSource(%s) = %v", given, got)
		}
	}
}

func TestSource_IsZero(t *testing.T) {
	t.Parallel()
	for s, want := range map[session.Source]bool{
		{}: true,
		session.NewSource(netip.Addr{}, session.NewClient("\n", "", "")): true,
		{Address: address("192.0.2.1")}:                                  false,
		{Client: session.Client{Kind: "mobile"}}:                         false,
	} {
		if s.IsZero() != want {
			t.Errorf("%v: IsZero = %v", s, !want)
		}
	}
}

func TestSource_Or(t *testing.T) {
	t.Parallel()
	here, there := address("192.0.2.1"), address("198.51.100.7")
	linux, mac := session.Client{OS: "Linux"}, session.Client{OS: "macOS", Browser: "Safari 18"}
	for name, c := range map[string]struct{ a, b, want session.Source }{
		"Complete":      {session.Source{here, linux}, session.Source{there, mac}, session.Source{here, linux}},
		"NoAddress":     {session.Source{Client: linux}, session.Source{there, mac}, session.Source{there, linux}},
		"NoClient":      {session.Source{Address: here}, session.Source{there, mac}, session.Source{here, mac}},
		"Unknown":       {session.Source{}, session.Source{there, mac}, session.Source{there, mac}},
		"BothUnknown":   {session.Source{Address: here}, session.Source{}, session.Source{Address: here}},
		"ClientStays":   {session.Source{here, session.Client{Browser: "Firefox 133"}}, session.Source{here, mac}, session.Source{here, session.Client{Browser: "Firefox 133"}}},
		"ClientIsWhole": {session.Source{here, linux}, session.Source{here, session.Client{Browser: "Firefox 133"}}, session.Source{here, linux}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.a.Or(c.b); got != c.want {
				t.Errorf("Or = %v, want %v", got, c.want)
			}
		})
	}
}

func TestSource_Network(t *testing.T) {
	t.Parallel()
	network := func(text string) session.Network { return session.Source{Address: address(text)}.Network() }
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"TheSameIPv4":         {"192.0.2.1", "192.0.2.1", true},
		"TheNextIPv4":         {"192.0.2.1", "192.0.2.2", false},
		"PrivacyAddresses":    {"2001:db8:1:2:aaaa::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		"TheNextIPv6Network":  {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		"IPv4AndIPv6":         {"192.0.2.1", "2001:db8::1", false},
		"ZonesDoNotCount":     {"fe80::1%eth0", "fe80::2", true},
		"BothUnknown":         {"", "", true},
		"OneIsUnknown":        {"", "0.0.0.0", false},
		"OneUnknownOtherZero": {"", "::", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := network(c.a) == network(c.b); got != c.same {
				t.Errorf("same network = %v", got)
			}
		})
	}
	if network("") != (session.Network{}) {
		t.Error("the Network of an unknown address is not zero")
	}
}

func TestSource_Differs(t *testing.T) {
	t.Parallel()
	const home, mobile = "192.0.2.1", "198.51.100.7"
	from := func(text, browser, os, kind string) session.Source {
		return session.NewSource(address(text), session.NewClient(browser, os, kind))
	}
	known := from(home, "Firefox 133", "Android 14", "mobile")
	for name, c := range map[string]struct {
		other session.Source
		want  bool
	}{
		"Same":                    {known, false},
		"OtherNetworkOnly":        {from(mobile, "Firefox 133", "Android 14", "mobile"), false},
		"SystemUpdate":            {from(mobile, "Firefox 133", "Android 15", "mobile"), false},
		"NamesOfTwoWords":         {from(mobile, "Firefox Focus 133", "Android 14", "mobile"), true},
		"BrowserUpdate":           {from(mobile, "Firefox 134", "Android 14", "mobile"), false},
		"AnotherBrowserAtHome":    {from(home, "Chrome 130", "Windows 11", "desktop"), false},
		"AnotherBrowserElsewhere": {from(mobile, "Chrome 133", "Android 14", "mobile"), true},
		"AnotherSystemElsewhere":  {from(mobile, "Firefox 133", "Windows 11", "mobile"), true},
		"AnotherKindElsewhere":    {from(mobile, "Firefox 133", "Android 14", "tablet"), true},
		"NoAddress":               {from("", "Chrome 130", "Windows 11", "desktop"), false},
		"NoClient":                {from(mobile, "", "", ""), false},
		"NoBrowser":               {from(mobile, "", "Android 14", "mobile"), false},
		"NoSystem":                {from(mobile, "Firefox 133", "", "mobile"), false},
		"NoKind":                  {from(mobile, "Firefox 133", "Android 14", ""), false},
		"Unknown":                 {session.Source{}, false},
		"KnownPartDiffers":        {from(mobile, "", "Windows 11", ""), true},
		"BrowserWithoutVersion":   {from(mobile, "Firefox", "Android 14", "mobile"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if known.Differs(c.other) != c.want || c.other.Differs(known) != c.want {
				t.Errorf("Differs = %v, reversed %v, want %v", known.Differs(c.other), c.other.Differs(known), c.want)
			}
		})
	}
	six, privacy := from("2001:db8::1", "Firefox 133", "Linux", "desktop"), from("2001:db8::ffff", "Chrome 130", "Windows 11", "desktop")
	if six.Differs(privacy) {
		t.Error("Differs is true for another address of the same IPv6 network")
	}
}
