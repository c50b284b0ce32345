package httpapi

import (
	"strings"

	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The routes of checks, as Echo knows them.
const (
	verifyRoute     = "/api/chatkit/session/verify"
	introspectRoute = "/api/chatkit/session/introspect"
)

// workOf is the kind of work that a route's requests are, empty for those that
// count for nothing: probes, the documentation, and what is no route.
func workOf(route string) ports.Work {
	switch {
	case route == verifyRoute || route == introspectRoute:
		return ports.WorkChecks
	case strings.HasPrefix(route, "/api/"):
		return ports.WorkUsers
	}
	return ""
}

// inFlight bounds the requests that are worked on at a time. It stands before
// all that costs more than to refuse a request: its credential is not verified
// yet, and its body is not read. A request counts until its answer is sent: how
// fast its client takes that is no work.
func (s *server) inFlight(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		work := workOf(c.Path())
		if work == "" {
			return next(c)
		}
		r := c.Request()
		leave, err := s.Admission.Enter(r.Context(), work)
		if err != nil {
			return err
		}
		defer leave()
		c.Response().Before(leave)
		c.SetRequest(r.WithContext(ports.WithLeave(r.Context(), leave)))
		defer c.SetRequest(r)
		return next(c)
	}
}

// check checks a token that was used from source. Where too many of that
// network's failed, it waits for a turn that it shares with others like it.
func (s *server) check(c echo.Context, token string, from, source session.Source) (checked ports.Checked, err error) {
	ctx := c.Request().Context()
	if !s.Limits.Suspects(source) {
		return s.Checker.Check(ctx, token, from)
	}
	err = s.Admission.Suspected(ctx, func() error {
		checked, err = s.Checker.Check(ctx, token, from)
		return err
	})
	return checked, err
}
