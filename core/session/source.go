package session

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxClientField bounds each field of a Client, in bytes.
const MaxClientField = 64

// Client is what a user agent says of itself. Its fields are for people: they
// are what somebody claims, no proof. Empty means unknown.
type Client struct {
	// Browser is its name and main version: "Firefox 133".
	Browser string
	// OS is the system's name, and its version where it says one: "Android 14".
	OS string
	// Kind is desktop, mobile, tablet or bot.
	Kind string
}

// NewClient cleans what was parsed of a user agent: fields are cut to
// MaxClientField bytes and lose what would not print.
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

// Source is where a request came from, as far as anybody knows.
type Source struct {
	// Address is the client's; not valid when unknown.
	Address netip.Addr
	// Client is zero when unknown.
	Client Client
}

// NewSource returns a Source whose address has neither an IPv6 zone nor the
// IPv6 form of an IPv4 one.
func NewSource(address netip.Addr, client Client) Source {
	return Source{Address: address.Unmap().WithZone(""), Client: client}
}

// IsZero reports whether nothing is known.
func (s Source) IsZero() bool { return s == Source{} }

// Or returns s, with what it does not know taken from other.
func (s Source) Or(other Source) Source {
	if !s.Address.IsValid() {
		s.Address = other.Address
	}
	if s.Client == (Client{}) {
		s.Client = other.Client
	}
	return s
}

// Differs reports whether both an address of another network and another
// client are known of s than of other. A device that changes its network, or
// updates its browser or system, does not differ, and what is unknown of either
// never does.
func (s Source) Differs(other Source) bool {
	if !s.Address.IsValid() || !other.Address.IsValid() || s.Network() == other.Network() {
		return false
	}
	return differ(s.Client.OS, other.Client.OS) || differ(s.Client.Kind, other.Client.Kind) ||
		differ(s.Client.Browser, other.Client.Browser)
}

func differ(a, b string) bool { return a != "" && b != "" && unversioned(a) != unversioned(b) }

// unversioned is a name without the version behind it.
func unversioned(name string) string {
	if i := strings.LastIndexByte(name, ' '); i >= 0 && strings.Trim(name[i+1:], "0123456789.") == "" {
		return name[:i]
	}
	return name
}

// Network is the part of an address that stays when a device takes another
// one in its network: all of IPv4's, the first 64 bits of IPv6's (RFC 8981).
type Network struct{ prefix netip.Prefix }

// Network returns the source's network; zero when its address is unknown.
func (s Source) Network() Network {
	bits := s.Address.BitLen()
	if s.Address.Is6() {
		bits = 64
	}
	prefix, _ := s.Address.Prefix(bits) // its only error is of bits that do not fit
	return Network{prefix}
}

// String is the network as text; empty when it is unknown.
func (n Network) String() string {
	if !n.prefix.IsValid() {
		return ""
	}
	return n.prefix.String()
}
