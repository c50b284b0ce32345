package httpapi_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/api"
)

func TestSpec(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	recorder := s.get(t, "/openapi.yaml")
	if recorder.status != http.StatusOK || recorder.body != string(api.Spec) || recorder.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("got %d, %s", recorder.status, recorder.header.Get("Content-Type"))
	}
}

var (
	loaded   = regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	external = regexp.MustCompile(`^(?:https?:)?//`)
)

// The documentation works without a network: all that it loads is served here.
func TestDocs_WorkOffline(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	index := s.get(t, "/docs")
	if index.status != http.StatusOK || !strings.Contains(index.body, "/openapi.yaml") {
		t.Fatalf("got %d %s", index.status, index.body)
	}
	assets := 0
	for _, match := range loaded.FindAllStringSubmatch(index.body, -1) {
		if external.MatchString(match[1]) {
			t.Errorf("it loads %s", match[1])
			continue
		}
		got := s.get(t, match[1])
		if got.status != http.StatusOK || len(got.body) == 0 {
			t.Errorf("%s got %d", match[1], got.status)
		}
		assets++
	}
	if assets < 3 {
		t.Errorf("found only %d assets in\n%s", assets, index.body)
	}
	policy := index.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "http") {
		t.Errorf("its policy is %q", policy)
	}
}

func TestDocs_Off(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{NoDocs: true})
	for path, want := range map[string]int{"/docs": 404, "/docs/": 404, "/docs/swagger-ui.css": 404, "/openapi.yaml": 200} {
		if got := s.get(t, path); got.status != want {
			t.Errorf("%s got %d", path, got.status)
		}
	}
}
