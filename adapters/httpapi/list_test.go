package httpapi_test

import (
	"encoding/json"
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

// reads lets everybody in who wants to read their own sessions.
func (s *subject) reads() *subject {
	s.gate.EXPECT().Admit(gomock.Any(), "jwt", access.ReadOwn).Return(member, nil).AnyTimes()
	return s
}

func (s *subject) read(t testing.TB, path string, headers ...string) answer {
	t.Helper()
	return s.do(t, request(t, http.MethodGet, path, "", append([]string{"Authorization", "Bearer jwt"}, headers...)...))
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).reads()
	active := opened(ports.OpenRequest{}).Session
	ended := active
	ended.Revoke(session.EndUser, midnight.Add(time.Hour))
	next := ports.Position{CreatedAt: midnight, ID: anID}
	s.lister.EXPECT().List(gomock.Any(), member, ports.ListRequest{Limit: 20, Token: token.Reveal()}).Return(ports.Page{
		Sessions: []ports.Listed{{Session: active, Status: session.StatusActive, Current: true}, {Session: ended, Status: session.StatusRevoked}},
		Next:     next,
	}, nil)
	got := s.read(t, sessionsPath, "X-ChatKit-Token", token.Reveal())
	const rest = `"createdAt":"2025-01-01T00:00:00.000Z","current":%C,"deviceId":"device_user_123_1735689600000",%E"expiresAt":"2025-01-02T00:00:00.000Z",` +
		`"id":"0194214b-3a00-7cc3-98c4-dc0c0c07398f","lastActivityAt":"2025-01-01T00:00:00.000Z","metadata":{},"status":"%S","userId":"user_123","workflowId":"workflow_1"}`
	one := strings.NewReplacer("%C", "true", "%E", "", "%S", "active").Replace(rest)
	two := strings.NewReplacer("%C", "false", "%E", `"endReason":"user","endedAt":"2025-01-01T01:00:00.000Z",`, "%S", "revoked").Replace(rest)
	var answered struct{ NextCursor string }
	if err := json.Unmarshal([]byte(got.body), &answered); err != nil || answered.NextCursor == "" {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	want := `{"nextCursor":"` + answered.NextCursor + `","sessions":[{` + one + `,{` + two + `]}`
	if strings.TrimSpace(got.body) != want || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %s\nwant %s", got.body, want)
	}
	if strings.Contains(got.body+s.log.String(), token.Reveal()) {
		t.Error("a token is shown, or logged")
	}

	// The cursor that was given leads on from there.
	s.lister.EXPECT().List(gomock.Any(), member, ports.ListRequest{Status: session.StatusExpired, Limit: 100, After: next}).Return(ports.Page{}, nil)
	if got := s.read(t, sessionsPath+"?status=expired&limit=100&cursor="+answered.NextCursor); strings.TrimSpace(got.body) != `{"nextCursor":null,"sessions":[]}` {
		t.Errorf("the last page is %d %s", got.status, got.body)
	}
}

func TestShowSession(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).reads()
	s.lister.EXPECT().Show(gomock.Any(), member, anID, token.Reveal()).Return(ports.Listed{Session: opened(ports.OpenRequest{}).Session, Status: session.StatusExpired}, nil)
	if got := s.read(t, sessionsPath+"/"+anID.String(), "X-ChatKit-Token", token.Reveal()); got.status != http.StatusOK || !strings.Contains(got.body, `"status":"expired"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.lister.EXPECT().Show(gomock.Any(), member, anID, "").Return(ports.Listed{}, session.KindNotFound)
	if got := s.read(t, sessionsPath+"/"+anID.String()); got.status != http.StatusNotFound {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestListSessions_Refuses(t *testing.T) {
	t.Parallel()
	for query, field := range map[string]string{
		"?status=paused": "status", "?status=": "status", "?status=active&status=revoked": "status",
		"?limit=0": "limit", "?limit=101": "limit", "?limit=-1": "limit", "?limit=ten": "limit", "?limit=99999999999999999999": "limit",
		"?cursor=": "cursor", "?cursor=x": "cursor", "?cursor=!!": "cursor", "?cursor=MSA": "cursor", "?cursor=LTEgYQ": "cursor", "?cursor=YSBi": "cursor",
		"?cursor=" + strings.Repeat("A", 9000): "cursor",
	} {
		s := newSubject(t, httpapi.Config{}).reads() // the core is not asked
		if got := s.read(t, sessionsPath+query); got.status != http.StatusBadRequest || got.Field != field {
			t.Errorf("%.60s got %d %s", query, got.status, got.body)
		}
	}
	s := newSubject(t, httpapi.Config{}).reads()
	if got := s.read(t, sessionsPath, "X-ChatKit-Token", "a", "X-ChatKit-Token", "b"); got.status != http.StatusBadRequest || got.Field != "X-ChatKit-Token" {
		t.Errorf("two tokens got %d %s", got.status, got.body)
	}
	if got := s.read(t, sessionsPath+"/a%20b"); got.status != http.StatusBadRequest || got.Field != "id" {
		t.Errorf("a bad id got %d %s", got.status, got.body)
	}
	for _, kind := range []session.Kind{session.KindUnavailable, session.KindInternal} {
		s.lister.EXPECT().List(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Page{}, kind)
		if got := s.read(t, sessionsPath); got.status < http.StatusInternalServerError {
			t.Errorf("%v got %d %s", kind, got.status, got.body)
		}
	}
}
