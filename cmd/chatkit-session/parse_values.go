package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/adapters/keyring"
	"chatkit-session/core/access"
)

// checkAddress checks an address to listen on. It requires a port, because
// without one the system would choose one.
func checkAddress(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return says(err, fmt.Sprintf("%q must be like :8080 or 127.0.0.1:8080, with a port of 0 to 65535", text))
}

// parseURL parses an address of Clerk and returns it as browsers write it. The
// issuer is compared with a token's claim, and the API's paths are appended.
func parseURL(text string) (string, error) {
	wrong := fmt.Errorf("%q must be like https://clerk.example.com, without a slash at its end", text)
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || strings.ContainsAny(text, "?#") {
		return "", wrong
	}
	if u.Path == "/" {
		u.Path = ""
	}
	origin, err := httpapi.Origin(u.Scheme + "://" + u.Host)
	if err != nil || strings.HasSuffix(u.Path, "/") {
		return "", wrong
	}
	if origin == clerkAPI && u.Path == "" {
		u.Path = clerkAPIVersion
	}
	return origin + u.EscapedPath(), nil
}

// The paths of Clerk's Backend API start with its version. Some of Clerk's SDKs
// take the address without the version, so both are accepted.
const (
	clerkAPI        = "https://api.clerk.com"
	clerkAPIVersion = "/v1"
)

// parsePrefix parses a network, or an address as a network of one. The result
// has no zone and no IPv4-mapped IPv6 address, like the peers' addresses that it
// is compared with.
func parsePrefix(text string) (netip.Prefix, error) {
	wrong := fmt.Errorf("%q must be an address or a network, such as 10.0.0.0/8, without a zone", text)
	if address, err := netip.ParseAddr(text); err == nil {
		if address.Zone() != "" {
			return netip.Prefix{}, wrong
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, wrong
	case !prefix.Addr().Is4In6():
		return prefix, nil
	case prefix.Bits() < mappedBits:
		return netip.Prefix{}, wrong
	}
	return netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mappedBits), nil
}

// mappedBits is the length of the prefix of IPv4-mapped IPv6 addresses (RFC 4291,
// section 2.5.5.2).
const mappedBits = 96

// minIntrospectionKey is the minimum length of an introspection key: 128 bits in
// hexadecimal.
const minIntrospectionKey = 32

// checkIntrospectionKeys validates the keys. Its error names a key by its
// position and never shows it.
func checkIntrospectionKeys(keys []string) error {
	var wrong []error
	seen := make(map[string]int, len(keys))
	for i, key := range keys {
		earlier, twice := seen[key]
		seen[key] = i + 1
		switch {
		case twice:
			wrong = append(wrong, fmt.Errorf("key %d is the same as key %d", i+1, earlier))
		case len(key) < minIntrospectionKey:
			wrong = append(wrong, fmt.Errorf("key %d must have at least %d characters: make one with chatkit-session keygen", i+1, minIntrospectionKey))
		case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
			wrong = append(wrong, fmt.Errorf("key %d must consist of visible ASCII characters without spaces, to fit in a header", i+1))
		case keyring.Guessable([]byte(key)):
			wrong = append(wrong, fmt.Errorf("key %d is not random: make one with chatkit-session keygen", i+1))
		}
	}
	return errors.Join(wrong...)
}

// reveal returns the secrets in clear.
func reveal(secrets []secret) []string {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, string(s))
	}
	return texts
}

// checkClaim checks the name of a claim, or a path of names separated by dots.
func checkClaim(name string) error {
	if strings.ContainsAny(name, " \t\"") || (!strings.Contains(name, "://") && strings.Contains("."+name+".", "..")) {
		return fmt.Errorf("%q must be a claim, such as metadata.role or https://example.com/role", name)
	}
	return nil
}

// policyForm is an example of an access policy.
const policyForm = `{"roles":{"admin":["read_own","manage_own","read_all","manage_all"]},"others":["read_own","manage_own"]}`

func parseAccessPolicy(text string) (access.Policy, error) {
	if text == "" {
		return access.DefaultPolicy(), nil
	}
	var wire struct {
		Roles  map[string][]string `json:"roles"`
		Others []string            `json:"others"`
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&wire)
	if err == nil && decoder.More() {
		err = errors.New("there is more text after the JSON")
	}
	granted := len(wire.Others)
	for _, permissions := range wire.Roles {
		granted += len(permissions)
	}
	if err == nil && granted == 0 {
		err = errors.New("it grants no permissions")
	}
	var policy access.Policy
	if err == nil {
		policy, err = access.NewPolicy(wire.Roles, wire.Others)
	}
	if err != nil {
		cause := strings.ReplaceAll(err.Error(), "\n", "; ")
		return access.Policy{}, fmt.Errorf("must be like %s: %s", policyForm, cause)
	}
	return policy, nil
}

// The kinds of database.
const (
	postgresDatabase = "postgres"
	sqliteDatabase   = "sqlite"
)

// databaseKind returns the kind of database and, for SQLite, its path.
func databaseKind(url secret) (kind, path string, err error) {
	scheme, rest, _ := strings.Cut(string(url), ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		return postgresDatabase, "", nil
	case scheme == "sqlite" && strings.HasPrefix(rest, "//"):
		return "", "", errors.New("must be sqlite:PATH, without slashes before the path: sqlite:sessions.db, or sqlite:/var/lib/sessions.db")
	case scheme == "sqlite" && strings.Contains(rest, ":memory:"):
		return "", "", errors.New("must name a file: an in-memory database is lost when the process ends")
	case scheme == "sqlite" && strings.Contains(rest, "?"):
		return "", "", errors.New("must be sqlite:PATH, without parameters: what follows a ? would be a part of the file's name")
	case scheme == "sqlite" && rest != "":
		return sqliteDatabase, rest, nil
	}
	return "", "", errors.New("must start with postgres:// or be sqlite:PATH")
}

// storeName names the store in the log: postgres without its address, or the
// SQLite file.
func storeName(url secret) string {
	kind, path, _ := databaseKind(url)
	if kind == sqliteDatabase {
		return kind + ":" + path
	}
	return kind
}
