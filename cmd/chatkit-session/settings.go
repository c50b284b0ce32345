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

// settings are the environment variables of the service. Any of them may be
// given as NAME_FILE instead: the path of a file that holds the value.
type settings struct {
	ListenAddr  string `env:"LISTEN_ADDR" envDefault:":8080" help:"Address that the service listens on."`
	MetricsAddr string `env:"METRICS_ADDR" help:"Address that metrics for Prometheus are served on, at /metrics, to whoever asks; nowhere when unset."`
	LogLevel    string `env:"LOG_LEVEL" envDefault:"info" help:"Least level that is logged: debug, info, warn or error."`

	DatabaseURL            secret `env:"DATABASE_URL" envDefault:"sqlite:chatkit-session.db" help:"Where sessions are kept: postgres://… or sqlite:PATH."`
	DatabaseDirectURL      secret `env:"DATABASE_DIRECT_URL" help:"PostgreSQL as the owner of the schema and past any pooler, for migrations and to hear of other replicas (LISTEN); DATABASE_URL when unset."`
	DatabasePrepared       bool   `env:"DATABASE_PREPARED_STATEMENTS" envDefault:"true" help:"Whether statements are prepared; false behind a pooler in transaction mode, such as pgbouncer."`
	DatabaseMaxConnections int    `env:"DATABASE_MAX_CONNECTIONS" envDefault:"32" help:"Most connections to PostgreSQL that a replica opens."`

	MaxInFlight int `env:"CHATKIT_MAX_IN_FLIGHT" envDefault:"64" help:"How many requests of users, and as many checks of tokens, a replica works on at a time. Up to eight times as many wait, for less than half a second; more are answered 503 at once. Streams of events do not count."`

	RedisURL     secret        `env:"REDIS_URL" help:"Redis that replicas count rate limits and anomalies in together and hear of each other through, such as redis://host:6379, rediss://user:password@host:6379/0, redis://one:6379,two:6379 for a cluster, or redis://one:26379,two:26379/0?master=NAME for sentinels; each counts for itself when unset."`
	RedisTimeout time.Duration `env:"REDIS_TIMEOUT" envDefault:"50ms" help:"How long Redis may take to answer before it is asked whether it is there; after five times as much without a word each replica counts for itself."`

	WorkflowID string   `env:"CHATKIT_WORKFLOW_ID" help:"Workflow or agent that sessions are for; without it every request is answered with a configuration error."`
	TokenKeys  []secret `env:"CHATKIT_TOKEN_KEYS" help:"Keys that seal tokens, from keygen, separated by commas: the first seals, all of them open. Required."`

	ClerkSecretKey secret   `env:"CLERK_SECRET_KEY" help:"Secret key of the Clerk instance: fetches its public keys and users' roles. This or CLERK_JWT_KEY is required."`
	ClerkJWTKey    secret   `env:"CLERK_JWT_KEY" help:"Public key of the Clerk instance as PEM: verifies without the network."`
	ClerkIssuer    string   `env:"CLERK_ISSUER" help:"The only issuer that is accepted, such as https://clerk.example.com; recommended."`
	ClerkParties   []string `env:"CLERK_AUTHORIZED_PARTIES" help:"Origins of the pages and apps that a credential may have been issued to (azp), separated by commas; any when unset."`
	ClerkAudience  []string `env:"CLERK_AUDIENCE" help:"Audiences (aud) that a credential may be for, separated by commas. A credential without an audience is accepted, too; any audience is when unset."`
	DenyActors     []string `env:"CHATKIT_DENY_ACTORS" help:"Actors that are refused everything, separated by commas: impersonator (an admin of the Clerk instance who acts as the user), agent (a browser that an AI drives)."`
	ClerkAPIURL    string   `env:"CLERK_API_URL" envDefault:"https://api.clerk.com/v1" help:"Clerk's Backend API."`
	ClerkRemember  int      `env:"CLERK_REMEMBERED_TOKENS" envDefault:"10000" help:"How many verified Clerk tokens a replica remembers, each for a minute at most and never past its expiry, instead of checking its signature again; 0 for none."`
	RoleClaims     []string `env:"CHATKIT_ROLE_CLAIMS" envDefault:"metadata.role,public_metadata.role,role" help:"Claims that may name the user's role, separated by commas, such as metadata.role or https://example.com/role; the first that does counts."`
	DefaultRole    string   `env:"CHATKIT_DEFAULT_ROLE" help:"Role of users for whom nothing else names one; without it they are refused."`
	AccessPolicy   string   `env:"CHATKIT_ACCESS_POLICY" help:"JSON that replaces the access policy: {\"roles\":{\"admin\":[\"read_own\",…]},\"others\":[…]}."`
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" help:"Origins of the pages and apps that may call, separated by commas, such as https://app.example.com, capacitor://localhost, https://*.example.com for all hosts below it, or https://shop-*-team.vercel.app for previews."`
	TrustedProxies []string `env:"TRUSTED_PROXIES" help:"Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto count, separated by commas."`

	IntrospectionKeys []secret `env:"INTROSPECTION_KEYS" help:"Secrets of back ends that may introspect tokens, such as keygen makes, separated by commas."`

	Duration    time.Duration `env:"CHATKIT_SESSION_DURATION" envDefault:"24h" help:"How long a session lives after it was created or refreshed."`
	Threshold   time.Duration `env:"CHATKIT_REFRESH_THRESHOLD" envDefault:"1h" help:"How much of its life may be left when a session is refreshed."`
	LongestLife time.Duration `env:"CHATKIT_LONGEST_LIFE" envDefault:"720h" help:"Longest life of one session, refreshes included."`
	Grace       time.Duration `env:"CHATKIT_ROTATION_GRACE" envDefault:"30s" help:"How long a superseded token stays good after a refresh."`

	IdleTimeout time.Duration `env:"CHATKIT_IDLE_TIMEOUT" envDefault:"0s" help:"How long a session lives without being used; 0s for as long as with."`

	RememberDuration    time.Duration `env:"CHATKIT_REMEMBER_DURATION" envDefault:"720h" help:"CHATKIT_SESSION_DURATION of sessions that are remembered."`
	RememberLongestLife time.Duration `env:"CHATKIT_REMEMBER_LONGEST_LIFE" envDefault:"2160h" help:"CHATKIT_LONGEST_LIFE of sessions that are remembered."`
	RememberIdleTimeout time.Duration `env:"CHATKIT_REMEMBER_IDLE_TIMEOUT" envDefault:"168h" help:"CHATKIT_IDLE_TIMEOUT of sessions that are remembered."`

	ActorDuration time.Duration `env:"CHATKIT_ACTOR_DURATION" envDefault:"1h" help:"How long a session lives that an impersonator or an agent opened in a user's name."`

	WarningWindow    time.Duration `env:"CHATKIT_WARNING_WINDOW" envDefault:"5m" help:"How much of its life is left when answers about a session warn of its end; 0s for never."`
	MaxSessions      int           `env:"CHATKIT_MAX_SESSIONS" envDefault:"10" help:"Most active sessions of a user. One more ends one that was not used for a day, or else one of the same sign-in, or else another sign-in's; 0 for any number."`
	TransferLifetime time.Duration `env:"CHATKIT_TRANSFER_CODE_LIFETIME" envDefault:"2m" help:"How long a code that moves a session to another device is good."`
	TransferURL      string        `env:"CHATKIT_TRANSFER_URL" help:"Page that such a code's link leads to; that of the page that asks when unset."`
	StepUpWithin     time.Duration `env:"CHATKIT_STEP_UP_WITHIN" envDefault:"0s" help:"How long ago a user may have verified a factor to sign other devices out, to transfer or to act as an admin, such as 10m; 0s for ever."`

	AnomalyNewDevices   string        `env:"CHATKIT_ANOMALY_NEW_DEVICES" envDefault:"10/10m" help:"How many devices of a user may be new within a time; more are an anomaly; off for never."`
	AnomalyOpens        string        `env:"CHATKIT_ANOMALY_OPENS" envDefault:"120/1m" help:"How often a sign-in may open sessions within a time, counted for all replicas together with REDIS_URL; more is an anomaly; off for never."`
	AnomalyAddresses    string        `env:"CHATKIT_ANOMALY_ADDRESSES" envDefault:"5/5m" help:"From how many networks one session's token may be checked within a time, counted for all replicas together with REDIS_URL; more are an anomaly; off for never."`
	AnomalySuperseded   time.Duration `env:"CHATKIT_ANOMALY_SUPERSEDED_AFTER" envDefault:"0s" help:"How long after its grace the use of a superseded token is still no anomaly; negative for ever."`
	AnomalyForeignCodes int           `env:"CHATKIT_ANOMALY_FOREIGN_CODES" envDefault:"1" help:"How many tries of other users with one transfer code are an anomaly; 0 for none."`
	AnomalyRevoke       []string      `env:"CHATKIT_ANOMALY_REVOKE" help:"Rules whose anomalies end sessions instead of only being recorded, separated by commas: new_devices, opens, superseded_token, addresses, foreign_code, contested_device."`

	RateLimitOpens    int `env:"CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE" envDefault:"10" help:"How often a sign-in may open sessions: so many at once, and evenly as many more in each minute; 0 for any number."`
	RateLimitReads    int `env:"CHATKIT_RATE_LIMIT_READS_PER_MINUTE" envDefault:"120" help:"How often a sign-in may list and show sessions and timelines: so many at once, and evenly as many more in each minute; 0 for any number."`
	RateLimitChanges  int `env:"CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE" envDefault:"60" help:"How often a sign-in may sign sessions out or transfer them: so many at once, and evenly as many more in each minute; 0 for any number."`
	RateLimitAdmin    int `env:"CHATKIT_RATE_LIMIT_ADMIN_PER_MINUTE" envDefault:"300" help:"How often an admin's sign-in may ask about or end others' sessions: so many at once, and evenly as many more in each minute; 0 for any number."`
	RateLimitFailures int `env:"CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE" envDefault:"300" help:"How many checks of tokens may fail for a client's network before the next that fail are answered 429: so many at once, and evenly as many more in each minute. The network's checks then wait for a few turns that such networks share; one that gets none within a second is answered 503; 0 for any number."`

	CacheLease    time.Duration `env:"CHATKIT_CACHE_LEASE" envDefault:"0s" help:"For how long, at most 5s, a replica may go by what it last read of a session when a token is checked. Whatever ends a session takes that much longer, so that a token is refused everywhere once it has said so. A replica that has another than the one in force answers no check so, and says that."`
	CacheSessions int           `env:"CHATKIT_CACHE_SESSIONS" envDefault:"0" help:"How many sessions a replica remembers for CHATKIT_CACHE_LEASE; 0 for none."`

	ActivityResolution time.Duration `env:"CHATKIT_ACTIVITY_RESOLUTION" envDefault:"1m" help:"How exactly a session's last activity is kept: it is written at most once in this time."`

	Retention         time.Duration `env:"CHATKIT_ENDED_RETENTION" envDefault:"720h" help:"How long sessions are kept after they ended."`
	ActivityRetention time.Duration `env:"CHATKIT_ACTIVITY_RETENTION" envDefault:"2160h" help:"How long the record of what happened to sessions is kept."`
	SignInRetention   time.Duration `env:"CHATKIT_SIGN_IN_RETENTION" envDefault:"9600h" help:"How long it is remembered that a sign-in was signed out. No shorter than a Clerk session can live: a sign-in that is forgotten may open sessions again."`
	CleanupInterval   time.Duration `env:"CHATKIT_CLEANUP_INTERVAL" envDefault:"1m" help:"How often sessions whose time is up are ended in the background; 0 for never."`
	RequestTimeout    time.Duration `env:"CHATKIT_REQUEST_TIMEOUT" envDefault:"10s" help:"How long a request may take before it is answered with an error."`
	Docs              bool          `env:"CHATKIT_DOCS" envDefault:"true" help:"Whether the documentation of the API is served at /docs; its description at /openapi.yaml always is."`
	KeepAlive         time.Duration `env:"CHATKIT_KEEP_ALIVE_TIMEOUT" envDefault:"620s" help:"How long a connection may wait for its next request before the service closes it: longer than the load balancers and proxies before it keep theirs, such as Google's for 600s."`
	DrainDelay        time.Duration `env:"CHATKIT_DRAIN_DELAY" envDefault:"0s" help:"How long /readyz says no before the service stops accepting at shutdown, for load balancers to notice."`
	ShutdownTimeout   time.Duration `env:"CHATKIT_SHUTDOWN_TIMEOUT" envDefault:"20s" help:"How long requests in flight may take to finish at shutdown."`
}

