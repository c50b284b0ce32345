package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		sent string
		kept bool
	}{
		"Good":       {"Trace-1.2_3", true},
		"Longest":    {strings.Repeat("x", 64), true},
		"TooLong":    {strings.Repeat("x", 65), false},
		"Empty":      {"", false},
		"Space":      {"a b", false},
		"Markup":     {"<script>", false},
		"NotASCII":   {"é", false},
		"LogForging": {"a\nb", false},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			got := s.do(t, request(t, http.MethodGet, "/healthz", "", "X-Request-Id", test.sent))
			id := got.header.Get("X-Request-Id")
			if (id == test.sent) != test.kept || id == "" {
				t.Errorf("sent %q, got %q", test.sent, id)
			}
			if lines := s.lines(t, "request"); len(lines) != 1 || lines[0]["requestId"] != id {
				t.Errorf("the log has\n%s", s.log)
			}
		})
	}
}
