package httpapi

import (
	"github.com/labstack/echo/v4"
)

// sendElsewhere ends each connection with the next answer on it once this
// replica is about to stop: balancers of connections leave those that are open
// where they are, and one that is closed unasked loses the request that comes
// at that moment.
func (s *server) sendElsewhere(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.Readiness.Draining() {
			c.Response().Header().Set(echo.HeaderConnection, "close")
		}
		return next(c)
	}
}