// secret is a setting that shows masked, whoever prints, logs or encodes it.
type secret string

// Format prints a mask, or nothing when there is no secret.
func (s secret) Format(f fmt.State, _ rune) { _, _ = f.Write(s.mask()) }

// LogValue is the mask.
func (s secret) LogValue() slog.Value { return slog.StringValue(string(s.mask())) }

// MarshalText is the mask.
func (s secret) MarshalText() ([]byte, error) { return s.mask(), nil } //nolint:unparam // encoding.TextMarshaler's

func (s secret) mask() []byte {
	if s == "" {
		return nil
	}
	return []byte("[secret]")
}

// config is the settings, checked and in the words of the core.
type config struct {
	settings

	// given are the settings that the environment names: what it says of them
	// may be secret.
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
	parties        []string // as browsers write them
	issuer, apiURL string
	streams        lifecycle.WatchLimits
	// leaseTrust is for how long the lease in force is known; 0 for the usual.
	leaseTrust time.Duration
}

// mistakes collects what is wrong with the settings, one line each.
type mistakes struct {
	lines []error
	about map[string]bool
	// files are those that settings were read from, by the setting's name.
	files map[string]string
}

// add notes what err says of a setting. What comes after the first mistake of
// a setting is a consequence of it.
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

// each notes what check says of every element of a list.
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
	return fmt.Errorf("the settings are not good:\n%w", errors.Join(m.lines...))
}

