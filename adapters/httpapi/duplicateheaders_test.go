package httpapi_test

import (
	"net/http"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

// A header that proxies and servers could read differently is refused before
// anything is done.
func TestDuplicateHeaders(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Authorization", "Origin"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}) // the core is not called
			got := s.do(t, request(t, http.MethodPost, openPath, "", name, "Bearer a", name, "Bearer b"))
			if got.status != http.StatusBadRequest || got.Code != "duplicate_header" || got.Field != name {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

// A body of two types is refused, once it is known who sends it.
func TestDuplicateHeaders_OfTheBody(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.authorizer.EXPECT().Authorize(gomock.Any(), "", gomock.Any()).Return(access.Caller{}, session.KindUnauthenticated)
	twice := []string{"Content-Type", "application/json", "Content-Type", "text/plain"}
	if got := s.do(t, request(t, http.MethodPost, openPath, "", twice...)); got.status != http.StatusUnauthorized {
		t.Errorf("from nobody: %d %s", got.status, got.body)
	}
	s.admits()
	if got := s.post(t, "", twice...); got.status != http.StatusBadRequest || got.Field != "Content-Type" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
