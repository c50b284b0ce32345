package httpapi

import (
	"maps"
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// ListActivity answers a page of the activity of all of the caller's sessions.
func (s *server) ListActivity(c echo.Context, params api.ListActivityParams) error {
	return s.timeline(c, session.ID{}, params)
}

// ListSessionActivity answers a page of the activity of one session.
func (s *server) ListSessionActivity(c echo.Context, id api.SessionID, params api.ListSessionActivityParams) error {
	of, err := parseID(id)
	if err != nil {
		return err
	}
	return s.timeline(c, of, api.ListActivityParams(params))
}

func (s *server) timeline(c echo.Context, of session.ID, params api.ListActivityParams) error {
	limit, after, err := parsePage(params.Limit, params.Cursor)
	if err != nil {
		return err
	}
	page, err := s.Lister.Activity(c.Request().Context(), callerOf(c), ports.ActivityRequest{Session: of, After: after, Limit: limit})
	if err != nil {
		return err
	}
	answer := api.ActivityPage{Activity: make([]api.Activity, len(page.Activity)), NextCursor: nextCursor(page.Next)}
	for i, record := range page.Activity {
		answer.Activity[i] = activityToWire(record)
	}
	return c.JSON(http.StatusOK, answer)
}

func activityToWire(record session.Activity) api.Activity {
	wire := api.Activity{
		Id: record.ID.String(), SessionId: record.Session.String(), Type: api.ActivityType(record.Type), At: api.Time(record.At),
		Ip: addressToWire(record.Source), Client: clientToWire(record.Source), Detail: map[string]string{},
	}
	maps.Copy(wire.Detail, record.Detail) // which may be nil; the wire's is an object
	return wire
}
