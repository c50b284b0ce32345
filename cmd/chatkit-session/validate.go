package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"chatkit-session/adapters/clerk"
	"chatkit-session/adapters/httpapi"
	"chatkit-session/adapters/keyring"
	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/redis"
	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// config is the validated settings, converted to the types of the core.
type config struct {
	settings

	// given holds the names of the settings that the environment sets.
	given map[string]bool

	logLevel       slog.Level
	keys           *keyring.Ring
	workflow       session.WorkflowID
	defaultRole    access.Role
	denied         []session.ActorKind
	accessPolicy   access.Policy
	policy         session.Policy
	rules          session.AnomalyRules
	limits         map[ports.LimitGroup]session.Limit
	trustedProxies []netip.Prefix
	parties        []string // authorized parties, as browsers write origins
	issuer, apiURL string
	streams        lifecycle.WatchLimits
	startPage      bool // whether / answers a page for developers; only dev sets it
	// leaseTrust is how long the lease in force counts as known after it was
	// read; 0 means the default.
	leaseTrust time.Duration
}

// parseSettings reads and validates the settings. Its error has one line for each
// mistake and shows no secret. The warnings do not prevent a start.
func parseSettings(environ []string) (config, []string, error) {
	given, wrong := readEnviron(environ)
	c := config{given: given.names(), streams: lifecycle.DefaultWatchLimits()}
	wrong.parse(&c.settings, given.values)
	wrong.checkTimes(&c)
	wrong.check(&c)
	return c, append(given.warnings(), c.warnings()...), wrong.err()
}

// databaseSettings reads and validates only the settings of migrate and cleanup.
// Its warnings are about variables that look like one of these, misspelled.
func databaseSettings(environ []string) (config, []string, error) {
	var kept, others []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if isDatabaseSetting(strings.TrimSuffix(name, fileSuffix)) {
			kept = append(kept, pair)
		} else {
			others = append(others, name)
		}
	}
	given, wrong := readEnviron(kept)
	c := config{given: given.names()}
	wrong.parse(&c.settings, given.values)
	wrong.positive(endedRetention, c.Retention)
	wrong.positive(activityRetention, c.ActivityRetention)
	wrong.signIns(c)
	wrong.checkDatabase(&c)
	var warnings []string
	for _, name := range append(given.others, others...) {
		if meant := given.meant(name); isDatabaseSetting(strings.TrimSuffix(meant, fileSuffix)) {
			warnings = append(warnings, name+" has no effect: did you mean "+meant+"?")
		}
	}
	return c, append(warnings, c.fallback()...), wrong.err()
}

func isDatabaseSetting(name string) bool {
	return strings.HasPrefix(name, "DATABASE_") || name == endedRetention || name == activityRetention || name == signInRetention
}

// mistakes collects the errors in the settings, one line each.
type mistakes struct {
	lines []error
	about map[string]bool
	// files holds the path of each setting that was read from a file, by name.
	files map[string]string
}

// add records an error in a setting. Further errors in the same setting are
// ignored: they follow from the first.
func (m *mistakes) add(name string, err error) {
	if err == nil || m.about[name] {
		return
	}
	if m.about == nil {
		m.about = map[string]bool{}
	}
	m.about[name] = true
	if path, inFile := m.files[name]; inFile {
		name = fmt.Sprintf("%s%s (%s)", name, fileSuffix, path)
	}
	for line := range strings.Lines(err.Error()) {
		m.lines = append(m.lines, fmt.Errorf("%s: %s", name, strings.TrimSpace(line)))
	}
}

// each checks every element of a list and records the errors.
func (m *mistakes) each(name string, list []string, check func(string) error) {
	var wrong []error
	for _, element := range list {
		wrong = append(wrong, check(element))
	}
	m.add(name, errors.Join(wrong...))
}

func (m *mistakes) err() error {
	if len(m.lines) == 0 {
		return nil
	}
	return fmt.Errorf("invalid settings:\n%w", errors.Join(m.lines...))
}

