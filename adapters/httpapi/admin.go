package httpapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// RevokeAnySession signs a session out, whoever has it.
func (s *server) RevokeAnySession(c echo.Context, id api.SessionID) error {
	return s.revoke(c, access.ManageAll, ports.LimitAdmin, id, s.Administrator.Revoke)
}

// RevokeUserSessions signs all of a user's sessions out.
func (s *server) RevokeUserSessions(c echo.Context, userID api.UserID) error {
	admin, user, err := s.admitToUser(c, access.ManageAll, userID)
	if err != nil {
		return err
	}
	n, err := s.Administrator.RevokeAll(c.Request().Context(), admin, user)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.Revoked{Revoked: n})
}

// ShowStats counts sessions and their use.
func (s *server) ShowStats(c echo.Context) error {
	if _, err := s.admit(c, access.ReadAll, ports.LimitAdmin); err != nil {
		return err
	}
	stats, err := s.Administrator.Stats(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, statsToWire(stats))
}

func statsToWire(stats ports.Stats) api.Stats {
	wire := api.Stats{
		Sessions: api.StatusCounts{
			Active: stats.Sessions[session.StatusActive], Expired: stats.Sessions[session.StatusExpired], Revoked: stats.Sessions[session.StatusRevoked],
		},
		Days: make([]api.Day, len(stats.Days)),
	}
	for i, day := range stats.Days {
		wire.Days[i] = api.Day{Day: day.Start.UTC().Format(time.DateOnly), Opens: day.Opens, Checks: day.Checks}
	}
	return wire
}

// admitToUser lets the caller in who means a user.
func (s *server) admitToUser(c echo.Context, wants access.Permission, userID string) (access.Caller, session.UserID, error) {
	caller, err := s.admit(c, wants, ports.LimitAdmin)
	if err != nil {
		return caller, session.UserID{}, err
	}
	user, err := session.ParseUserID(userID)
	return caller, user, err
}
