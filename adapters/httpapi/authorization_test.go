package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/api"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

// Which permission each route asks for, before it looks at anything else; who
// lacks it reaches nothing.
func TestRoutes_RequirePermission(t *testing.T) {
	t.Parallel()
	id := "/" + anID.String()
	for route, wants := range map[string]access.Permission{
		"POST " + openPath:                              access.ReadOwn,
		"POST " + claimPath:                             access.ManageOwn,
		"GET " + sessionsPath:                           access.ReadOwn,
		"DELETE " + sessionsPath:                        access.ManageOwn,
		"GET " + sessionsPath + id:                      access.ReadOwn,
		"GET " + sessionsPath + "/a%20b":                access.ReadOwn,
		"DELETE " + sessionsPath + id:                   access.ManageOwn,
		"DELETE " + sessionsPath + "/a%20b":             access.ManageOwn,
		"GET " + sessionsPath + id + "/activity":        access.ReadOwn,
		"GET " + sessionsPath + "/a%20b/activity":       access.ReadOwn,
		"POST " + sessionsPath + id + "/transfer":       access.ManageOwn,
		"POST " + sessionsPath + "/a%20b/transfer":      access.ManageOwn,
		"GET " + activityPath:                           access.ReadOwn,
		"GET " + adminSessionsPath:                      access.ReadAll,
		"GET " + adminPath + "/users/a%20b/sessions":    access.ReadAll,
		"DELETE " + adminSessionsPath:                   access.ManageAll,
		"DELETE " + adminPath + "/users/a%20b/sessions": access.ManageAll,
		"DELETE " + adminPath + "/sessions" + id:        access.ManageAll,
		"DELETE " + adminPath + "/sessions/a%20b":       access.ManageAll,
		"GET " + statsPath:                              access.ReadAll,
	} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(route, " ")
			for kind, want := range map[session.Kind]int{session.KindUnauthenticated: 401, session.KindNoRole: 403, session.KindForbidden: 403, session.KindUnavailable: 503} {
				s := newSubject(t, httpapi.Config{})
				s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", wants).Return(access.Caller{}, kind)
				if got := s.send(t, method, path, "["); got.status != want || got.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%v got %d %s", kind, got.status, got.body)
				}
			}
		})
	}
}

// Every operation that the contract has for users asks who they are, also one
// that the test above does not know.
func TestRoutes_RequireAuthentication(t *testing.T) {
	t.Parallel()
	contract, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for path, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.Security == nil || (*operation.Security)[0]["bearer"] == nil {
				continue
			}
			asked++
			s := newLimited(t, httpapi.Config{}) // nothing counts, and the core is not asked
			s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", gomock.Any()).Return(access.Caller{}, session.KindUnauthenticated)
			if got := s.send(t, method, strings.NewReplacer("{id}", anID.String(), "{userId}", "user_1").Replace(path), ""); got.status != http.StatusUnauthorized {
				t.Errorf("%s %s got %d %s", method, path, got.status, got.body)
			}
		}
	}
	if asked < 13 {
		t.Errorf("only %d operations are for users", asked)
	}
}
