package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

// Who asks, and whether they may, comes before what is wrong with a parameter,
// also where a generated reader finds it.
func TestParameters_AuthenticationFirst(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path string
		wants        access.Permission
	}{
		{http.MethodGet, sessionsPath + "?limit=ten", access.ReadOwn},
		{http.MethodGet, "/api/chatkit/activity?limit=ten", access.ReadOwn},
		{http.MethodDelete, sessionsPath + "?keep=a&keep=b", access.ManageOwn},
		{http.MethodGet, "/api/chatkit/admin/users/user_1/sessions?limit=ten", access.ReadAll},
	} {
		for kind, want := range map[session.Kind]int{session.KindUnauthenticated: 401, session.KindForbidden: 403, session.KindUnavailable: 503} {
			s := newSubject(t, httpapi.Config{})
			s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", test.wants).Return(access.Caller{}, kind)
			if got := s.do(t, request(t, test.method, test.path, "", "Authorization", "Bearer jwt")); got.status != want || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s got %d %s, want %d", test.method, test.path, got.status, got.body, want)
			}
		}
		for how, admit := range map[string]func(context.Context) error{
			"late":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			"panics": func(context.Context) error { panic(secret) },
		} {
			s := newSubject(t, httpapi.Config{RequestTimeout: time.Millisecond})
			s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", test.wants).DoAndReturn(func(ctx context.Context, _ string, _ access.Permission) (access.Caller, error) {
				return access.Caller{}, admit(ctx)
			})
			if got := s.do(t, request(t, test.method, test.path, "", "Authorization", "Bearer jwt")); got.status < http.StatusInternalServerError {
				t.Errorf("%s %s of a gate that %s got %d %s", test.method, test.path, how, got.status, got.body)
			}
		}
		s := newSubject(t, httpapi.Config{})
		s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", test.wants).Return(member, nil)
		if got := s.do(t, request(t, test.method, test.path, "", "Authorization", "Bearer jwt")); got.status != http.StatusBadRequest || got.Field == "" {
			t.Errorf("%s %s got %d %s", test.method, test.path, got.status, got.body)
		}
	}
}

// An id has one spelling: any other is no session's, wherever it stands.
func TestSessionID_Spelling(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		strings.ToUpper(anID.String()), strings.ReplaceAll(anID.String(), "-", ""), "urn:uuid:" + anID.String(), "%7B" + anID.String() + "%7D",
		anID.String() + "%20", "%20", "a%20b", "x", strings.Repeat("x", 65), anID.String()[1:],
	} {
		for call, wants := range map[string]access.Permission{
			"GET " + sessionsPath + "/" + id:                access.ReadOwn,
			"DELETE " + sessionsPath + "/" + id:             access.ManageOwn,
			"DELETE " + sessionsPath + "?keep=" + id:        access.ManageOwn,
			"GET " + sessionsPath + "/" + id + "/activity":  access.ReadOwn,
			"POST " + sessionsPath + "/" + id + "/transfer": access.ManageOwn,
			"DELETE " + adminPath + "/sessions/" + id:       access.ManageAll,
			"GET " + openPath + "/events?sessionId=" + id:   access.ReadOwn,
		} {
			method, path, _ := strings.Cut(call, " ")
			s := newSubject(t, httpapi.Config{}).permits(wants) // the core is not asked
			if got := s.send(t, method, path, ""); got.status != http.StatusNotFound || got.Code != "not_found" {
				t.Errorf("%s got %d %s", call, got.status, got.body)
			}
		}
	}
}
