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

// Signing out one session: the caller's own or, for admins, any.
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
		"EmptyKeep": {"?keep=&keep", session.ID{}, nil, 200, `{"revoked":3}`},
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

// Ambiguous requests end no session.
func TestRevoke_Refuses(t *testing.T) {
	t.Parallel()
	mine := anID.String()
	for query, field := range map[string]string{
		"?keep=a&keep=b":           "keep",
		"?keep=&keep=" + mine:      "keep",
		"?keep=" + mine + ";v=2":   "query",
		"?keep=" + mine + "%":      "query",
		"?keep=" + mine + "&x=%zz": "query",
		"?%6bee%=" + mine:          "query",
		"?Keep=" + mine:            "query",
		"?keep=" + mine + "&x=1":   "query",
		"?kep=":                    "query",
		"?except=" + mine:          "query",
		"/" + mine + "?keep=x":     "query",
		"/" + mine + "?;":          "query",
	} {
		for base, wants := range map[string]access.Permission{sessionsPath: access.ManageOwn, adminSessionsPath: access.ManageAll, adminPath + "/sessions": access.ManageAll} {
			isOne, wantsOne := strings.HasPrefix(query, "/"), base == adminPath+"/sessions"
			if (base == adminSessionsPath && isOne) || (wantsOne && !isOne) {
				continue // there is no such route
			}
			s := newSubject(t, httpapi.Config{}).permits(wants) // the core is not asked
			got := s.del(t, base+query)
			if got.status != http.StatusBadRequest || (got.Field != field && base == sessionsPath) {
				t.Errorf("%s%s got %d %s", base, query, got.status, got.body)
			}
		}
	}
}