// parseSettings reads the environment. Its error has one line for each
// mistake; no line shows a secret. The warnings are about what does not stop
// the service.
func parseSettings(environ []string) (config, []string, error) {
	given, wrong := readEnviron(environ)
	c := config{given: given.names(), streams: lifecycle.DefaultWatchLimits()}
	wrong.parse(&c.settings, given.values)
	wrong.checkTimes(&c)
	wrong.check(&c)
	return c, append(given.warnings(), c.warnings()...), wrong.err()
}

// The settings of the clean-up.
const (
	endedRetention    = "CHATKIT_ENDED_RETENTION"
	activityRetention = "CHATKIT_ACTIVITY_RETENTION"
	signInRetention   = "CHATKIT_SIGN_IN_RETENTION"
)

// databaseSettings reads only the settings of the commands that look after the
// database. The warnings are about what may have been meant for one of them.
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

// parse fills s from variables.
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

// wanted says what a setting of a kind looks like.
var wanted = map[reflect.Kind]string{
	reflect.Bool:  "true or false",
	reflect.Int:   "a whole number",
	reflect.Int64: "a duration such as 90s, 15m or 24h",
}

// check turns what c's settings say into the core's words.
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

// checkAnomalies checks the settings about anomalies.
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
			return fmt.Errorf("%q has no effect while %s is off: switch it on, or take the rule away here", name, off)
		}
		c.rules.Actions[session.Rule(name)] = session.ActionRevoke
		return nil
	})
}

