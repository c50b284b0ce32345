package httpapi_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/session"
)

const (
	firefoxLinux = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
	chromePhone  = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.135 Mobile Safari/537.36"
)

func TestClientOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		agent             string
		browser, os, kind string
	}{
		"ChromeWindows":        {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "Chrome 131", "Windows", "desktop"},
		"FirefoxWindows7":      {"Mozilla/5.0 (Windows NT 6.1; Win64; x64; rv:115.0) Gecko/20100101 Firefox/115.0", "Firefox 115", "Windows", "desktop"},
		"EdgeWindows":          {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.86", "Edge 131", "Windows", "desktop"},
		"OperaWindows":         {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0", "Opera 115", "Windows", "desktop"},
		"SafariMac":            {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Safari/605.1.15", "Safari 18", "macOS", "desktop"},
		"SafariIPhone":         {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1.1 Mobile/15E148 Safari/604.1", "Safari 18", "iOS 18", "mobile"},
		"SafariIPhone26":       {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1", "Safari 26", "iOS", "mobile"},
		"SafariIPhone26Early":  {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1", "Safari 26", "iOS", "mobile"},
		"ChromeIPhone26":       {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/143.0.7499.92 Mobile/15E148 Safari/604.1", "Chrome 143", "iOS", "mobile"},
		"ChromeIPhone18":       {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.134 Mobile/15E148 Safari/604.1", "Chrome 131", "iOS 18", "mobile"},
		"ChromeAndroidReduced": {"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36", "Chrome 143", "Android", "mobile"},
		"FirefoxMac":           {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox 133", "macOS", "desktop"},
		"ChromeIPhone":         {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.134 Mobile/15E148 Safari/604.1", "Chrome 131", "iOS 17", "mobile"},
		"SafariIPad":           {"Mozilla/5.0 (iPad; CPU OS 16_7_10 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6.1 Mobile/15E148 Safari/604.1", "Safari 16", "iOS 16", "tablet"},
		"FirefoxLinux":         {firefoxLinux, "Firefox 133", "Linux", "desktop"},
		"ChromeOS":             {"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "Chrome 131", "ChromeOS", "desktop"},
		"ChromeAndroidPhone":   {chromePhone, "Chrome 131", "Android 14", "mobile"},
		"FirefoxAndroidPhone":  {"Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0", "Firefox 133", "Android 14", "mobile"},
		"SamsungPhone":         {"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36", "Samsung Browser 27", "Android", "mobile"},
		"ChromeAndroidTablet":  {"Mozilla/5.0 (Linux; Android 13; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "Chrome 131", "Android 13", "tablet"},
		"FirefoxAndroidTablet": {"Mozilla/5.0 (Android 14; Tablet; rv:133.0) Gecko/133.0 Firefox/133.0", "Firefox 133", "Android 14", "tablet"},
		"AndroidApp":           {"Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP2A.240805.005)", "Dalvik 2", "Android 14", "mobile"},
		"Googlebot":            {"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot 2", "", "bot"},
		"GooglebotSmartphone":  {"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot 2", "Android 6", "bot"},
		"BotWithoutVersion":    {"Mediapartners-Google", "Google Ads Bot", "", "bot"},
		"BotOfWords":           {"I am a robot", "", "", "bot"},
		"Curl":                 {"curl/8.5.0", "curl 8", "", ""},
		"GoClient":             {"Go-http-client/2.0", "Go-http-client 2", "", ""},
		"OnlyASystem":          {"Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "", "Windows", "desktop"},
		"OnlyMozilla":          {"Mozilla/5.0", "", "", ""},
		"Garbage":              {"asdf qwer !!", "", "", ""},
		"GarbageWithSlashes":   {"//;;/((/]]/", "", "", ""},
		"VersionOfNoNumber":    {"thing/x.y", "", "", ""},
		"NotText":              {"\xff\xfe\x00\x01", "", "", ""},
		"Spaces":               {"      ", "", "", ""},
		"Empty":                {"", "", "", ""},
		"UnprintableName":      {"ev\x07il\x1b/1.0", "evil 1", "", ""},
		"LongName":             {strings.Repeat("n", 100) + "/7", strings.Repeat("n", session.MaxClientField), "", ""},
		"Huge":                 {strings.Repeat("x", 100<<10), "", "", ""},
		"HugeWithAName":        {firefoxLinux + strings.Repeat(" x", 50<<10), "Firefox 133", "Linux", "desktop"},
		"NameBehindTheBound":   {strings.Repeat(" ", 512) + "curl/8.5.0", "", "", ""},
		"CutAtTheBound":        {strings.Repeat(" ", 508) + "curl/8.5.0", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := httpapi.ClientOf(test.agent), (session.Client{Browser: test.browser, OS: test.os, Kind: test.kind}); got != want {
				t.Errorf("%.200q is of %+v, want %+v", test.agent, got, want)
			}
		})
	}
}

// Whatever an agent says, it is told in a few printable words.
func FuzzClientOf(f *testing.F) {
	for _, seed := range []string{firefoxLinux, chromePhone, "curl/8.5.0", "CrOS x86_64 ", "Linux ", "(;:/)[http://", "Android 14; ", "XiaoMi/MiuiBrowser/1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, agent string) {
		got := httpapi.ClientOf(agent)
		for _, field := range []string{got.Browser, got.OS, got.Kind} {
			if len(field) > session.MaxClientField || !utf8.ValidString(field) || strings.ContainsAny(field, "\x00\n\x1b") {
				t.Errorf("%q is of %+v", agent, got)
			}
		}
		switch got.Kind {
		case "", "desktop", "mobile", "tablet", "bot":
		default:
			t.Errorf("%q is of %+v", agent, got)
		}
	})
}

func BenchmarkClientOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		httpapi.ClientOf(chromePhone)
	}
}
