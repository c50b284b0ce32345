package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/adapters/keyring"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
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

// isOff names the setting that switches a rule off, if it is.
func (c *config) isOff(rule session.Rule) string {
	never := session.Limit{}
	for _, of := range []struct {
		rule    session.Rule
		setting string
		off     bool
	}{
		{session.RuleNewDevices, "CHATKIT_ANOMALY_NEW_DEVICES", c.rules.NewDevices == never},
		{session.RuleOpens, "CHATKIT_ANOMALY_OPENS", c.rules.Opens == never},
		{session.RuleAddresses, "CHATKIT_ANOMALY_ADDRESSES", c.rules.Addresses == never},
		{session.RuleSupersededToken, "CHATKIT_ANOMALY_SUPERSEDED_AFTER", c.rules.SupersededAfter < 0},
		{session.RuleForeignCode, "CHATKIT_ANOMALY_FOREIGN_CODES", c.rules.ForeignCodes == 0},
	} {
		if of.rule == rule && of.off {
			return of.setting
		}
	}
	return ""
}

func (m *mistakes) positive(name string, d time.Duration) { m.atLeast(name, d, 1) }

// atLeast checks a time against the shortest that makes a difference.
func (m *mistakes) atLeast(name string, d, least time.Duration) {
	switch {
	case d >= least:
	case least == 1:
		m.add(name, errors.New("must be longer than nothing"))
	default:
		m.add(name, fmt.Errorf("must be at least %s", least))
	}
}

// offOrAtLeast is atLeast where 0 is for never.
func (m *mistakes) offOrAtLeast(name string, d, least time.Duration) {
	if d != 0 && d < least {
		m.add(name, fmt.Errorf("must be 0s, or at least %s", least))
	}
}

func (m *mistakes) notNegative(name string, d time.Duration) {
	if d < 0 {
		m.add(name, errors.New("must not be negative"))
	}
}

// idle checks an idle timeout against how exactly use is noted, and, where it is
// given, against the life that a session has without it.
func (m *mistakes) idle(c *config, name string, timeout time.Duration, durationName string, duration time.Duration) {
	// A use is written with the first flush after the resolution.
	least := max(2*c.ActivityResolution, c.ActivityResolution+2*flushInterval)
	switch {
	case timeout > 0 && timeout < least:
		m.add(name, fmt.Errorf("must be at least %s, or 0s: use is noted no more exactly (twice CHATKIT_ACTIVITY_RESOLUTION, at least that and %s)", least, 2*flushInterval))
	case timeout >= duration && timeout > 0 && c.given[name]:
		m.add(name, fmt.Errorf("must be shorter than %s (%s), or 0s: a session that nobody uses ends then all the same", durationName, duration))
	}
}

// warnings are about settings that are good, and that an operator may not have
// meant.
func (c *config) warnings() []string {
	var warnings []string
	warn := func(applies bool, format string, about ...any) {
		if applies {
			warnings = append(warnings, fmt.Sprintf(format, about...))
		}
	}
	warn(c.WorkflowID == "", "CHATKIT_WORKFLOW_ID is not set: every request will be answered with a configuration error")
	for _, prefix := range c.trustedProxies {
		warn(prefix.IsValid() && prefix.Bits() == 0, "TRUSTED_PROXIES has %s, which is everybody: clients can pretend to have any address", prefix)
	}
	warn(strings.HasPrefix(string(c.ClerkSecretKey), "sk_live_") && strings.HasSuffix(c.issuer, ".clerk.accounts.dev"),
		"CLERK_SECRET_KEY is of a production instance, and CLERK_ISSUER of a development one: roles are looked up among other users")
	for _, text := range c.AllowedOrigins {
		warn(!c.isParty(text), "ALLOWED_ORIGINS has %s, and CLERK_AUTHORIZED_PARTIES has not: those who signed in there are refused", text)
	}
	sqlite := strings.HasPrefix(string(c.DatabaseURL), sqliteDatabase+":")
	for _, idle := range []struct {
		name, without string
		applies       bool
	}{
		{"DATABASE_PREPARED_STATEMENTS", "PostgreSQL", sqlite},
		{"DATABASE_MAX_CONNECTIONS", "PostgreSQL", sqlite},
		{"REDIS_TIMEOUT", "REDIS_URL", c.RedisURL == ""},
		{"CLERK_API_URL", "CLERK_SECRET_KEY", c.ClerkSecretKey == ""},
	} {
		warn(idle.applies && c.given[idle.name], "%s has no effect without %s", idle.name, idle.without)
	}
	most := c.RateLimitOpens + int(int64(c.RateLimitOpens)*int64(c.rules.Opens.Within)/int64(time.Minute))
	warn(c.RateLimitOpens > 0 && c.rules.Opens.Most >= most && c.given["CHATKIT_ANOMALY_OPENS"],
		"CHATKIT_ANOMALY_OPENS is never passed: CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE lets a user open %d times within %s at most", most, c.rules.Opens.Within)
	return warnings
}

// fallback is the warning that nobody said where sessions are kept.
func (c *config) fallback() []string {
	if c.given[databaseURL] {
		return nil
	}
	_, path, _ := databaseKind(c.DatabaseURL)
	return []string{"DATABASE_URL is not set: sessions are kept in SQLite, in the file " + path + ", which serves one replica"}
}

const databaseURL = "DATABASE_URL"

// isParty reports whether credentials that were issued to an allowed origin are
// accepted.
func (c *config) isParty(allowed string) bool {
	origin, err := httpapi.Origin(allowed)
	return len(c.parties) == 0 || (err == nil && slices.Contains(c.parties, origin))
}
