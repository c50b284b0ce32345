package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
)

// Health reports that the process is alive.
func (s *server) Health(c echo.Context) error {
	return c.JSON(http.StatusOK, api.Status{Status: api.Ok})
}

// Ready reports whether the service can answer requests, and which functions
// are degraded. Otherwise the answer names the part that fails.
func (s *server) Ready(c echo.Context) error {
	degraded, err := s.Readiness.Ready(c.Request().Context())
	if err != nil {
		return &notReady{err}
	}
	return c.JSON(http.StatusOK, api.Status{Status: api.Ok, Degraded: degraded})
}

// notReady is the error of a replica that is not ready.
type notReady struct{ error }

func (n *notReady) Unwrap() error { return n.error }

// answer adds the failing part to the error. Its address and the cause are
// only logged.
func (n *notReady) answer(to api.Error) api.NotReady {
	answer := api.NotReady{Error: to.Error, Message: to.Message, Code: to.Code, RequestId: to.RequestId}
	switch session.ReasonOf(n.error) { //nolint:exhaustive // the others are about callers
	case session.ReasonStore:
		answer.Store = new(api.NotReadyStoreUnavailable)
	case session.ReasonClock:
		answer.Clock = new(api.Differs)
	case session.ReasonStopping:
		answer.Replica = new(api.Stopping)
	}
	return answer
}

// The paths of the probes.
const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

func isProbe(route string) bool { return route == healthPath || route == readyPath }