// parse fills s from variables and records the values that do not parse.
func (m *mistakes) parse(s *settings, variables map[string]string) {
	err := env.ParseWithOptions(s, env.Options{Environment: variables})
	var all env.AggregateError
	if !errors.As(err, &all) {
		m.add("settings", err)
	}
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			m.add("settings", err)
			continue
		}
		field, _ := reflect.TypeFor[settings]().FieldByName(parse.Name)
		m.add(field.Tag.Get("env"), fmt.Errorf("must be %s", wanted[field.Type.Kind()]))
	}
}

// wanted describes the values of each kind of setting.
var wanted = map[reflect.Kind]string{
	reflect.Bool:  "true or false",
	reflect.Int:   "a whole number",
	reflect.Int64: "a duration such as 90s, 15m or 24h",
}

// says replaces an error by a text for operators. A nil error stays nil.
func says(err error, text string) error {
	if err == nil {
		return nil
	}
	return errors.New(text)
}

// check validates c's settings, except for durations, and converts them.
func (m *mistakes) check(c *config) {
	var err error
	m.add("LISTEN_ADDR", checkAddress(c.ListenAddr))
	if c.MetricsAddr != "" {
		m.add("METRICS_ADDR", checkAddress(c.MetricsAddr))
	}
	m.add("LOG_LEVEL", says(c.logLevel.UnmarshalText([]byte(c.LogLevel)), "must be debug, info, warn or error"))
	if len(c.TokenKeys) == 0 {
		m.add("CHATKIT_TOKEN_KEYS", errors.New("is required: make one with chatkit-session keygen"))
	} else {
		c.keys, err = keyring.Parse(strings.Join(reveal(c.TokenKeys), ","))
		m.add("CHATKIT_TOKEN_KEYS", err)
	}
	if c.WorkflowID != "" {
		c.workflow, err = session.ParseWorkflowID(c.WorkflowID)
		m.add("CHATKIT_WORKFLOW_ID", err)
	}
	if c.DefaultRole != "" {
		c.defaultRole, err = access.ParseRole(c.DefaultRole)
		m.add("CHATKIT_DEFAULT_ROLE", err)
	}
	m.each("CHATKIT_DENY_ACTORS", c.DenyActors, func(text string) error {
		kind, err := session.ParseActorKind(text)
		c.denied = append(c.denied, kind)
		return says(err, fmt.Sprintf("%q must be impersonator or agent", text))
	})
	c.accessPolicy, err = parseAccessPolicy(c.AccessPolicy)
	m.add("CHATKIT_ACCESS_POLICY", err)
	m.add("ALLOWED_ORIGINS", httpapi.CheckOrigins(c.AllowedOrigins))
	m.each("TRUSTED_PROXIES", c.TrustedProxies, func(text string) error {
		prefix, err := parsePrefix(text)
		c.trustedProxies = append(c.trustedProxies, prefix)
		return err
	})
	m.add("INTROSPECTION_KEYS", checkIntrospectionKeys(reveal(c.IntrospectionKeys)))
	m.each("CHATKIT_ROLE_CLAIMS", c.RoleClaims, checkClaim)
	if c.TransferURL != "" {
		m.add("CHATKIT_TRANSFER_URL", httpapi.CheckTransferURL(c.TransferURL))
	}
	m.checkAnomalies(c)
	m.checkLimits(c)
	m.checkCache(c)
	m.checkClerk(c)
	m.checkDatabase(c)
}

