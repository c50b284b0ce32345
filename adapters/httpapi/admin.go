package httpapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// RevokeAnySession signs out a session of any user.
func (s *server) RevokeAnySession(c echo.Context, id api.SessionID) error {
	return revoke(c, id, s.Administrator.Revoke)
}

// RevokeUserSessions signs out all sessions of a user.
func (s *server) RevokeUserSessions(c echo.Context, userID api.UserID) error {
	user, err := session.ParseUserID(userID)
	if err != nil {
		return err
	}
	n, err := s.Administrator.RevokeAll(c.Request().Context(), callerOf(c), user)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.Revoked{Revoked: n})
}

// ShowStats answers the number of sessions and their use.
func (s *server) ShowStats(c echo.Context) error {
	stats, err := s.Administrator.Stats(c.Request().Context(), callerOf(c))
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
