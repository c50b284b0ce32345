package main

import (
	"fmt"
	"log/slog"
	"reflect"
	"time"
)

// settings are the environment variables that configure the service. NAME_FILE
// may be set instead of NAME, to the path of a file that holds the value.
//
// The tag group starts a new group, form says what a value looks like where the
// type does not, and help says what the setting does. docs/settings.md and
// serve --help are made of them.
type settings struct {
	ListenAddr  string `group:"Listening and logging" env:"LISTEN_ADDR" envDefault:":8080" form:"HOST:PORT" help:"Address that the service listens on."`
	MetricsAddr string `env:"METRICS_ADDR" form:"HOST:PORT" help:"Address that serves metrics for Prometheus at /metrics, without authentication. If unset, metrics are not served."`
	LogLevel    string `env:"LOG_LEVEL" envDefault:"info" form:"debug, info, warn or error" help:"Lowest level that is logged."`
	Docs        bool   `env:"CHATKIT_DOCS" envDefault:"true" help:"Serves the API documentation at /docs. The OpenAPI description is always served at /openapi.yaml."`

	DatabaseURL            secret `group:"Database" env:"DATABASE_URL" envDefault:"sqlite:chatkit-session.db" form:"postgres://… or sqlite:PATH" help:"Database that stores the sessions. Required if REDIS_URL is set."`
	DatabaseDirectURL      secret `env:"DATABASE_DIRECT_URL" form:"postgres://…" help:"Connection to PostgreSQL that bypasses any pooler, for LISTEN and for migrations, which need the owner of the schema. If unset, DATABASE_URL is used."`
	DatabasePrepared       bool   `env:"DATABASE_PREPARED_STATEMENTS" envDefault:"true" help:"Uses prepared statements. Set it to false behind a pooler in transaction mode, such as pgbouncer."`
	DatabaseMaxConnections int    `env:"DATABASE_MAX_CONNECTIONS" envDefault:"32" help:"Maximum number of connections that a replica opens to PostgreSQL."`

	RedisURL     secret        `group:"Redis" env:"REDIS_URL" form:"redis://… or rediss://…" help:"Redis that the replicas share for rate limits, anomaly counters and change notifications: redis://host:6379, rediss://user:password@host:6379/0, redis://one:6379,two:6379 for a cluster, or redis://one:26379,two:26379/0?master=NAME for Sentinel. If unset, each replica counts for itself."`
	RedisTimeout time.Duration `env:"REDIS_TIMEOUT" envDefault:"50ms" help:"How long to wait for a reply from Redis before checking that it is alive. After five times this long without a reply, the replica counts for itself until Redis is back."`

	WorkflowID        string   `group:"Sessions and tokens" env:"CHATKIT_WORKFLOW_ID" help:"Name of the ChatKit workflow or assistant that the sessions are for, returned as workflowId. If unset, every open gets a configuration error."`
	TokenKeys         []secret `env:"CHATKIT_TOKEN_KEYS" help:"Keys that encrypt stored tokens, made by chatkit-session keygen. The first key encrypts; all keys decrypt. Required."`
	IntrospectionKeys []secret `env:"INTROSPECTION_KEYS" help:"Keys of the back ends that may introspect tokens, made by chatkit-session keygen. If unset, introspection is refused."`

	ClerkSecretKey secret   `group:"Clerk" env:"CLERK_SECRET_KEY" help:"Secret key of the Clerk instance, used to fetch its public keys and the users' roles. This or CLERK_JWT_KEY is required."`
	ClerkJWTKey    secret   `env:"CLERK_JWT_KEY" form:"PEM" help:"Public key of the Clerk instance. With it, tokens are verified without network access."`
	ClerkIssuer    string   `env:"CLERK_ISSUER" form:"URL" help:"Issuer (iss) that tokens must have, such as https://clerk.example.com. If unset, any issuer is accepted; setting it is recommended."`
	ClerkParties   []string `env:"CLERK_AUTHORIZED_PARTIES" help:"Origins that a token may have been issued to (azp). If unset, any origin is accepted."`
	ClerkAudience  []string `env:"CLERK_AUDIENCE" help:"Audiences (aud) that a token may have. A token without an audience is accepted as well. If unset, any audience is accepted."`
	ClerkAPIURL    string   `env:"CLERK_API_URL" envDefault:"https://api.clerk.com/v1" form:"URL" help:"Address of Clerk's Backend API."`
	ClerkRemember  int      `env:"CLERK_REMEMBERED_TOKENS" envDefault:"10000" help:"Number of verified Clerk tokens that a replica caches, so that it does not verify their signature again. An entry lasts one minute and never outlives its token. 0 disables the cache."`

	RoleClaims     []string      `group:"Access" env:"CHATKIT_ROLE_CLAIMS" envDefault:"metadata.role,public_metadata.role,role" help:"Claims that may name the user's role, such as metadata.role or https://example.com/role. The first one that is present counts."`
	DefaultRole    string        `env:"CHATKIT_DEFAULT_ROLE" help:"Role of users who have no other role. If unset, such users are refused."`
	AccessPolicy   string        `env:"CHATKIT_ACCESS_POLICY" form:"JSON" help:"Replaces the access policy: {\"roles\":{\"admin\":[\"read_own\",…]},\"others\":[…]}."`
	DenyActors     []string      `env:"CHATKIT_DENY_ACTORS" form:"list of impersonator, agent" help:"Kinds of actors that are refused: impersonator (an admin of the Clerk instance who acts as the user), agent (a browser that an AI controls)."`
	StepUpWithin   time.Duration `env:"CHATKIT_STEP_UP_WITHIN" envDefault:"0s" help:"How recently a user must have verified a factor, such as 10m, to sign out other sign-ins, to create or redeem a transfer code, to take over a device in use, to end another sign-in's session by the session limit, or to sign out users as an admin. 0s disables step-up."`
	AllowedOrigins []string      `env:"ALLOWED_ORIGINS" help:"Origins of the pages and apps that may call the API from a browser, such as https://app.example.com, capacitor://localhost, https://*.example.com for all subdomains, or https://shop-*-team.vercel.app for previews."`
	TrustedProxies []string      `env:"TRUSTED_PROXIES" form:"list of IP addresses or networks" help:"Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto headers are trusted."`

	Duration            time.Duration `group:"Session lifetime" env:"CHATKIT_SESSION_DURATION" envDefault:"24h" help:"Lifetime of a session from when it is created or refreshed."`
	Threshold           time.Duration `env:"CHATKIT_REFRESH_THRESHOLD" envDefault:"1h" help:"Remaining lifetime at or below which opening a session refreshes it."`
	LongestLife         time.Duration `env:"CHATKIT_LONGEST_LIFE" envDefault:"720h" help:"Maximum lifetime of a session, including all refreshes."`
	Grace               time.Duration `env:"CHATKIT_ROTATION_GRACE" envDefault:"30s" help:"How long the previous token stays valid after a refresh."`
	IdleTimeout         time.Duration `env:"CHATKIT_IDLE_TIMEOUT" envDefault:"0s" help:"How long a session may go unused before it ends. 0s disables the idle timeout."`
	RememberDuration    time.Duration `env:"CHATKIT_REMEMBER_DURATION" envDefault:"720h" help:"CHATKIT_SESSION_DURATION of remembered sessions."`
	RememberLongestLife time.Duration `env:"CHATKIT_REMEMBER_LONGEST_LIFE" envDefault:"2160h" help:"CHATKIT_LONGEST_LIFE of remembered sessions."`
	RememberIdleTimeout time.Duration `env:"CHATKIT_REMEMBER_IDLE_TIMEOUT" envDefault:"168h" help:"CHATKIT_IDLE_TIMEOUT of remembered sessions."`
	ActorDuration       time.Duration `env:"CHATKIT_ACTOR_DURATION" envDefault:"1h" help:"Lifetime of a session that an impersonator or an agent opened. It is not refreshed."`
	WarningWindow       time.Duration `env:"CHATKIT_WARNING_WINDOW" envDefault:"5m" help:"Remaining lifetime at or below which the service warns that a session will expire. 0s disables the warning."`
	MaxSessions         int           `env:"CHATKIT_MAX_SESSIONS" envDefault:"10" help:"Maximum number of active sessions of a user. Opening one more ends the first of these that exists: a session unused for a day, the least recently used session of the same sign-in, the least recently used session of another sign-in. 0 disables the limit."`
	TransferLifetime    time.Duration `env:"CHATKIT_TRANSFER_CODE_LIFETIME" envDefault:"2m" help:"How long a code that transfers a session to another device is valid."`
	TransferURL         string        `env:"CHATKIT_TRANSFER_URL" form:"URL" help:"Page that a transfer link opens. If unset, links open the root of the origin of the page that requested the code, or of the service."`

	AnomalyNewDevices   string        `group:"Anomalies" env:"CHATKIT_ANOMALY_NEW_DEVICES" envDefault:"10/10m" form:"NUMBER/DURATION or off" help:"An anomaly is recorded if a user has more than this number of new devices within this duration."`
	AnomalyOpens        string        `env:"CHATKIT_ANOMALY_OPENS" envDefault:"120/1m" form:"NUMBER/DURATION or off" help:"An anomaly is recorded if a sign-in opens sessions more than this number of times within a fixed window of this duration. With REDIS_URL it is counted across all replicas."`
	AnomalyAddresses    string        `env:"CHATKIT_ANOMALY_ADDRESSES" envDefault:"5/5m" form:"NUMBER/DURATION or off" help:"An anomaly is recorded if one session's token is checked from more than this number of networks within a fixed window of this duration. With REDIS_URL it is counted across all replicas."`
	AnomalySuperseded   time.Duration `env:"CHATKIT_ANOMALY_SUPERSEDED_AFTER" envDefault:"0s" help:"How long after the rotation grace the use of a previous token is still tolerated before it is an anomaly. A negative duration disables the rule."`
	AnomalyForeignCodes int           `env:"CHATKIT_ANOMALY_FOREIGN_CODES" envDefault:"1" help:"Number of attempts by other users to claim one transfer code at which an anomaly is recorded. 0 disables the rule."`
	AnomalyRevoke       []string      `env:"CHATKIT_ANOMALY_REVOKE" form:"list of rules" help:"Rules whose anomalies revoke sessions instead of only being recorded: new_devices, opens, superseded_token, addresses, foreign_code, contested_device."`

	RateLimitOpens    int           `group:"Rate limits and load" env:"CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE" envDefault:"10" help:"How often a sign-in may open sessions per minute: a token bucket that holds this many and refills evenly. 0 disables the limit."`
	RateLimitReads    int           `env:"CHATKIT_RATE_LIMIT_READS_PER_MINUTE" envDefault:"120" help:"How often a sign-in may read sessions and activity, or open an event stream, per minute: a token bucket that holds this many and refills evenly. 0 disables the limit."`
	RateLimitChanges  int           `env:"CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE" envDefault:"60" help:"How often a sign-in may sign out or transfer sessions per minute: a token bucket that holds this many and refills evenly. 0 disables the limit."`
	RateLimitAdmin    int           `env:"CHATKIT_RATE_LIMIT_ADMIN_PER_MINUTE" envDefault:"300" help:"How often an admin's sign-in may read or end other users' sessions per minute: a token bucket that holds this many and refills evenly. 0 disables the limit."`
	RateLimitFailures int           `env:"CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE" envDefault:"300" help:"How many token checks from one client network may fail per minute: a token bucket that holds this many and refills evenly. Further failed checks get 429, and all checks from that network run in two slots that all such networks share; a check that gets no slot within half a second to a second gets 503. 0 disables the limit."`
	MaxInFlight       int           `env:"CHATKIT_MAX_IN_FLIGHT" envDefault:"64" help:"Number of user requests that a replica handles at once; the same number applies separately to token checks. Up to eight times as many queue, as long as they can be expected to wait for at most 200 ms; any more get 503 at once. An event stream counts only while it is being set up."`
	CacheLease        time.Duration `env:"CHATKIT_CACHE_LEASE" envDefault:"0s" help:"How long, at most 5s, a replica may check tokens against its cached copy of a session. Ending a session takes up to 1.1 times this longer, so that its token is refused on every replica once the call returns. All replicas must have the same value; a replica with another value does not use its cache and logs a warning."`
	CacheSessions     int           `env:"CHATKIT_CACHE_SESSIONS" envDefault:"0" help:"Number of sessions that a replica caches for CHATKIT_CACHE_LEASE. 0 disables the cache."`
	RequestTimeout    time.Duration `env:"CHATKIT_REQUEST_TIMEOUT" envDefault:"10s" help:"How long a request may take before it gets an error."`
	KeepAlive         time.Duration `env:"CHATKIT_KEEP_ALIVE_TIMEOUT" envDefault:"620s" help:"How long an idle connection is kept open. It must exceed the idle timeout of the load balancer or proxy in front, which is 600s for Google's."`

	ActivityResolution time.Duration `group:"Retention, clean-up and shutdown" env:"CHATKIT_ACTIVITY_RESOLUTION" envDefault:"1m" help:"Precision of a session's last activity: it is written at most once in this time."`
	Retention          time.Duration `env:"CHATKIT_ENDED_RETENTION" envDefault:"720h" help:"How long ended sessions are kept."`
	ActivityRetention  time.Duration `env:"CHATKIT_ACTIVITY_RETENTION" envDefault:"2160h" help:"How long activity records are kept."`
	SignInRetention    time.Duration `env:"CHATKIT_SIGN_IN_RETENTION" envDefault:"9600h" help:"How long a signed-out sign-in stays blocked. It must not be shorter than the longest life of a Clerk session: a sign-in that is no longer stored can open sessions again."`
	CleanupInterval    time.Duration `env:"CHATKIT_CLEANUP_INTERVAL" envDefault:"1m" help:"How often the service ends expired sessions and deletes old records in the background. 0s disables it; then run chatkit-session cleanup. It can run beside serve, too."`
	DrainDelay         time.Duration `env:"CHATKIT_DRAIN_DELAY" envDefault:"0s" help:"How long /readyz reports that the service is not ready before it stops accepting connections at shutdown, so that load balancers notice."`
	ShutdownTimeout    time.Duration `env:"CHATKIT_SHUTDOWN_TIMEOUT" envDefault:"20s" help:"How long requests in flight may take to finish at shutdown."`
}

