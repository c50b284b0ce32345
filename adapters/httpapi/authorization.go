package httpapi

import (
	"github.com/labstack/echo/v4"

	"chatkit-session/core/access"
	"chatkit-session/ports"
)

// admissions say, by the id of an operation, what its caller must be permitted
// for which limit it counts, and how its query is read, in this order. Those of
// back ends and probes ask for no user. What a proxy asks with is the query of
// another request, if any: it is not read.
func (s *server) admissions() map[string][]echo.MiddlewareFunc {
	needs := func(wants access.Permission, group ports.LimitGroup) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{s.admitted(wants, group), strictQuery}
	}
	ends := func(wants access.Permission, group ports.LimitGroup, parameters ...string) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{s.admitted(wants, group), onlyParameters(parameters...), strictQuery}
	}
	return map[string][]echo.MiddlewareFunc{
		"openSession":         {s.admitted(access.ReadOwn, ports.LimitOpens), s.configured, strictQuery},
		"claimTransfer":       needs(access.ManageOwn, ports.LimitChanges),
		"listSessions":        needs(access.ReadOwn, ports.LimitReads),
		"revokeSessions":      ends(access.ManageOwn, ports.LimitChanges, "keep"),
		"watchSession":        needs(access.ReadOwn, ports.LimitReads),
		"showSession":         needs(access.ReadOwn, ports.LimitReads),
		"revokeSession":       ends(access.ManageOwn, ports.LimitChanges),
		"offerTransfer":       needs(access.ManageOwn, ports.LimitChanges),
		"listSessionActivity": needs(access.ReadOwn, ports.LimitReads),
		"listActivity":        needs(access.ReadOwn, ports.LimitReads),
		"listUserSessions":    needs(access.ReadAll, ports.LimitAdmin),
		"revokeUserSessions":  ends(access.ManageAll, ports.LimitAdmin),
		"revokeAnySession":    ends(access.ManageAll, ports.LimitAdmin),
		"showStats":           needs(access.ReadAll, ports.LimitAdmin),
		"health":              {strictQuery},
		"ready":               {strictQuery},
	}
}

// callerKey is where admitted leaves the caller for the handler.
const callerKey = "caller"

// admitted lets callers in who may do what they want, and not too often. It
// comes before the generated readers of parameters: who asks, and how often,
// comes before what is wrong with what they ask.
func (s *server) admitted(wants access.Permission, group ports.LimitGroup) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			caller, err := s.admit(c, wants, group)
			if err != nil {
				return err
			}
			c.Set(callerKey, caller)
			return next(c)
		}
	}
}

// configured refuses everything while there is no workflow to open sessions
// for. Like admitted, it comes before what is wrong with what is asked.
func (s *server) configured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := s.Opener.Workflow(); err != nil {
			return err
		}
		return next(c)
	}
}

// admit lets one caller in. What they are answered is for them alone.
func (s *server) admit(c echo.Context, wants access.Permission, group ports.LimitGroup) (access.Caller, error) {
	noStore(c)
	ctx := c.Request().Context()
	caller, err := s.identify(ctx, s.credentials(c.Request()), wants)
	c.Set(userKey, caller.User.String())
	if err != nil {
		return caller, err
	}
	caller.Source = s.source(c)
	quotas, err := s.Limits.Spend(ctx, group, caller.Holder)
	showQuotas(c, quotas)
	return caller, err
}

// callerOf is whom admitted let in. A handler that it does not stand before has
// nobody to act for: that is a mistake here, and panics.
func callerOf(c echo.Context) access.Caller {
	return c.Get(callerKey).(access.Caller) //nolint:errcheck // see above
}
