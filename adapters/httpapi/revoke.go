package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

// RevokeSession signs out one of the caller's sessions.
func (s *server) RevokeSession(c echo.Context, id api.SessionID) error {
	return revoke(c, id, s.Revoker.Revoke)
}

func revoke(c echo.Context, id string, end func(context.Context, access.Caller, session.ID) error) error {
	parsed, err := parseID(id)
	if err != nil {
		return err
	}
	if err := end(c.Request().Context(), callerOf(c), parsed); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// RevokeSessions signs out all of the caller's sessions, or all but one.
func (s *server) RevokeSessions(c echo.Context, params api.RevokeSessionsParams) error {
	var keep session.ID
	if params.Keep != nil {
		var err error
		if keep, err = parseID(*params.Keep); err != nil {
			return err
		}
	}
	n, err := s.Revoker.RevokeAll(c.Request().Context(), callerOf(c), keep)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.Revoked{Revoked: n})
}
