package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// secure reports whether the client used TLS, either directly or to a trusted
// proxy.
func (s *server) secure(r *http.Request) bool {
	return r.TLS != nil || s.proxies.overTLS(r)
}

// securityHeaders sets the headers of the OWASP REST security cheat sheet.
func (s *server) securityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.setSecurityHeaders(c.Response().Header(), c.Request())
		return next(c)
	}
}

func (s *server) setSecurityHeaders(header http.Header, r *http.Request) {
	header.Set(echo.HeaderXContentTypeOptions, "nosniff")
	header.Set(echo.HeaderReferrerPolicy, "no-referrer")
	header.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	if s.secure(r) {
		header.Set(echo.HeaderStrictTransportSecurity, "max-age=31536000")
	}
}
