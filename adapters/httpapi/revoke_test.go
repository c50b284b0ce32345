package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

const sessionsPath = "/api/chatkit/sessions"

var anID = session.Must(session.ParseID("0194214b-3a00-7cc3-98c4-dc0c0c07398f"))

func (s *subject) del(t testing.TB, path string) answer {
	t.Helper()
	return s.send(t, http.MethodDelete, path, "")
}

// Signing one session out: their own, or, for those who may, anybody's.
func TestRevokeSession(t *testing.T) {
	t.Parallel()
	for who, route := range map[string]struct {
		path  string
		wants access.Permission
		core  func(s *subject, answer error)
	}{
		"Own": {sessionsPath, access.ManageOwn, func(s *subject, answer error) {
			s.revoker.EXPECT().Revoke(gomock.Any(), calling, anID).Return(answer)
		}},
		"Anybodys": {adminPath + "/sessions", access.ManageAll, func(s *subject, answer error) {
			s.admin.EXPECT().Revoke(gomock.Any(), calling, anID).Return(answer)
		}},
	} {
		for name, test := range map[string]struct {
			answer error
			want   int
		}{
			"SignedOut": {nil, 204},
			"NoSuch":    {session.Wrap(session.KindNotFound, errors.New(secret)), 404},
			"StepUp":    {session.Wrap(session.KindReverification, errors.New(secret)), 403},
			"StoreDown": {session.Wrap(session.KindUnavailable, errors.New(secret)), 503},
			"Bug":       {errors.New(secret), 500},
		} {
			t.Run(who+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := newSubject(t, httpapi.Config{}).permits(route.wants)
				route.core(s, test.answer)
				got := s.del(t, route.path+"/"+anID.String())
				if got.status != test.want || strings.Contains(got.body, secret) || got.header.Get("Cache-Control") != "no-store" {
					t.Errorf("got %d %s", got.status, got.body)
				}
			})
		}
	}
}

func TestRevokeSessions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query  string
		keep   session.ID
		answer error
		want   int
		body   string
	}{
		"All":       {"", session.ID{}, nil, 200, `{"revoked":3}`},
		"AllButOne": {"?keep=" + anID.String(), anID, nil, 200, `{"revoked":3}`},
		"KeepsNone": {"?keep=" + anID.String(), anID, session.KindNotFound, 404, `"not_found"`},
		"StoreDown": {"", session.ID{}, session.KindUnavailable, 503, `"unavailable"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ManageOwn)
			s.revoker.EXPECT().RevokeAll(gomock.Any(), calling, test.keep).Return(3, test.answer)
			if got := s.del(t, sessionsPath+test.query); got.status != test.want || !strings.Contains(got.body, test.body) {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

// What is unclear signs nobody out.
func TestRevoke_Refuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ path, field string }{
		"EmptyKeep":  {sessionsPath + "?keep=", "keep"},
		"TwoKeeps":   {sessionsPath + "?keep=a&keep=b", "keep"},
		"LongKeep":   {sessionsPath + "?keep=" + strings.Repeat("x", 65), "keep"},
		"KeepOfElse": {sessionsPath + "?keep=a%20b", "keep"},
		"LongID":     {sessionsPath + "/" + strings.Repeat("x", 65), "id"},
		"IDOfElse":   {sessionsPath + "/a%20b", "id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ManageOwn) // the core is not asked
			if got := s.del(t, test.path); got.status != http.StatusBadRequest || got.Field != test.field {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}
