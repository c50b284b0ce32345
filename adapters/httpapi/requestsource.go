package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
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

// sourceBehind is from where a request came that a trusted proxy asks about;
// zero when anybody else asks, who is not its client.
func (s *server) sourceBehind(c echo.Context) session.Source {
	if !s.proxies.sent(c.Request()) {
		return session.Source{}
	}
	return s.source(c)
}

// addressToWire is nil when the address is unknown.
func addressToWire(source session.Source) *api.Address {
	if !source.Address.IsValid() {
		return nil
	}
	text := source.Address.String()
	return &text
}

// clientToWire is nil when the client is unknown.
func clientToWire(source session.Source) *api.Client {
	client := source.Client
	if client == (session.Client{}) {
		return nil
	}
	return &api.Client{Browser: client.Browser, Os: client.OS, Kind: client.Kind}
}
