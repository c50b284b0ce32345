package httpapi

import (
	"net/netip"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
)

// source is from where the request came. The address of a proxy that names no
// client stands for nobody: it would be that of all of them.
func (s *server) source(c echo.Context) session.Source {
	r := c.Request()
	address, err := netip.ParseAddr(c.RealIP())
	if err != nil || (address.Unmap() == peer(r) && s.proxies.sent(r)) {
		address = netip.Addr{}
	}
	return session.NewSource(address, clientOf(r.UserAgent()))
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
