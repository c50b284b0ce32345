package httpapi

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// OpenSession opens the session of the caller's device. Errors take precedence
// in this order: authentication (401), permission (403), rate limit (429),
// configuration (500), input (400).
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

// toWire returns the session for its owner. It is the only function that
// reveals a token.
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

// readOpenRequest reads the optional body.
func readOpenRequest(c echo.Context) (ports.OpenRequest, error) {
	var wire api.OpenRequest
	if err := readJSON(c, &wire); err != nil {
		return ports.OpenRequest{}, err
	}
	request := ports.OpenRequest{Remember: wire.RememberMe}
	var err error
	if wire.DeviceId != nil {
		if request.Device, err = session.ParseDeviceID(*wire.DeviceId); err != nil {
			return ports.OpenRequest{}, err
		}
	}
	request.Metadata, err = parseMetadata(jsontext.Value(wire.Metadata))
	return request, err
}
