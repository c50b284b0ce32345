package httpapi_test

import (
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
)

// Other spellings of an origin are accepted and normalised.
func TestOrigin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://app.example.com":             "https://app.example.com",
		"https://app.example.com/":            "https://app.example.com",
		" https://app.example.com ":           "https://app.example.com",
		"HTTPS://App.Example.COM":             "https://app.example.com",
		"https://app.example.com:443":         "https://app.example.com",
		"https://app.example.com:443/":        "https://app.example.com",
		"http://app.example.com:80":           "http://app.example.com",
		"http://app.example.com:443":          "http://app.example.com:443",
		"https://app.example.com:":            "https://app.example.com",
		"https://app.example.com:08443":       "https://app.example.com:8443",
		"https://app.example.com.":            "https://app.example.com",
		"https://app.example.com.:443":        "https://app.example.com",
		"https://bücher.example":              "https://xn--bcher-kva.example",
		"https://BÜCHER.example":              "https://xn--bcher-kva.example",
		"https://straße.example":              "https://xn--strae-oqa.example",
		"https://日本。example":                  "https://xn--wgv71a.example",
		"https://ａｐｐ.example":                 "https://app.example",
		"https://my_app.example.com":          "https://my_app.example.com",
		"https://a--b.example.com":            "https://a--b.example.com",
		"http://localhost:3000":               "http://localhost:3000",
		"http://127.0.0.1:3000":               "http://127.0.0.1:3000",
		"http://[::1]:3000":                   "http://[::1]:3000",
		"http://[0:0:0:0:0:0:0:1]":            "http://[::1]",
		"http://[2001:DB8::0001]:80":          "http://[2001:db8::1]",
		"http://[::ffff:127.0.0.1]":           "http://[::ffff:7f00:1]",
		"capacitor://localhost":               "capacitor://localhost",
		"ionic://localhost/":                  "ionic://localhost",
		"tauri://localhost":                   "tauri://localhost",
		"http://tauri.localhost":              "http://tauri.localhost",
		"chrome-extension://ABCDEFGHIJKLMNOP": "chrome-extension://abcdefghijklmnop",
		"moz-extension://5c1f0e5c-11a2-4f6e":  "moz-extension://5c1f0e5c-11a2-4f6e",
		"app://.":                             "app://.",
	} {
		if got, err := httpapi.Origin(text); err != nil || got != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
}

// What no browser sends is refused, and the refusal says why.
func TestOrigin_Refuses(t *testing.T) {
	t.Parallel()
	const (
		form, path, name, port, scheme = "must be an origin such as", "must end after", "must have a host name", "must have a port", "must have the scheme"
	)
	for text, want := range map[string]string{
		"": form, "app.example.com": form, "https://": form, "https:app.example.com": form, "://": form, "1app://localhost": form, "https//app.example.com": form,
		"null": "is not allowed", "NULL": "is not allowed", "*": "is not allowed",
		"ftp://app.example.com": scheme, "wss://app.example.com": scheme, "file:///app": scheme,
		"https://app.example.com/path": path, "https://app.example.com//": path, "https://app.example.com?x": path, "https://app.example.com#x": path, "https://u@app.example.com": path, `https://app.example.com\x`: path,
		"https://app example.com": name, "https://.example.com": name, "https://a..example.com": name, "https://.": name, "https:///": name, "https://%61pp.example.com": name,
		"https://1.2.3": name, "https://1.2.3.4.5": name, "https://0x7f.1": name, "https://256.1.1.1": name, "https://app.example.7": name,
		"https://[::1": port, "https://[::1%eth0]": name, "https://[1.2.3.4]": name, "https://::1": port, "https://xn--a.example": name, "capacitor://": form, "capacitor://local host": name, "capacitor://:80": name,
		"https://app.example.com:0": port, "https://app.example.com:65536": port, "https://app.example.com:http": port, "https://app.example.com:1:2": port, "https://app.example.com:-1": port,
		"https://*.example.com": "must be a single origin", "https://shop-*.example.com": "must be a single origin",
	} {
		if got, err := httpapi.Origin(text); err == nil || !strings.Contains(err.Error(), `" `+want) {
			t.Errorf("%q is %q, %v, want it %s", text, got, err, want)
		}
	}
}
