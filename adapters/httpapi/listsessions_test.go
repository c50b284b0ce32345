package httpapi_test

import (
	"encoding/json"
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

const adminSessionsPath = "/api/chatkit/admin/users/user_456/sessions"

var other = session.Must(session.ParseUserID("user_456"))

func (s *subject) read(t testing.TB, path string, headers ...string) answer {
	t.Helper()
	return s.send(t, http.MethodGet, path, "", headers...)
}

// used is a session of which everything is known.
func used() session.Session {
	return session.Restore(session.Stored{
		ID: anID.String(), User: "user_123", Device: "phone", Workflow: "workflow_1", Status: session.StatusActive,
		CreatedAt: midnight, ExpiresAt: midnight.Add(24 * time.Hour), LastActivityAt: midnight.Add(time.Minute),
		Remembered: true, Opens: 3, Checks: 40,
		Source: session.Source{Address: address("203.0.113.9").Address, Client: session.Client{Browser: "Firefox 133", OS: "Android 14", Kind: "mobile"}},
	})
}

// The wire's two sessions: one that is used and expires soon, and one that
// ended and of which nothing is known.
const (
	usedOnWire = `{"checks":40,"client":{"browser":"Firefox 133","kind":"mobile","os":"Android 14"},"createdAt":"2025-01-01T00:00:00.000Z","current":true,` +
		`"deviceId":"phone","expiresAt":"2025-01-02T00:00:00.000Z","expiresIn":59,"id":"0194214b-3a00-7cc3-98c4-dc0c0c07398f","ip":"203.0.113.9",` +
		`"lastActivityAt":"2025-01-01T00:01:00.000Z","metadata":{},"opens":3,"rememberMe":true,"status":"active","userId":"user_123",` +
		`"warning":"expires_soon","workflowId":"workflow_1"}`
	endedOnWire = `{"checks":0,"client":null,"createdAt":"2025-01-01T00:00:00.000Z","current":false,"deviceId":"device_user_123_1735689600000",` +
		`"endReason":"user","endedAt":"2025-01-01T01:00:00.000Z","expiresAt":"2025-01-02T00:00:00.000Z","id":"0194214b-3a00-7cc3-98c4-dc0c0c07398f",` +
		`"ip":null,"lastActivityAt":"2025-01-01T00:00:00.000Z","metadata":{},"opens":1,"rememberMe":false,"status":"revoked","userId":"user_123",` +
		`"workflowId":"workflow_1"}`
)

// lists are a user's sessions as they see them, and as those see them who may
// see all.
var lists = map[string]struct {
	path  string
	wants access.Permission
	// answers lets the core answer the request with a page.
	answers func(s *subject, request any, page ports.Page, err error)
}{
	"Own": {sessionsPath, access.ReadOwn, func(s *subject, request any, page ports.Page, err error) {
		s.lister.EXPECT().List(gomock.Any(), calling, request).Return(page, err)
	}},
	"Anybodys": {adminSessionsPath, access.ReadAll, func(s *subject, request any, page ports.Page, err error) {
		s.lister.EXPECT().ListOf(gomock.Any(), calling, other, request).Return(page, err)
	}},
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	for name, test := range lists {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(test.wants)
			ended := opened(ports.OpenRequest{}).Session
			ended.Revoke(session.EndUser, midnight.Add(time.Hour))
			next := ports.Position{At: midnight, ID: anID}
			test.answers(s, ports.ListRequest{Limit: 20, Token: token.Reveal()}, ports.Page{
				Sessions: []ports.Listed{
					{Session: used(), Status: session.StatusActive, Current: true, ExpiresIn: time.Minute - time.Microsecond, Expiring: true},
					{Session: ended, Status: session.StatusRevoked},
				},
				Next: next,
			}, nil)
			got := s.read(t, test.path, "X-ChatKit-Token", token.Reveal())
			var answered struct{ NextCursor string }
			if err := json.Unmarshal([]byte(got.body), &answered); err != nil || answered.NextCursor == "" {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			want := `{"nextCursor":"` + answered.NextCursor + `","sessions":[` + usedOnWire + `,` + endedOnWire + `]}`
			if strings.TrimSpace(got.body) != want || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %s\nwant %s", got.body, want)
			}
			if strings.Contains(got.body+s.log.String(), token.Reveal()) {
				t.Error("a token is shown, or logged")
			}
			if line := s.lines(t, "request")[0]; line["user"] != "user_123" {
				t.Errorf("the log has %v", line)
			}

			// The cursor that was given leads on from there.
			test.answers(s, ports.ListRequest{Status: session.StatusExpired, Limit: 100, After: next}, ports.Page{}, nil)
			if got := s.read(t, test.path+"?status=expired&limit=100&cursor="+answered.NextCursor); strings.TrimSpace(got.body) != `{"nextCursor":null,"sessions":[]}` {
				t.Errorf("the last page is %d %s", got.status, got.body)
			}
		})
	}
}

