package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"chatkit-session/adapters/httpapi"
)

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

// unsaid are warnings about settings that are not given, and that dev does
// without.
func (c *config) unsaid() []string {
	warnings := c.fallback()
	if len(c.ClerkParties) == 0 {
		warnings = append(warnings, "CLERK_AUTHORIZED_PARTIES is not set: credentials that were issued to any page of the Clerk instance are accepted")
	}
	if c.RateLimitFailures > 0 && len(c.trustedProxies) == 0 {
		warnings = append(warnings, "TRUSTED_PROXIES is not set: behind a proxy all clients count as one for CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE")
	}
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

// isParty reports whether credentials that were issued to an allowed origin are
// accepted.
func (c *config) isParty(allowed string) bool {
	origin, err := httpapi.Origin(allowed)
	return len(c.parties) == 0 || (err == nil && slices.Contains(c.parties, origin))
}
