package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
)

// source is from where the request came.
func (s *server) source(c echo.Context) session.Source {
	r := c.Request()
	return session.NewSource(s.proxies.client(r), clientOf(r.UserAgent()))
}

// clientAddress is the client's address as the log has it: that of the proxy
// when that names no client. Echo's own default believes anybody.
func (s *server) clientAddress(r *http.Request) string {
	if address := s.proxies.client(r); address.IsValid() {
		return address.String()
	}
	if address := peer(r); address.IsValid() {
		return address.String()
	}
	return ""
}
