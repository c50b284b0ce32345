package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
)

func spec(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", api.Spec)
}

// docsHeaders allows the API reference to run its own scripts and styles.
func docsHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentSecurityPolicy,
			"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'")
		return next(c)
	}
}
