package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
)

// source returns the address and the client that sent the request.
func (s *server) source(c echo.Context) session.Source {
	r := c.Request()
	return session.NewSource(s.proxies.client(r), clientOf(r.UserAgent()))
}

// clientAddress returns the client's address for the access log, or the
// proxy's if the client's is unknown. Echo's default trusts any
// X-Forwarded-For.
func (s *server) clientAddress(r *http.Request) string {
	if address := s.proxies.client(r); address.IsValid() {
		return address.String()
	}
	if address := peer(r); address.IsValid() {
		return address.String()
	}
	return ""
}
