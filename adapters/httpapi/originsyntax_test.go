package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
)

// What is written otherwise than browsers do is that origin all the same.
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
		form, path, name, port, scheme = "must be like https://", "must end after", "must have a host's name", "must have a port", "must have the scheme"
	)
	for text, want := range map[string]string{
		"": form, "app.example.com": form, "https://": form, "https:app.example.com": form, "://": form, "1app://localhost": form, "https//app.example.com": form,
		"null": "must not be there", "NULL": "must not be there", "*": "must not be there",
		"ftp://app.example.com": scheme, "wss://app.example.com": scheme, "file:///app": scheme,
		"https://app.example.com/path": path, "https://app.example.com//": path, "https://app.example.com?x": path, "https://app.example.com#x": path, "https://u@app.example.com": path, `https://app.example.com\x`: path,
		"https://app example.com": name, "https://.example.com": name, "https://a..example.com": name, "https://.": name, "https:///": name, "https://%61pp.example.com": name,
		"https://1.2.3": name, "https://1.2.3.4.5": name, "https://0x7f.1": name, "https://256.1.1.1": name, "https://app.example.7": name,
		"https://[::1": port, "https://[::1%eth0]": name, "https://[1.2.3.4]": name, "https://::1": port, "https://xn--a.example": name, "capacitor://": form, "capacitor://local host": name, "capacitor://:80": name,
		"https://app.example.com:0": port, "https://app.example.com:65536": port, "https://app.example.com:http": port, "https://app.example.com:1:2": port, "https://app.example.com:-1": port,
		"https://*.example.com": "must be one origin", "https://shop-*.example.com": "must be one origin",
	} {
		if got, err := httpapi.Origin(text); err == nil || !strings.Contains(err.Error(), `" `+want) {
			t.Errorf("%q is %q, %v, want it %s", text, got, err, want)
		}
	}
}

// A * is for hosts of one's own: not where strangers can have a name, nor where
// the network can be anybody.
func TestCheckOrigins_Patterns(t *testing.T) {
	t.Parallel()
	const (
		public, place, label, plain, stars, host = "must not have its * where anybody", "must have its * at the beginning", "must have something after the *", "must be https", "must have one *", "must have a host's name"
	)
	for text, want := range map[string]string{
		"https://*.example.com":                "",
		"https://*.Bücher.example.com:8443/":   "",
		"https://*.shop.vercel.app":            "",
		"https://*.example.co.uk":              "",
		"https://*.corp.internal":              "",
		"https://shop-*.example.com":           "",
		"https://*-shop.example.com":           "",
		"https://shop-*-team.vercel.app":       "",
		"https://deploy-*--site.netlify.app":   "",
		"https://*--site.netlify.app":          "",
		"https://app.shop-*.example.com":       "",
		"https://*.shop.github.io":             "",
		"https://*.vercel.app":                 public,
		"https://*.github.io":                  public,
		"https://*.co.uk":                      public,
		"https://*.com":                        public,
		"https://*.COM.":                       public,
		"https://*.internal":                   public,
		"https://*.ck":                         public,
		"https://*.any.ck":                     public,
		"https://*":                            public,
		"https://*:80":                         public,
		"https://shop-*":                       public,
		"https://shop-*.com":                   public,
		"https://shop-*-team.com":              public,
		"https://shop-*-team.co.uk":            public,
		"https://shop-*-team.localhost":        public,
		"https://shop-*.vercel.app":            label,
		"https://a.*.example.com":              place,
		"https://*.*.example.com":              stars,
		"https://a-*-b-*.example.com":          stars,
		"http://*.example.com":                 plain,
		"http://shop-*-team.vercel.app":        plain,
		"capacitor://*":                        host,
		"https://*.1.2.3.4":                    host,
		"https://bü*r.example.com":             host,
		"https://xn--*.example.com":            host,
		"https://shop-*.example.com/path":      "must end after",
		"https://*.xn--55qx5d.cn":              public, // 公司.cn
		"https://*.公司.cn":                      public,
		"https://*.compute.amazonaws.com":      public,
		"https://app.example.com.*":            place,
		"https://app.example.*":                place,
		"https://app.example.com:*":            "must have a port",
		"https*://app.example.com":             "must be like https://",
		"https://*.s3.amazonaws.com":           public,
		"https://*.my-bucket.s3.amazonaws.com": "",
		"https://pr-*-x.my.herokuapp.com":      "",
		"https://pr-*.herokuapp.com":           label,
		"https://pr-*-app.herokuapp.com":       "",
		"https://*.user.compute.amazonaws.com": public,
	} {
		err := httpapi.CheckOrigins([]string{text})
		if want == "" && err != nil {
			t.Errorf("it is refused: %v", err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), `"`+text+`" `+want)) {
			t.Errorf("%q is refused with %v, want %s", text, err, want)
		}
	}
}

func TestNew_RefusesWhatIsNoOrigin(t *testing.T) {
	t.Parallel()
	wrong := []string{"app.example.com", "https://*.com", "null"}
	_, err := httpapi.New(httpapi.Config{AllowedOrigins: append(wrong, page)}, httpapi.Core{})
	if err == nil {
		t.Fatal("they are accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(wrong) {
		t.Errorf("%d mistakes got %d lines:\n%v", len(wrong), len(lines), err)
	}
	for i, line := range lines {
		if !strings.Contains(line, wrong[i]) {
			t.Errorf("%q is refused with %q", wrong[i], line)
		}
	}
}

// An app's origin is no page that another device could open.
func TestOfferTransfer_FromAnApp(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{AllowedOrigins: []string{"capacitor://localhost"}}).offers()
	got := s.send(t, http.MethodPost, offerPath, "", "Origin", "capacitor://localhost")
	if got.status != http.StatusCreated || strings.Contains(got.body, "capacitor") || !strings.Contains(got.body, `"url":"http://`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
