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

// proxies are the networks whose forwarding headers count, X-Forwarded-For and
// X-Forwarded-Proto. Forwarded (RFC 7239) does not: a proxy that writes the one
// passes on what its client says in the other.
type proxies struct {
	networks []netip.Prefix
	logger   *slog.Logger
	// What cannot be read is said once for each header.
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

// sent reports whether the request came straight from one of the proxies.
func (p *proxies) sent(r *http.Request) bool { return p.trusts(peer(r)) }

func (p *proxies) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(p.networks, func(network netip.Prefix) bool { return network.Contains(address) })
}

// peer is the address of whoever is at the other end of the connection; not
// valid when that has none.
func peer(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap().WithZone("")
}

// client is the address that the request came from; not valid when that is
// unknown. Behind a proxy it is the nearest address that is no proxy's, or, when
// all are, the furthest. A proxy that names no client stands for nobody: its
// address would be that of all of them.
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

// forwarded is the address that the proxies name, read from the nearest on.
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

// cutLast cuts text around the last sep; without one all of it is after.
func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return "", text, false
}

// parseNode reads an address as proxies write it (RFC 7239, 6): bare, with a
// port, an IPv6 one in brackets, in quotes. One that is hidden, or that the
// proxy says is unknown, is not valid, and ok.
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

// isPort reports whether text can be a node's port, which may be hidden, too.
func isPort(text string) bool {
	number := strings.Trim(text, "0123456789") == "" && len(text) <= len("65535")
	return text != "" && (number || text[0] == '_')
}

// overTLS reports whether a proxy says that its client came over TLS. Of several
// schemes the first is that of the client's own connection.
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

// maxLoggedHeader bounds what is logged of a header, in bytes.
const maxLoggedHeader = 64

func (p *proxies) warn(header, value string) {
	p.logger.Warn("a trusted proxy sent a header that cannot be parsed: the client's address or scheme is unknown",
		"header", header, "value", truncate(value, maxLoggedHeader))
}
