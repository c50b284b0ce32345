package session

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxClientField is the maximum length of each field of a Client, in bytes.
const MaxClientField = 64

// Client describes a user agent by its own, unverified claims, for display. Empty
// fields are unknown.
type Client struct {
	// Browser is the browser's name and major version: "Firefox 133".
	Browser string
	// OS is the operating system and, if known, its version: "Android 14".
	OS string
	// Kind is desktop, mobile, tablet or bot.
	Kind string
}

// NewClient returns a Client without unprintable characters and with each field
// truncated to MaxClientField bytes.
func NewClient(browser, os, kind string) Client {
	return Client{Browser: clean(browser), OS: clean(os), Kind: clean(kind)}
}

func clean(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text))
	for len(text) > MaxClientField {
		_, last := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-last]
	}
	return text
}

// Source is where a request came from, as far as it is known.
type Source struct {
	// Address is the client's address; invalid when unknown.
	Address netip.Addr
	// Client is zero when unknown.
	Client Client
}

// NewSource returns a Source with a normalized address: without a zone, and IPv4
// instead of IPv4-mapped IPv6.
func NewSource(address netip.Addr, client Client) Source {
	return Source{Address: address.Unmap().WithZone(""), Client: client}
}

// IsZero reports whether nothing is known.
func (s Source) IsZero() bool { return s == Source{} }

// Or returns s with its unknown parts taken from other.
func (s Source) Or(other Source) Source {
	if !s.Address.IsValid() {
		s.Address = other.Address
	}
	if s.Client == (Client{}) {
		s.Client = other.Client
	}
	return s
}

// Differs reports whether s and other are probably different devices: both their
// networks and their clients differ. A device that changes only its network, or
// updates its browser or operating system, does not differ. Unknown parts never
// differ.
func (s Source) Differs(other Source) bool {
	if !s.Address.IsValid() || !other.Address.IsValid() || s.Network() == other.Network() {
		return false
	}
	return differ(s.Client.OS, other.Client.OS) || differ(s.Client.Kind, other.Client.Kind) ||
		differ(s.Client.Browser, other.Client.Browser)
}

func differ(a, b string) bool { return a != "" && b != "" && unversioned(a) != unversioned(b) }

// unversioned returns name without a trailing version.
func unversioned(name string) string {
	if i := strings.LastIndexByte(name, ' '); i >= 0 && strings.Trim(name[i+1:], "0123456789.") == "" {
		return name[:i]
	}
	return name
}

// Network is the part of an address that stays the same when a device gets another
// address in the same network: the whole IPv4 address, or the first 64 bits of an
// IPv6 address (RFC 8981).
type Network struct{ prefix netip.Prefix }

// Network returns the source's network; zero when its address is unknown.
func (s Source) Network() Network {
	bits := s.Address.BitLen()
	if s.Address.Is6() {
		bits = 64
	}
	prefix, _ := s.Address.Prefix(bits) // fails only for bits out of range
	return Network{prefix}
}

// String returns the network as text, and "" when it is unknown.
func (n Network) String() string {
	if !n.prefix.IsValid() {
		return ""
	}
	return n.prefix.String()
}
