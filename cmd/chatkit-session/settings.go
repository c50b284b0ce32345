package main

import (
	"fmt"
	"log/slog"
	"reflect"
	"time"
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

// fileSuffix makes of a setting's name that of the variable that may name a file
// with its value instead.
const fileSuffix = "_FILE"

// ownPrefix is what no other program's variables begin with.
const ownPrefix = "CHATKIT_"

const databaseURL = "DATABASE_URL"

// The settings of the clean-up.
const (
	endedRetention    = "CHATKIT_ENDED_RETENTION"
	activityRetention = "CHATKIT_ACTIVITY_RETENTION"
	signInRetention   = "CHATKIT_SIGN_IN_RETENTION"
)

// setting describes one of them, for the help text and the README's table.
type setting struct {
	name, fallback, help string
	// list says that it has several entries.
	list bool
}

// allSettings lists the settings in the order of the struct.
func allSettings() []setting {
	fields := reflect.VisibleFields(reflect.TypeFor[settings]())
	list := make([]setting, 0, len(fields))
	for _, field := range fields {
		list = append(list, setting{field.Tag.Get("env"), field.Tag.Get("envDefault"), field.Tag.Get("help"), field.Type.Kind() == reflect.Slice})
	}
	return list
}