func TestShowSession(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
	path := sessionsPath + "/" + anID.String()
	s.lister.EXPECT().Show(gomock.Any(), calling, anID, token.Reveal()).
		Return(ports.Listed{Session: used(), Status: session.StatusActive, Current: true, ExpiresIn: time.Minute - 1, Expiring: true}, nil)
	if got := s.read(t, path, "X-ChatKit-Token", token.Reveal()); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"session":`+usedOnWire+`}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.lister.EXPECT().Show(gomock.Any(), calling, anID, "").Return(ports.Listed{}, session.KindNotFound)
	if got := s.read(t, path); got.status != http.StatusNotFound {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// A session that an impersonator or an agent opened is marked, in a list and
// alone; the user's own has no such member.
func TestListSessions_Actor(t *testing.T) {
	t.Parallel()
	for actor, want := range map[session.Actor]string{
		{}:           "",
		impersonator: `"actor":{"sub":"user_support","type":"impersonator"},`,
		agent:        `"actor":{"sub":"agent_1","type":"agent"},`,
	} {
		t.Run(actor.String(), func(t *testing.T) {
			t.Parallel()
			listed := ports.Listed{Session: actorsSession(actor), Status: session.StatusActive, ExpiresIn: time.Hour}
			marked := func(what string, got answer) {
				t.Helper()
				if got.status != http.StatusOK || !strings.Contains(got.body, want) || strings.Contains(got.body, "actor") != (want != "") {
					t.Errorf("%s: got %d %s", what, got.status, got.body)
				}
			}
			for name, test := range lists {
				s := newSubject(t, httpapi.Config{}).permits(test.wants)
				test.answers(s, gomock.Any(), ports.Page{Sessions: []ports.Listed{listed}}, nil)
				marked(name, s.read(t, test.path))
			}
			s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
			s.lister.EXPECT().Show(gomock.Any(), calling, anID, "").Return(listed, nil)
			marked("alone", s.read(t, sessionsPath+"/"+anID.String()))
		})
	}
}

// Why a session ended is said in each of the words that the core has.
func TestShowSession_EndReasons(t *testing.T) {
	t.Parallel()
	for _, reason := range []session.EndReason{
		session.EndExpired, session.EndUser, session.EndAdmin, session.EndLimit, session.EndTransferred, session.EndReplaced, session.EndAnomaly,
	} {
		ended := used()
		ended.Revoke(reason, midnight.Add(time.Hour))
		s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
		s.lister.EXPECT().Show(gomock.Any(), calling, anID, "").Return(ports.Listed{Session: ended, Status: session.StatusRevoked}, nil)
		if got := s.read(t, sessionsPath+"/"+anID.String()); !strings.Contains(got.body, `"endReason":"`+string(reason)+`"`) {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
}

// How long a session lives is only said while it does: in its last second, too,
// and not of one whose end nobody wrote down yet.
func TestShowSession_ExpiresIn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		listed ports.Listed
		want   string
	}{
		"InItsLastSecond": {ports.Listed{Session: used(), Status: session.StatusActive, ExpiresIn: time.Second - 1}, `"expiresIn":0,`},
		"NotSoon":         {ports.Listed{Session: used(), Status: session.StatusActive, ExpiresIn: 2 * time.Hour}, `"expiresIn":7200,`},
		"PastItsTime":     {ports.Listed{Session: used(), Status: session.StatusExpired}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
			s.lister.EXPECT().Show(gomock.Any(), gomock.Any(), anID, "").Return(test.listed, nil)
			got := s.read(t, sessionsPath+"/"+anID.String())
			if got.status != http.StatusOK || !strings.Contains(got.body, test.want) || (test.want == "") == strings.Contains(got.body, "expiresIn") {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if strings.Contains(got.body, "warning") {
				t.Errorf("it warns: %s", got.body)
			}
		})
	}
}

func TestListSessions_Refuses(t *testing.T) {
	t.Parallel()
	for _, test := range lists {
		path, wants := test.path, test.wants
		for _, query := range []string{"?status=paused", "?status=ACTIVE", "?status=active&status=revoked"} {
			s := newSubject(t, httpapi.Config{}).permits(wants) // the core is not asked
			if got := s.read(t, path+query); got.status != http.StatusBadRequest || got.Field != "status" {
				t.Errorf("%s%s got %d %s", path, query, got.status, got.body)
			}
		}
		s := newSubject(t, httpapi.Config{}).permits(wants)
		if got := s.read(t, path, "X-ChatKit-Token", "a", "X-ChatKit-Token", "b"); got.status != http.StatusBadRequest || got.Field != "X-ChatKit-Token" {
			t.Errorf("two tokens got %d %s", got.status, got.body)
		}
		for _, kind := range []session.Kind{session.KindUnavailable, session.KindInternal} {
			test.answers(s, gomock.Any(), ports.Page{}, kind)
			if got := s.read(t, path); got.status < http.StatusInternalServerError {
				t.Errorf("%v got %d %s", kind, got.status, got.body)
			}
		}
		for kind, code := range map[session.Kind]string{session.KindSignedOut: "session_revoked", session.KindActorDenied: "actor_denied"} {
			test.answers(s, gomock.Any(), ports.Page{Sessions: []ports.Listed{{Session: used()}}}, session.Wrap(kind, errors.New(secret)))
			if got := s.read(t, path); got.status != http.StatusForbidden || got.Code != code || strings.Contains(got.body, secret) {
				t.Errorf("%v got %d %s", kind, got.status, got.body)
			}
		}
	}
}
