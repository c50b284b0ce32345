package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// RevokeSession signs one of the caller's sessions out.
func (s *server) RevokeSession(c echo.Context, id api.SessionID) error {
	return s.revoke(c, access.ManageOwn, ports.LimitChanges, id, s.Revoker.Revoke)
}

func (s *server) revoke(c echo.Context, wants access.Permission, group ports.LimitGroup, id string, end func(context.Context, access.Caller, session.ID) error) error {
	caller, parsed, err := s.admitToSession(c, wants, group, id)
	if err != nil {
		return err
	}
	if err := end(c.Request().Context(), caller, parsed); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// RevokeSessions signs all of the caller's sessions out, or all but one.
func (s *server) RevokeSessions(c echo.Context, params api.RevokeSessionsParams) error {
	caller, err := s.admit(c, access.ManageOwn, ports.LimitChanges)
	if err != nil {
		return err
	}
	var keep session.ID
	if params.Keep != nil {
		if keep, err = parseID("keep", *params.Keep); err != nil {
			return err
		}
	}
	n, err := s.Revoker.RevokeAll(c.Request().Context(), caller, keep)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.Revoked{Revoked: n})
}

// admitToSession lets the caller in who means a session.
func (s *server) admitToSession(c echo.Context, wants access.Permission, group ports.LimitGroup, id string) (access.Caller, session.ID, error) {
	caller, err := s.admit(c, wants, group)
	if err != nil {
		return caller, session.ID{}, err
	}
	parsed, err := parseID("id", id)
	return caller, parsed, err
}

// parseID names the input in its error.
func parseID(field, text string) (session.ID, error) {
	id, err := session.ParseID(text)
	if err != nil {
		return session.ID{}, session.Invalid(field, "must be the id of a session")
	}
	return id, nil
}
