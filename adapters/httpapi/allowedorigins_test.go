package httpapi_test

import (
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
)

// A * is for hosts of one's own: not where strangers can have a name, nor where
// the network can be anybody.
func TestCheckOrigins_Patterns(t *testing.T) {
	t.Parallel()
	const (
		public, place, label, plain, stars, host = "must not have * where anyone", "must have * at the beginning", "must have characters after *", "must use https", "must have at most one *", "must have a host name"
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
		"https*://app.example.com":             "must be an origin such as",
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

func TestNew_InvalidOrigin(t *testing.T) {
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
