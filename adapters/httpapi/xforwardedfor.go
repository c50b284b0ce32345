package httpapi

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// proxies are the trusted networks whose X-Forwarded-For and X-Forwarded-Proto
// headers are used. Forwarded (RFC 7239) is ignored: a proxy that sets only
// the X-Forwarded headers passes on whatever its client wrote into Forwarded.
type proxies struct {
	networks []netip.Prefix
	logger   *slog.Logger
	// A header that cannot be parsed is logged once.
	unreadableFor, unreadableProto sync.Once
}

func newProxies(networks []netip.Prefix, logger *slog.Logger) *proxies {
	p := &proxies{networks: slices.Clone(networks), logger: logger}
	for i, network := range p.networks {
		if address := network.Addr(); address.Is4In6() && network.Bits() >= 96 {
			p.networks[i] = netip.PrefixFrom(address.Unmap(), network.Bits()-96)
		}
	}
	return p
}

// sent reports whether the request came directly from a trusted proxy.
func (p *proxies) sent(r *http.Request) bool { return p.trusts(peer(r)) }

func (p *proxies) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(p.networks, func(network netip.Prefix) bool { return network.Contains(address) })
}

// peer returns the address of the other end of the connection, or an invalid
// address if it has none.
func peer(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap().WithZone("")
}

// client returns the address of the client, or an invalid address if it is
// unknown. Behind trusted proxies it is the nearest address that is not a
// proxy's, or the furthest if all are proxies. A request without a forwarded
// address has an unknown client: the proxy's own address would lump all
// clients together.
func (p *proxies) client(r *http.Request) netip.Addr {
	nearest := peer(r)
	if !p.trusts(nearest) {
		return nearest
	}
	client := p.forwarded(r)
	if client == nearest {
		return netip.Addr{}
	}
	return client
}

// forwarded returns the client's address from X-Forwarded-For, read from the
// nearest entry on.
func (p *proxies) forwarded(r *http.Request) (client netip.Addr) {
	lines := r.Header.Values(echo.HeaderXForwardedFor)
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var node string
			rest, node, more = cutLast(rest, ",")
			if node = strings.Trim(node, " \t"); node == "" {
				continue // an element of a list may be empty (RFC 9110, 5.6.1)
			}
			address, ok := parseNode(node)
			if !ok {
				p.unreadableFor.Do(func() { p.warn(echo.HeaderXForwardedFor, node) })
				return netip.Addr{}
			}
			if client = address; !p.trusts(client) {
				return client
			}
		}
	}
	return client
}

// cutLast is strings.Cut around the last sep. Without sep, all of text is
// after.
func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return "", text, false
}

// parseNode parses an address in the spellings of proxies (RFC 7239, 6): bare,
// with a port, in brackets or in quotes. For a hidden or unknown node it
// returns an invalid address, and true.
func parseNode(text string) (address netip.Addr, ok bool) {
	text = strings.Trim(text, `"`)
	if strings.EqualFold(text, "unknown") || strings.HasPrefix(text, "_") {
		return netip.Addr{}, true
	}
	host, bracketed := strings.CutPrefix(text, "[")
	switch {
	case bracketed:
		var port string
		host, port, ok = strings.Cut(host, "]")
		if !ok || (port != "" && (port[0] != ':' || !isPort(port[1:]))) {
			return netip.Addr{}, false
		}
	case strings.Count(text, ":") == 1:
		var port string
		if host, port, _ = strings.Cut(text, ":"); !isPort(port) {
			return netip.Addr{}, false
		}
	}
	address, err := netip.ParseAddr(host)
	if err != nil || (bracketed && !address.Is6()) {
		return netip.Addr{}, false
	}
	return address.Unmap().WithZone(""), true
}

// isPort reports whether text is a port or the hidden port of a node.
func isPort(text string) bool {
	number := strings.Trim(text, "0123456789") == "" && len(text) <= len("65535")
	return text != "" && (number || text[0] == '_')
}

// overTLS reports whether a trusted proxy says that its client used TLS. The
// first of several schemes is that of the client's own connection.
func (p *proxies) overTLS(r *http.Request) bool {
	if !p.sent(r) {
		return false
	}
	scheme, _, _ := strings.Cut(strings.Join(r.Header.Values(echo.HeaderXForwardedProto), ","), ",")
	switch strings.ToLower(strings.Trim(scheme, " \t")) {
	case "https", "wss":
		return true
	case "http", "ws", "":
		return false
	}
	p.unreadableProto.Do(func() { p.warn(echo.HeaderXForwardedProto, scheme) })
	return false
}

// maxLoggedHeader bounds the logged part of a header, in bytes.
const maxLoggedHeader = 64

func (p *proxies) warn(header, value string) {
	p.logger.Warn("a trusted proxy sent a header that cannot be parsed: the client's address or scheme is unknown",
		"header", header, "value", truncate(value, maxLoggedHeader))
}