// checkTimes validates the durations and builds the session policy.
func (m *mistakes) checkTimes(c *config) {
	c.policy = session.Policy{
		Usual:         session.Terms{Duration: c.Duration, LongestLife: c.LongestLife, IdleTimeout: c.IdleTimeout},
		Remembered:    session.Terms{Duration: c.RememberDuration, LongestLife: c.RememberLongestLife, IdleTimeout: c.RememberIdleTimeout},
		ActorDuration: c.ActorDuration,
		Threshold:     c.Threshold, Grace: c.Grace, Warning: c.WarningWindow, OfferLifetime: c.TransferLifetime, MostSessions: c.MaxSessions,
	}
	m.atLeast("CHATKIT_SESSION_DURATION", c.Duration, time.Second)
	m.atLeast("CHATKIT_REMEMBER_DURATION", c.RememberDuration, time.Second)
	m.atLeast("CHATKIT_TRANSFER_CODE_LIFETIME", c.TransferLifetime, time.Second)
	m.offOrAtLeast("CHATKIT_WARNING_WINDOW", c.WarningWindow, time.Second)
	if !m.aboutAny("CHATKIT_SESSION_DURATION", "CHATKIT_REFRESH_THRESHOLD", "CHATKIT_LONGEST_LIFE", "CHATKIT_ROTATION_GRACE", "CHATKIT_IDLE_TIMEOUT",
		"CHATKIT_REMEMBER_DURATION", "CHATKIT_REMEMBER_LONGEST_LIFE", "CHATKIT_REMEMBER_IDLE_TIMEOUT",
		"CHATKIT_WARNING_WINDOW", "CHATKIT_TRANSFER_CODE_LIFETIME", "CHATKIT_MAX_SESSIONS", "CHATKIT_ACTOR_DURATION") {
		if err := c.policy.Validate(); err != nil {
			m.add("session times", errors.New(inSettings.Replace(err.Error())))
		}
	}
	m.atLeast("CHATKIT_ACTIVITY_RESOLUTION", c.ActivityResolution, flushInterval)
	m.idle(c, "CHATKIT_IDLE_TIMEOUT", c.IdleTimeout, "CHATKIT_SESSION_DURATION", c.Duration)
	m.idle(c, "CHATKIT_REMEMBER_IDLE_TIMEOUT", c.RememberIdleTimeout, "CHATKIT_REMEMBER_DURATION", c.RememberDuration)
	m.positive(endedRetention, c.Retention)
	m.positive(activityRetention, c.ActivityRetention)
	m.signIns(*c)
	m.atLeast("CHATKIT_REQUEST_TIMEOUT", c.RequestTimeout, 100*time.Millisecond)
	m.atLeast("CHATKIT_KEEP_ALIVE_TIMEOUT", c.KeepAlive, time.Second)
	m.positive("CHATKIT_SHUTDOWN_TIMEOUT", c.ShutdownTimeout)
	m.offOrAtLeast("CHATKIT_CLEANUP_INTERVAL", c.CleanupInterval, 10*time.Millisecond)
	m.notNegative("CHATKIT_STEP_UP_WITHIN", c.StepUpWithin)
	m.notNegative("CHATKIT_DRAIN_DELAY", c.DrainDelay)
	if c.StepUpWithin%time.Minute != 0 {
		m.add("CHATKIT_STEP_UP_WITHIN", errors.New("must be whole minutes, the unit of the verification ages in Clerk's tokens"))
	}
}

// inSettings replaces the policy's terms by the names of the settings.
var inSettings = strings.NewReplacer(
	"the refresh threshold", "CHATKIT_REFRESH_THRESHOLD", "the rotation grace", "CHATKIT_ROTATION_GRACE",
	"the duration of actors' sessions", "CHATKIT_ACTOR_DURATION", // must precede the shorter terms
	"the remembered duration", "CHATKIT_REMEMBER_DURATION", "the duration", "CHATKIT_SESSION_DURATION",
	"the remembered longest life", "CHATKIT_REMEMBER_LONGEST_LIFE", "the longest life", "CHATKIT_LONGEST_LIFE",
	"the remembered idle timeout", "CHATKIT_REMEMBER_IDLE_TIMEOUT", "the idle timeout", "CHATKIT_IDLE_TIMEOUT",
	"the warning window", "CHATKIT_WARNING_WINDOW", "the lifetime of transfer codes", "CHATKIT_TRANSFER_CODE_LIFETIME",
	"the session limit of a user", "CHATKIT_MAX_SESSIONS",
)

// aboutAny reports whether any of these settings has a mistake.
func (m *mistakes) aboutAny(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return m.about[name] })
}

// idle checks that an idle timeout is longer than last activity is imprecise and,
// if it is set, shorter than the session's lifetime.
func (m *mistakes) idle(c *config, name string, timeout time.Duration, durationName string, duration time.Duration) {
	// Last activity is written by the first flush after the resolution.
	least := max(2*c.ActivityResolution, c.ActivityResolution+2*flushInterval)
	switch {
	case timeout > 0 && timeout < least:
		m.add(name, fmt.Errorf("must be at least %s, or 0s: that is twice CHATKIT_ACTIVITY_RESOLUTION, or CHATKIT_ACTIVITY_RESOLUTION plus %s if longer, because last activity is stored no more precisely", least, 2*flushInterval))
	case timeout >= duration && timeout > 0 && c.given[name]:
		m.add(name, fmt.Errorf("must be shorter than %s (%s), or 0s: the session expires then anyway", durationName, duration))
	}
}

