package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"chatkit-session/adapters/httpapi"
)

// warnings returns warnings about valid settings that an operator may not have
// intended.
func (c *config) warnings() []string {
	var warnings []string
	warn := func(applies bool, format string, about ...any) {
		if applies {
			warnings = append(warnings, fmt.Sprintf(format, about...))
		}
	}
	warn(c.WorkflowID == "", "CHATKIT_WORKFLOW_ID is not set: every request gets a configuration error")
	for _, prefix := range c.trustedProxies {
		warn(prefix.IsValid() && prefix.Bits() == 0, "TRUSTED_PROXIES contains %s, which matches every client: any client can forge its address", prefix)
	}
	warn(strings.HasPrefix(string(c.ClerkSecretKey), "sk_live_") && strings.HasSuffix(c.issuer, ".clerk.accounts.dev"),
		"CLERK_SECRET_KEY belongs to a production instance and CLERK_ISSUER to a development instance: roles are looked up for the wrong users")
	for _, text := range c.AllowedOrigins {
		warn(!c.isParty(text), "ALLOWED_ORIGINS contains %s but CLERK_AUTHORIZED_PARTIES does not: tokens that are issued there are refused", text)
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
		"CHATKIT_ANOMALY_OPENS is never exceeded: CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE allows a sign-in at most %d opens within %s", most, c.rules.Opens.Within)
	return warnings
}

// unsaid returns warnings about settings that are unset. dev does not need these
// settings and shows no such warnings.
func (c *config) unsaid() []string {
	warnings := c.fallback()
	if len(c.ClerkParties) == 0 {
		warnings = append(warnings, "CLERK_AUTHORIZED_PARTIES is not set: tokens issued to any origin of the Clerk instance are accepted")
	}
	if c.RateLimitFailures > 0 && len(c.trustedProxies) == 0 {
		warnings = append(warnings, "TRUSTED_PROXIES is not set: behind a reverse proxy, all clients share the limit of CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE")
	}
	return warnings
}

// fallback returns a warning if DATABASE_URL is unset.
func (c *config) fallback() []string {
	if c.given[databaseURL] {
		return nil
	}
	_, path, _ := databaseKind(c.DatabaseURL)
	return []string{"DATABASE_URL is not set: sessions are stored in the SQLite file " + path + ", which supports a single replica"}
}

// isParty reports whether tokens that were issued to an allowed origin are
// accepted.
func (c *config) isParty(allowed string) bool {
	origin, err := httpapi.Origin(allowed)
	return len(c.parties) == 0 || (err == nil && slices.Contains(c.parties, origin))
}
