package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/session"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}) // the core is not called
	if got := s.do(t, request(t, http.MethodGet, "/healthz", "")); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"status":"ok"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.do(t, request(t, http.MethodHead, "/healthz", "")); got.status != http.StatusOK {
		t.Errorf("HEAD got %d", got.status)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.ready.EXPECT().Ready(gomock.Any()).Return(nil, nil)
	if got := s.do(t, request(t, http.MethodGet, "/readyz", "")); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"status":"ok"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.ready.EXPECT().Ready(gomock.Any()).Return([]string{"this", "that"}, nil)
	if got := s.do(t, request(t, http.MethodGet, "/readyz", "")); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"degraded":["this","that"],"status":"ok"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.ready.EXPECT().Ready(gomock.Any()).Return(nil, session.Wrap(session.KindUnavailable, errors.New(secret))).Times(2)
	if got := s.do(t, request(t, http.MethodGet, "/readyz", "")); got.status != http.StatusServiceUnavailable || strings.Contains(got.body, secret) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.do(t, request(t, http.MethodHead, "/readyz", "")); got.status != http.StatusServiceUnavailable {
		t.Errorf("HEAD got %d", got.status)
	}
}

// A replica that is not ready says which part of it fails, and not where that is.
func TestReady_NamesFailingPart(t *testing.T) {
	t.Parallel()
	for reason, want := range map[session.Reason]string{
		session.ReasonStore: `"store":"unavailable"`, session.ReasonClock: `"clock":"differs"`, session.ReasonStopping: `"replica":"stopping"`,
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			s.ready.EXPECT().Ready(gomock.Any()).Return(nil, session.Because(session.KindUnavailable, reason, errors.New(secret)))
			got := s.do(t, request(t, http.MethodGet, "/readyz", ""))
			if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, want) || !strings.Contains(got.body, `"code":"unavailable"`) || strings.Contains(got.body, secret) {
				t.Errorf("got %d %s, want %s", got.status, got.body, want)
			}
			if got.header.Get("Retry-After") == "" {
				t.Error("it does not say when to ask again")
			}
		})
	}
}
