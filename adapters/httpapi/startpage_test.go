package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
)

// TestStartPage expects links that work, and headers as strict as those of the
// API reference.
func TestStartPage(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{StartPage: true})
	s.ready.EXPECT().Ready(gomock.Any()).Return(nil, nil)
	got := s.get(t, "/")
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		t.Fatalf("got %d, %s", got.status, got.header.Get("Content-Type"))
	}
	found := map[string]bool{}
	for _, match := range loaded.FindAllStringSubmatch(got.body, -1) {
		found[match[1]] = true
		if linked := s.get(t, match[1]); linked.status != http.StatusOK {
			t.Errorf("%s is answered with %d", match[1], linked.status)
		}
	}
	for _, path := range []string{"/docs", "/openapi.yaml", "/healthz", "/readyz"} {
		if !found[path] {
			t.Errorf("the page has no link to %s", path)
		}
	}
	for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
		if docs := s.get(t, "/docs").header.Get(name); docs == "" || got.header.Get(name) != docs {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), docs)
		}
	}
}

func TestStartPage_Off(t *testing.T) {
	t.Parallel()
	if got := newSubject(t, httpapi.Config{}).get(t, "/"); got.status != http.StatusNotFound {
		t.Errorf("got %d", got.status)
	}
}
