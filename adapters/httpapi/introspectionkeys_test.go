package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
)

// The back end says from where a token was used, and nothing else does.
// Only the log says what is wrong with a back end's key.
func TestIntrospectToken_LogsKeyError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys []string
		key  string
		want string
	}{
		"NoneSet": {nil, "Bearer " + strings.Repeat("k", 32), "INTROSPECTION_KEYS is not set"},
		"NotSent": {[]string{strings.Repeat("k", 32)}, "", "the request has no introspection key"},
		"Unknown": {[]string{strings.Repeat("k", 32)}, "Bearer " + strings.Repeat("x", 32), "the key is not one of INTROSPECTION_KEYS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{IntrospectionKeys: c.keys})
			got := introspect(t, s, "token=x", "Authorization", c.key, "Content-Type", formType)
			if got.status != http.StatusUnauthorized || strings.Contains(got.body, "KEYS") {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if text := s.log.String(); !strings.Contains(text, c.want) || strings.Contains(text, strings.Repeat("x", 32)) {
				t.Errorf("the log has %s, want %q in it", text, c.want)
			}
		})
	}
}
