package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// ListSessions answers a page of the caller's sessions.
func (s *server) ListSessions(c echo.Context, params api.ListSessionsParams) error {
	request, err := listRequest(params)
	if err != nil {
		return err
	}
	page, err := s.Lister.List(c.Request().Context(), callerOf(c), request)
	return answerPage(c, page, err)
}

// ListUserSessions answers a page of any user's sessions, for admins.
func (s *server) ListUserSessions(c echo.Context, userID api.UserID, params api.ListUserSessionsParams) error {
	user, err := session.ParseUserID(userID)
	if err != nil {
		return err
	}
	request, err := listRequest(api.ListSessionsParams(params))
	if err != nil {
		return err
	}
	page, err := s.Lister.ListOf(c.Request().Context(), callerOf(c), user, request)
	return answerPage(c, page, err)
}

func answerPage(c echo.Context, page ports.Page, err error) error {
	if err != nil {
		return err
	}
	answer := api.SessionPage{Sessions: make([]api.ListedSession, len(page.Sessions)), NextCursor: nextCursor(page.Next)}
	for i, listed := range page.Sessions {
		answer.Sessions[i] = listedToWire(listed)
	}
	return c.JSON(http.StatusOK, answer)
}

// ShowSession answers one of the caller's sessions.
func (s *server) ShowSession(c echo.Context, id api.SessionID, params api.ShowSessionParams) error {
	parsed, err := parseID(id)
	if err != nil {
		return err
	}
	listed, err := s.Lister.Show(c.Request().Context(), callerOf(c), parsed, valueOf(params.XChatKitToken))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.ShownSession{Session: listedToWire(listed)})
}

func listRequest(params api.ListSessionsParams) (ports.ListRequest, error) {
	request := ports.ListRequest{Token: valueOf(params.XChatKitToken)}
	var err error
	if params.Status != nil {
		if request.Status, err = session.ParseStatus(string(*params.Status)); err != nil {
			return request, err
		}
	}
	request.Limit, request.After, err = parsePage(params.Limit, params.Cursor)
	return request, err
}

// listedToWire returns a session for a list, without its token.
func listedToWire(listed ports.Listed) api.ListedSession {
	s := listed.Session
	wire := api.ListedSession{
		Id: s.ID().String(), DeviceId: s.Device().String(), UserId: s.User().String(), WorkflowId: s.Workflow().String(),
		Status: api.SessionStatus(listed.Status), Current: listed.Current,
		Client: clientToWire(s.Source()), Ip: addressToWire(s.Source()),
		CreatedAt: api.Time(s.CreatedAt()), LastActivityAt: api.Time(s.LastActivityAt()), ExpiresAt: api.Time(s.ExpiresAt()),
		Actor: actorToWire(s.Actor()), RememberMe: s.Remembered(), Opens: s.Opens(), Checks: s.Checks(), Warning: warning(listed.Expiring),
		Metadata: s.Metadata().Tree(),
	}
	if listed.Status == session.StatusActive {
		left := seconds(listed.ExpiresIn)
		wire.ExpiresIn = &left
	}
	if !s.EndedAt().IsZero() {
		ended, reason := api.Time(s.EndedAt()), api.EndReason(s.EndReason())
		wire.EndedAt, wire.EndReason = &ended, &reason
	}
	return wire
}