// secret is a setting that is masked when it is printed, logged or encoded.
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

// fileSuffix turns a setting's name into the variable that names a file with the
// setting's value.
const fileSuffix = "_FILE"

// ownPrefix starts the names of variables that belong to this service alone.
const ownPrefix = "CHATKIT_"

const databaseURL = "DATABASE_URL"

// The settings of cleanup.
const (
	endedRetention    = "CHATKIT_ENDED_RETENTION"
	activityRetention = "CHATKIT_ACTIVITY_RETENTION"
	signInRetention   = "CHATKIT_SIGN_IN_RETENTION"
)

// setting describes a setting for its readers: the parser, the help text and
// docs/settings.md.
type setting struct {
	group, name, fallback, form, help string
	// list reports whether the value has several entries.
	list bool
}

// allSettings lists the settings in the order of the struct.
func allSettings() []setting {
	fields := reflect.VisibleFields(reflect.TypeFor[settings]())
	list := make([]setting, 0, len(fields))
	group := ""
	for _, field := range fields {
		if started := field.Tag.Get("group"); started != "" {
			group = started
		}
		form := field.Tag.Get("form")
		if form == "" {
			form = formOf(field.Type)
		}
		list = append(list, setting{
			group: group, name: field.Tag.Get("env"), fallback: field.Tag.Get("envDefault"), form: form, help: field.Tag.Get("help"),
			list: field.Type.Kind() == reflect.Slice,
		})
	}
	return list
}

// formOf describes the values of a type.
func formOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "number"
	case reflect.Int64:
		return "duration"
	case reflect.Slice:
		return "list"
	default:
		return "text"
	}
}
