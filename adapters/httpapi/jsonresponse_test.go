package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"chatkit-session/adapters/httpapi"
)

// Metadata is answered about as large as it was measured.
func TestAnswers_NotEscaped(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.asked()
	markup := strings.Repeat("<&>", 1000)
	if got := s.post(t, `{"metadata":{"a":"`+markup+`"}}`); got.status != http.StatusOK || !strings.Contains(got.body, markup) {
		t.Errorf("got %d with %d bytes", got.status, len(got.body))
	}
}