// mostInFlight bounds CHATKIT_MAX_IN_FLIGHT: beyond it nothing is bounded.
const mostInFlight = 100_000

// mostPerMinute bounds rate limits: beyond it there is no time between two.
const mostPerMinute = 1_000_000

// checkLimits checks the settings about rate limits and what counts them.
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

// mostRemembered bounds how many Clerk tokens and sessions are remembered: they
// take about a kilobyte each.
const mostRemembered = 1_000_000

// longestLease bounds how long whoever ends a session has to wait. What is
// remembered is not older than a flush: it would be written again.
const longestLease = flushInterval

// checkCache checks the settings about remembered sessions.
func (m *mistakes) checkCache(c *config) {
	if c.CacheLease < 0 || (c.CacheLease > 0 && c.CacheLease < time.Millisecond) || c.CacheLease > longestLease || 2*c.CacheLease > c.RequestTimeout {
		m.add("CHATKIT_CACHE_LEASE", fmt.Errorf("must be 0s, or 1ms to %s, and at most half of CHATKIT_REQUEST_TIMEOUT", longestLease))
	}
	if c.CacheSessions < 0 || c.CacheSessions > mostRemembered {
		m.add("CHATKIT_CACHE_SESSIONS", fmt.Errorf("must be 0 to %d", mostRemembered))
	}
	if c.CacheSessions > 0 && c.CacheLease == 0 {
		m.add("CHATKIT_CACHE_SESSIONS", errors.New("needs a CHATKIT_CACHE_LEASE"))
	}
}

