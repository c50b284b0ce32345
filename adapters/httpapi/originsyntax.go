package httpapi

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// origin is a scheme, host and port in the spelling of the Origin header
// (https://html.spec.whatwg.org/multipage/browsers.html#origin): in lower
// case, international names in punycode, without the scheme's default port.
type origin struct {
	scheme, host string
	// port begins with its colon. It is empty for the scheme's default port.
	port string
}

// String returns the origin as browsers send it.
func (o origin) String() string { return o.scheme + "://" + o.host + o.port }

// Origin returns text in the spelling that browsers use for the origin. It
// returns an error if no browser sends such an origin. Apps have origins, too,
// such as capacitor://localhost.
func Origin(text string) (string, error) {
	o, err := parseOrigin(text)
	if err == nil && strings.Contains(o.host, "*") {
		err = errNoPattern
	}
	if err != nil {
		return "", fmt.Errorf("%q %w", text, err)
	}
	return o.String(), nil
}

// The errors of invalid origins. Their texts follow the quoted origin.
var (
	errNotOrigin   = errors.New("must be an origin such as https://app.example.com: a scheme, a host, and a port unless it is the scheme's default")
	errOriginPath  = errors.New("must end after the host and port: browsers send no path, query or user name")
	errOriginNull  = errors.New("is not allowed: any page can send it")
	errOriginAll   = errors.New("is not allowed: it would admit every page; list the pages")
	errOriginHost  = errors.New("must have a host name of letters, digits, - and _ between dots, or an IP address")
	errOriginPort  = errors.New("must have a port between 1 and 65535, or none")
	errNotPages    = errors.New("must have the scheme of a page or an app, such as https: browsers send no origin for this scheme")
	errNoPattern   = errors.New("must be a single origin: the wildcard * is not supported here")
	errOriginStars = errors.New("must have at most one *, in its host")
)

// ownPorts are the default ports, which browsers leave out.
var ownPorts = map[string]string{"http": "80", "https": "443"}

// schemesWithoutOrigin are schemes that never appear in an Origin header.
// Pages of most of them send null.
var schemesWithoutOrigin = []string{"about", "blob", "data", "file", "filesystem", "ftp", "javascript", "mailto", "ws", "wss"}

// parseOrigin parses an origin, whose host may contain a *. It accepts every
// spelling that a browser's address bar accepts.
func parseOrigin(text string) (origin, error) {
	switch text = strings.TrimSpace(text); strings.ToLower(text) {
	case "null":
		return origin{}, errOriginNull
	case "*":
		return origin{}, errOriginAll
	}
	scheme, rest, found := strings.Cut(text, "://")
	o := origin{scheme: strings.ToLower(scheme)}
	if !found || !isScheme(o.scheme) || rest == "" {
		return origin{}, errNotOrigin
	}
	if slices.Contains(schemesWithoutOrigin, o.scheme) {
		return origin{}, errNotPages
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.ContainsAny(rest, `/\?#@`) {
		return origin{}, errOriginPath
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return origin{}, err
	}
	if port != "" && port != ownPorts[o.scheme] {
		o.port = ":" + port
	}
	o.host, err = o.parseHost(host)
	return o, err
}

// isScheme reports whether text is a scheme (RFC 3986, 3.1).
func isScheme(text string) bool {
	return text != "" && 'a' <= text[0] && text[0] <= 'z' && !strings.ContainsFunc(text, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("+-.", r))
	})
}

// splitPort splits a host from its port, and removes leading zeros.
func splitPort(text string) (host, port string, err error) {
	end := strings.LastIndexByte(text, ']') + 1 // an IPv6 address has colons of its own
	host, port, _ = strings.Cut(text[end:], ":")
	if port == "" {
		return text[:end] + host, "", nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", "", errOriginPort
	}
	return text[:end] + host, strconv.FormatUint(number, 10), nil
}

// parseHost returns the host in the spelling of browsers. Hosts of app schemes
// are not DNS names.
func (o origin) parseHost(text string) (string, error) {
	if ownPorts[o.scheme] == "" {
		host := strings.ToLower(text)
		if host == "" || strings.ContainsFunc(host, notHost) {
			return "", errOriginHost
		}
		return host, nil
	}
	if strings.HasPrefix(text, "[") {
		return parseIPv6(text)
	}
	host, err := hostNames.ToASCII(text)
	host = strings.TrimSuffix(host, ".")
	labels := strings.Split(host, ".")
	if err != nil || slices.Contains(labels, "") || strings.ContainsFunc(host, func(r rune) bool { return notHost(r) && r != '*' }) {
		return "", errOriginHost
	}
	if slices.ContainsFunc(labels, func(label string) bool { return strings.HasPrefix(label, "xn--") && strings.Contains(label, "*") }) {
		return "", errOriginHost // a * in punycode stands for other letters
	}
	if isNumber(labels[len(labels)-1]) {
		if address, err := netip.ParseAddr(host); err != nil || !address.Is4() {
			return "", errOriginHost // browsers treat it as an invalid address
		}
	}
	return host, nil
}

// hostNames converts names to punycode as browsers do
// (https://url.spec.whatwg.org/#concept-domain-to-ascii).
var hostNames = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.VerifyDNSLength(false))

// isNumber reports whether browsers parse a host with this last label as an
// IPv4 address.
func isNumber(label string) bool {
	_, err := strconv.ParseUint(label, 10, 64)
	return err == nil || strings.HasPrefix(label, "0x")
}

// parseIPv6 returns the address in the spelling of browsers.
func parseIPv6(text string) (string, error) {
	inner, closed := strings.CutSuffix(text[1:], "]")
	address, err := netip.ParseAddr(inner)
	if !closed || err != nil || !address.Is6() || address.Zone() != "" {
		return "", errOriginHost
	}
	if address.Is4In6() { // browsers write no dots in it
		raw := address.As16()
		return fmt.Sprintf("[::ffff:%x:%x]", uint16(raw[12])<<8|uint16(raw[13]), uint16(raw[14])<<8|uint16(raw[15])), nil
	}
	return "[" + address.String() + "]", nil
}

// notHost reports whether browsers never send r in a host name.
func notHost(r rune) bool {
	return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r))
}
