package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/ports"
)

// Whatever list it is of, a page that was not asked for well is not looked for.
func TestPages_Refuse(t *testing.T) {
	t.Parallel()
	for path, wants := range map[string]access.Permission{
		sessionsPath: access.ReadOwn, adminSessionsPath: access.ReadAll, activityPath: access.ReadOwn, sessionsPath + "/" + anID.String() + "/activity": access.ReadOwn,
	} {
		for query, field := range map[string]string{
			"?limit=0": "limit", "?limit=101": "limit", "?limit=-1": "limit", "?limit=ten": "limit", "?limit=99999999999999999999": "limit", "?limit=1&limit=1": "limit",
			"?limit=1;cursor=x": "query", "?limit=%": "query", "?cursor=x": "cursor", "?cursor=!!": "cursor", "?cursor=MSA": "cursor", "?cursor=LTEgYQ": "cursor", "?cursor=YSBi": "cursor", "?cursor=MCBh": "cursor",
			"?cursor=MSBhYh": "cursor", "?cursor=KzEgYQ": "cursor", "?cursor=MDEgYQ": "cursor", "?cursor=MSBh%0A": "cursor", "?cursor=MSBh&cursor=MSBh": "cursor", "?cursor=" + strings.Repeat("A", 9000): "cursor",
		} {
			s := newSubject(t, httpapi.Config{}).permits(wants) // the core is not asked
			if got := s.read(t, path+query); got.status != http.StatusBadRequest || got.Field != field {
				t.Errorf("%s%.60s got %d %s", path, query, got.status, got.body)
			}
		}
	}
}

// A parameter that is empty counts as absent, and one that is not known is left
// out of account.
func TestPages_EmptyParameters(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
	s.lister.EXPECT().List(gomock.Any(), calling, ports.ListRequest{Limit: 20}).Return(ports.Page{}, nil).Times(3)
	for _, query := range []string{"?status=&limit=&cursor=", "?limit&cursor&cursor=", "?other=1&_=2"} {
		if got := s.read(t, sessionsPath+query); got.status != http.StatusOK {
			t.Errorf("%s got %d %s", query, got.status, got.body)
		}
	}
}