// checkClerk checks the settings about Clerk.
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

// says puts an error into an operator's words.
func says(err error, text string) error {
	if err == nil {
		return nil
	}
	return errors.New(text)
}

// checkTimes checks the settings that are durations, and what goes with them.
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
		m.add("CHATKIT_STEP_UP_WITHIN", errors.New("must be whole minutes: Clerk counts in them"))
	}
}

// inSettings puts the policy's words into the operator's.
var inSettings = strings.NewReplacer(
	"the refresh threshold", "CHATKIT_REFRESH_THRESHOLD", "the rotation grace", "CHATKIT_ROTATION_GRACE",
	"the remembered duration", "CHATKIT_REMEMBER_DURATION", "the duration", "CHATKIT_SESSION_DURATION",
	"the remembered longest life", "CHATKIT_REMEMBER_LONGEST_LIFE", "the longest life", "CHATKIT_LONGEST_LIFE",
	"the remembered idle timeout", "CHATKIT_REMEMBER_IDLE_TIMEOUT", "the idle timeout", "CHATKIT_IDLE_TIMEOUT",
	"the warning window", "CHATKIT_WARNING_WINDOW", "the lifetime of transfer codes", "CHATKIT_TRANSFER_CODE_LIFETIME",
	"the most sessions of a user", "CHATKIT_MAX_SESSIONS",
	"the duration of actors' sessions", "CHATKIT_ACTOR_DURATION",
)

// aboutAny reports whether there is a mistake of any of these settings.
func (m *mistakes) aboutAny(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return m.about[name] })
}

// signIns checks how long sign-ins are remembered: the session of a remembered
// sign-in must not outlive it.
func (m *mistakes) signIns(c config) {
	m.positive(signInRetention, c.SignInRetention)
	if longest := max(c.LongestLife, c.RememberLongestLife); c.SignInRetention > 0 && c.SignInRetention < longest {
		m.add(signInRetention, fmt.Errorf("must not be shorter than the longest life of a session, %s", longest))
	}
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
			m.add("DATABASE_DIRECT_URL", errors.New("has no effect on SQLite: set DATABASE_URL to PostgreSQL, too, or take it away"))
		}
	}
	if c.DatabaseMaxConnections < 2 {
		m.add("DATABASE_MAX_CONNECTIONS", errors.New("must be at least 2"))
	}
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
