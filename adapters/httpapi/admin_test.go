package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const (
	adminPath = "/api/chatkit/admin"
	statsPath = adminPath + "/stats"
)

func TestRevokeUserSessions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer error
		want   int
		body   string
	}{
		"All":       {nil, 200, `{"revoked":3}`},
		"StepUp":    {session.Wrap(session.KindReverification, errors.New(secret)), 403, `"reverification_required"`},
		"Actor":     {session.Wrap(session.KindActorDenied, errors.New(secret)), 403, `"actor_denied"`},
		"SignedOut": {session.Wrap(session.KindSignedOut, errors.New(secret)), 403, `"session_revoked"`},
		"StoreDown": {session.Wrap(session.KindUnavailable, errors.New(secret)), 503, `"unavailable"`},
		"Bug":       {errors.New(secret), 500, `"internal_error"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ManageAll)
			s.admin.EXPECT().RevokeAll(gomock.Any(), calling, other).Return(3, test.answer)
			got := s.del(t, adminSessionsPath)
			if got.status != test.want || !strings.Contains(got.body, test.body) || strings.Contains(got.body, secret) {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

// Ambiguous requests end no session and show none.
func TestAdmin_Refuses(t *testing.T) {
	t.Parallel()
	for path, field := range map[string]string{
		"/users/a%20b/sessions": "userId", "/users/" + strings.Repeat("x", 101) + "/sessions": "userId", "/users/a%2Fb/sessions": "userId", "/users/%00/sessions": "userId",
	} {
		for method, wants := range map[string]access.Permission{http.MethodDelete: access.ManageAll, http.MethodGet: access.ReadAll} {
			s := newSubject(t, httpapi.Config{}).permits(wants) // the core is not asked
			if got := s.send(t, method, adminPath+path, ""); got.status != http.StatusBadRequest || got.Field != field {
				t.Errorf("%s %s got %d %s", method, path, got.status, got.body)
			}
		}
	}
}

func TestShowStats(t *testing.T) {
	t.Parallel()
	west := time.FixedZone("", -8*60*60)
	for name, test := range map[string]struct {
		stats ports.Stats
		want  string
	}{
		"Nothing": {ports.Stats{}, `{"days":[],"sessions":{"active":0,"expired":0,"revoked":0}}`},
		"Some": {
			ports.Stats{
				Sessions: map[session.Status]int{session.StatusActive: 2, session.StatusExpired: 3, session.StatusRevoked: 5},
				Days:     []ports.Day{{Start: midnight.In(west), Opens: 7, Checks: 11}, {Start: midnight.AddDate(0, 0, -1), Opens: 13}},
			},
			`{"days":[{"checks":11,"day":"2025-01-01","opens":7},{"checks":0,"day":"2024-12-31","opens":13}],"sessions":{"active":2,"expired":3,"revoked":5}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ReadAll)
			s.admin.EXPECT().Stats(gomock.Any(), calling).Return(test.stats, nil)
			if got := s.read(t, statsPath); got.status != http.StatusOK || strings.TrimSpace(got.body) != test.want || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %d %s\nwant %s", got.status, got.body, test.want)
			}
		})
	}
	for kind, code := range map[session.Kind]string{session.KindUnavailable: "unavailable", session.KindActorDenied: "actor_denied", session.KindSignedOut: "session_revoked"} {
		s := newSubject(t, httpapi.Config{}).permits(access.ReadAll)
		s.admin.EXPECT().Stats(gomock.Any(), calling).Return(ports.Stats{}, kind)
		if got := s.read(t, statsPath); got.Code != code || (got.status == http.StatusServiceUnavailable) != (kind == session.KindUnavailable) {
			t.Errorf("%v got %d %s", kind, got.status, got.body)
		}
	}
}
