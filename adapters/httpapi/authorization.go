package httpapi

import (
	"github.com/labstack/echo/v4"

	"chatkit-session/core/access"
	"chatkit-session/ports"
)

// operationMiddleware returns, by operation id, the permission that the caller
// needs, the rate limit that the request counts towards, and how strictly its
// query is parsed, in this order. Introspection and probes have no user.
// Forward-auth is absent: its query belongs to the proxy's own request and is
// ignored.
func (s *server) operationMiddleware() map[string][]echo.MiddlewareFunc {
	needs := func(wants access.Permission, group ports.LimitGroup) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{s.authorized(wants, group), strictQuery}
	}
	ends := func(wants access.Permission, group ports.LimitGroup, parameters ...string) []echo.MiddlewareFunc {
		return []echo.MiddlewareFunc{s.authorized(wants, group), onlyParameters(parameters...), strictQuery}
	}
	return map[string][]echo.MiddlewareFunc{
		"openSession":         {s.authorized(access.ReadOwn, ports.LimitOpens), s.configured, strictQuery},
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

// callerKey is the context key under which authorized stores the caller.
const callerKey = "caller"

// authorized admits callers with the permission who are within their rate
// limit. It runs before the generated parameter readers, so that
// authentication errors take precedence over invalid parameters.
func (s *server) authorized(wants access.Permission, group ports.LimitGroup) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			caller, err := s.authorize(c, wants, group)
			if err != nil {
				return err
			}
			c.Set(callerKey, caller)
			return next(c)
		}
	}
}

// configured refuses requests while no workflow is configured. It runs before
// the generated parameter readers, like authorized.
func (s *server) configured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := s.Opener.Workflow(); err != nil {
			return err
		}
		return next(c)
	}
}

// authorize authenticates the caller, checks the permission and takes one
// request from the caller's quota. Its answers must not be cached.
func (s *server) authorize(c echo.Context, wants access.Permission, group ports.LimitGroup) (access.Caller, error) {
	noStore(c)
	ctx := c.Request().Context()
	caller, err := s.authenticate(ctx, s.credentials(c.Request()), wants)
	c.Set(userKey, caller.User.String())
	if err != nil {
		return caller, err
	}
	caller.Source = s.source(c)
	quotas, err := s.Limits.Spend(ctx, group, caller.Holder)
	setRateLimitHeaders(c, quotas)
	return caller, err
}

// callerOf returns the caller that authorized stored. It panics in a handler
// without authorized, which is a bug.
func callerOf(c echo.Context) access.Caller {
	return c.Get(callerKey).(access.Caller) //nolint:errcheck // see above
}