// signIns checks that a sign-in is stored at least as long as its sessions can
// live.
func (m *mistakes) signIns(c config) {
	m.positive(signInRetention, c.SignInRetention)
	if longest := max(c.LongestLife, c.RememberLongestLife); c.SignInRetention > 0 && c.SignInRetention < longest {
		m.add(signInRetention, fmt.Errorf("must not be shorter than the longest life of a session, %s", longest))
	}
}

// checkAnomalies validates the anomaly rules.
func (m *mistakes) checkAnomalies(c *config) {
	c.rules = session.AnomalyRules{
		SupersededAfter: c.AnomalySuperseded, ForeignCodes: c.AnomalyForeignCodes, Actions: map[session.Rule]session.Action{},
	}
	for _, limit := range []struct {
		name, text string
		to         *session.Limit
	}{
		{"CHATKIT_ANOMALY_NEW_DEVICES", c.AnomalyNewDevices, &c.rules.NewDevices},
		{"CHATKIT_ANOMALY_OPENS", c.AnomalyOpens, &c.rules.Opens},
		{"CHATKIT_ANOMALY_ADDRESSES", c.AnomalyAddresses, &c.rules.Addresses},
	} {
		var err error
		*limit.to, err = session.ParseLimit(limit.text)
		m.add(limit.name, says(err, fmt.Sprintf("%q must be a number and a time such as 10/10m, or off", limit.text)))
		if *limit.to != (session.Limit{}) && limit.to.Within < time.Second {
			m.add(limit.name, errors.New("must have a time of at least 1s"))
		}
	}
	if c.AnomalyForeignCodes < 0 {
		m.add("CHATKIT_ANOMALY_FOREIGN_CODES", errors.New("must not be negative"))
	}
	m.each("CHATKIT_ANOMALY_REVOKE", c.AnomalyRevoke, func(name string) error {
		if !slices.Contains(session.Rules(), session.Rule(name)) {
			return fmt.Errorf("%q must be one of %v", name, session.Rules())
		}
		if off := c.isOff(session.Rule(name)); off != "" {
			return fmt.Errorf("%q has no effect while %s is off: turn it on, or remove the rule from this list", name, off)
		}
		c.rules.Actions[session.Rule(name)] = session.ActionRevoke
		return nil
	})
}

// isOff returns the name of the setting that turns a rule off. It is empty if
// the rule is on.
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

// mostInFlight bounds CHATKIT_MAX_IN_FLIGHT: more would be no limit at all.
const mostInFlight = 100_000

// mostPerMinute bounds rate limits: the time between two requests must not
// round to zero.
const mostPerMinute = 1_000_000

// checkLimits validates rate limits, Redis and the load limit.
func (m *mistakes) checkLimits(c *config) {
	if c.RedisURL != "" {
		m.add("REDIS_URL", redis.CheckURL(string(c.RedisURL)))
	}
	m.atLeast("REDIS_TIMEOUT", c.RedisTimeout, time.Millisecond)
	if c.MaxInFlight < 1 || c.MaxInFlight > mostInFlight {
		m.add("CHATKIT_MAX_IN_FLIGHT", fmt.Errorf("must be 1 to %d", mostInFlight))
	}
	c.limits = map[ports.LimitGroup]session.Limit{}
	for _, limit := range []struct {
		name   string
		most   int
		groups []ports.LimitGroup
	}{
		{"OPENS", c.RateLimitOpens, []ports.LimitGroup{ports.LimitOpens}},
		{"READS", c.RateLimitReads, []ports.LimitGroup{ports.LimitReads}},
		{"CHANGES", c.RateLimitChanges, []ports.LimitGroup{ports.LimitChanges}},
		{"ADMIN", c.RateLimitAdmin, []ports.LimitGroup{ports.LimitAdmin}},
		{"FAILURES", c.RateLimitFailures, []ports.LimitGroup{ports.LimitFailuresOfAddress}},
	} {
		if limit.most < 0 || limit.most > mostPerMinute {
			m.add("CHATKIT_RATE_LIMIT_"+limit.name+"_PER_MINUTE", fmt.Errorf("must be 0 to %d", mostPerMinute))
		} else if limit.most > 0 {
			for _, group := range limit.groups {
				c.limits[group] = session.Limit{Most: limit.most, Within: time.Minute}
			}
		}
	}
}

