package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/ports"
)

// OpenSession opens the session of the caller's device. Checked are, in this
// order: who asks (401), whether they may (403), how often (429), whether the
// service is configured (500), what they ask for (400).
func (s *server) OpenSession(c echo.Context, params api.OpenSessionParams) error {
	request, err := readOpenRequest(c)
	if err != nil {
		return err
	}
	request.Token = valueOf(params.XChatKitToken)
	opened, err := s.Opener.Open(c.Request().Context(), callerOf(c), request)
	if err != nil {
		return err
	}
	return answerOpened(c, opened)
}

func answerOpened(c echo.Context, opened ports.Opened) error {
	c.Set(outcomeKey, string(opened.Outcome))
	return c.JSON(http.StatusOK, toWire(opened))
}

// noStore keeps an answer that is for its receiver alone out of caches.
func noStore(c echo.Context) { c.Response().Header().Set(echo.HeaderCacheControl, "no-store") }

// toWire is the session as its owner sees it: the one place that reveals a
// token.
func toWire(opened ports.Opened) api.OpenResponse {
	s := opened.Session
	return api.OpenResponse{
		Outcome: api.Outcome(opened.Outcome),
		Session: api.Session{
			Id:               s.ID().String(),
			ChatKitSessionId: opened.Token.Reveal(),
			DeviceId:         s.Device().String(),
			UserId:           s.User().String(),
			WorkflowId:       s.Workflow().String(),
			CreatedAt:        api.Time(s.CreatedAt()),
			ExpiresAt:        api.Time(s.ExpiresAt()),
			RefreshAfter:     api.Time(opened.RefreshAfter),
			ExpiresIn:        seconds(opened.ExpiresIn),
			RememberMe:       s.Remembered(),
			Metadata:         s.Metadata().Tree(),
		},
	}
}
