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

// checkAddress accepts an address to listen on. Without a port a random one
// would be taken.
func checkAddress(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return says(err, fmt.Sprintf("%q must be like :8080 or 127.0.0.1:8080, with a port of 0 to 65535", text))
}

// parseURL reads one of Clerk's addresses as browsers write them: it is compared
// with what Clerk writes, or what is asked of Clerk is put behind it.
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

// Clerk's own Backend API is below its version, which some of Clerk's other
// libraries add to the address.
const (
	clerkAPI        = "https://api.clerk.com"
	clerkAPIVersion = "/v1"
)

// parsePrefix reads a network, or an address that is one of its own. Peers have
// no zones and IPv4 addresses of four bytes when they are looked for in it.
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

// mappedBits stand before an IPv4 address that is written as an IPv6 one.
const mappedBits = 96

// minIntrospectionKey is the least length of a back end's key: 128 bits, when
// it is written in hexadecimal.
const minIntrospectionKey = 32

// checkIntrospectionKeys names a key by its place and never shows it.
func checkIntrospectionKeys(keys []string) error {
	var wrong []error
	seen := make(map[string]int, len(keys))
	for i, key := range keys {
		earlier, twice := seen[key]
		seen[key] = i + 1
		switch {
		case twice:
			wrong = append(wrong, fmt.Errorf("key %d is key %d again", i+1, earlier))
		case len(key) < minIntrospectionKey:
			wrong = append(wrong, fmt.Errorf("key %d must have at least %d characters: make one with chatkit-session keygen", i+1, minIntrospectionKey))
		case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
			wrong = append(wrong, fmt.Errorf("key %d must be of visible ASCII characters without spaces: no other fit in a header", i+1))
		case keyring.Guessable([]byte(key)):
			wrong = append(wrong, fmt.Errorf("key %d is no random one: make one with chatkit-session keygen", i+1))
		}
	}
	return errors.Join(wrong...)
}

// reveal returns what the secrets are.
func reveal(secrets []secret) []string {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, string(s))
	}
	return texts
}

// checkClaim accepts a claim's name, or a path of names with dots between them.
func checkClaim(name string) error {
	if strings.ContainsAny(name, " \t\"") || (!strings.Contains(name, "://") && strings.Contains("."+name+".", "..")) {
		return fmt.Errorf("%q must be a claim, such as metadata.role or https://example.com/role", name)
	}
	return nil
}

// policyForm is what an access policy looks like.
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
		err = errors.New("there is more after it")
	}
	granted := len(wire.Others)
	for _, permissions := range wire.Roles {
		granted += len(permissions)
	}
	if err == nil && granted == 0 {
		err = errors.New("it permits nobody anything")
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

// databaseKind tells the kind of database and, for SQLite, its path.
func databaseKind(url secret) (kind, path string, err error) {
	scheme, rest, _ := strings.Cut(string(url), ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		return postgresDatabase, "", nil
	case scheme == "sqlite" && strings.HasPrefix(rest, "//"):
		return "", "", errors.New("must be sqlite:PATH, without slashes before the path: sqlite:sessions.db, or sqlite:/var/lib/sessions.db")
	case scheme == "sqlite" && strings.Contains(rest, ":memory:"):
		return "", "", errors.New("must name a file: what is in memory would be lost with the process")
	case scheme == "sqlite" && strings.Contains(rest, "?"):
		return "", "", errors.New("must be sqlite:PATH, without parameters: what follows a ? would be a part of the file's name")
	case scheme == "sqlite" && rest != "":
		return sqliteDatabase, rest, nil
	}
	return "", "", errors.New("must start with postgres:// or be sqlite:PATH")
}

// storeName says for the log where sessions are kept: in PostgreSQL, whose
// address is nobody's business there, or in which file.
func storeName(url secret) string {
	kind, path, _ := databaseKind(url)
	if kind == sqliteDatabase {
		return kind + ":" + path
	}
	return kind
}
