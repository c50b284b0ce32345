package httpapi

import (
	"github.com/labstack/echo/v4"
)

// closeWhenDraining closes each connection after its next answer once the
// replica is draining. Load balancers keep using open connections, and closing
// one without an announcement loses a request that is being sent.
func (s *server) closeWhenDraining(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.Readiness.Draining() {
			c.Response().Header().Set(echo.HeaderConnection, "close")
		}
		return next(c)
	}
}