// mostRemembered bounds the caches of Clerk tokens and of sessions. An entry takes
// about a kilobyte.
const mostRemembered = 1_000_000

// longestLease bounds how long ending a session takes. It is not longer than
// flushInterval: activity that a flush has written would be written again while a
// cached copy still has the older value.
const longestLease = flushInterval

// checkCache validates the cache of sessions.
func (m *mistakes) checkCache(c *config) {
	if c.CacheLease < 0 || (c.CacheLease > 0 && c.CacheLease < time.Millisecond) || c.CacheLease > longestLease || 2*c.CacheLease > c.RequestTimeout {
		m.add("CHATKIT_CACHE_LEASE", fmt.Errorf("must be 0s, or 1ms to %s, and at most half of CHATKIT_REQUEST_TIMEOUT", longestLease))
	}
	if c.CacheSessions < 0 || c.CacheSessions > mostRemembered {
		m.add("CHATKIT_CACHE_SESSIONS", fmt.Errorf("must be 0 to %d", mostRemembered))
	}
	if c.CacheSessions > 0 && c.CacheLease == 0 {
		m.add("CHATKIT_CACHE_SESSIONS", errors.New("requires CHATKIT_CACHE_LEASE"))
	}
}

// checkClerk validates the settings of Clerk.
func (m *mistakes) checkClerk(c *config) {
	if c.ClerkSecretKey == "" && c.ClerkJWTKey == "" {
		m.add("CLERK_JWT_KEY", errors.New("it or CLERK_SECRET_KEY is required"))
	}
	if c.ClerkJWTKey != "" {
		m.add("CLERK_JWT_KEY", clerk.CheckJWTKey(string(c.ClerkJWTKey)))
	}
	if c.ClerkSecretKey != "" {
		m.add("CLERK_SECRET_KEY", clerk.CheckSecretKey(string(c.ClerkSecretKey)))
	}
	var err error
	if c.ClerkIssuer != "" {
		c.issuer, err = parseURL(c.ClerkIssuer)
		m.add("CLERK_ISSUER", err)
	}
	c.apiURL, err = parseURL(c.ClerkAPIURL)
	m.add("CLERK_API_URL", err)
	if c.ClerkRemember < 0 || c.ClerkRemember > mostRemembered {
		m.add("CLERK_REMEMBERED_TOKENS", fmt.Errorf("must be 0 to %d", mostRemembered))
	}
	m.each("CLERK_AUTHORIZED_PARTIES", c.ClerkParties, func(party string) error {
		origin, err := httpapi.Origin(party)
		c.parties = append(c.parties, origin)
		return err
	})
}

func (m *mistakes) checkDatabase(c *config) {
	kind, _, err := databaseKind(c.DatabaseURL)
	if kind == postgresDatabase {
		err = postgres.Check(string(c.DatabaseURL))
	}
	m.add("DATABASE_URL", err)
	if c.DatabaseDirectURL != "" {
		m.add("DATABASE_DIRECT_URL", postgres.Check(string(c.DatabaseDirectURL)))
		if kind == sqliteDatabase {
			m.add("DATABASE_DIRECT_URL", errors.New("has no effect with SQLite: set DATABASE_URL to a PostgreSQL database, or remove this setting"))
		}
	}
	if c.DatabaseMaxConnections < 2 {
		m.add("DATABASE_MAX_CONNECTIONS", errors.New("must be at least 2"))
	}
}

func (m *mistakes) positive(name string, d time.Duration) { m.atLeast(name, d, 1) }

// atLeast checks that a duration is at least least.
func (m *mistakes) atLeast(name string, d, least time.Duration) {
	switch {
	case d >= least:
	case least == 1:
		m.add(name, errors.New("must be more than 0s"))
	default:
		m.add(name, fmt.Errorf("must be at least %s", least))
	}
}

// offOrAtLeast is atLeast for a duration that 0 disables.
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
