package httpapi

import (
	"log/slog"
	"net/netip"
	"time"

	"chatkit-session/ports"
)

// Config is the configuration of the handler. All fields are optional.
type Config struct {
	// AllowedOrigins lists the origins of pages and apps that may call the
	// API: an exact origin (https://app.example.com, capacitor://localhost),
	// all subdomains of a host (https://*.example.com), or a pattern within
	// one label (https://shop-*-team.vercel.app).
	AllowedOrigins []string
	// TrustedProxies are the networks of the reverse proxies whose
	// X-Forwarded-For and X-Forwarded-Proto headers are trusted. These headers
	// are ignored when they come from any other address.
	TrustedProxies []netip.Prefix
	// TransferURL is the page that claims transfer codes. Empty means the
	// origin of the page that requested the code.
	TransferURL string
	// StepUpWithin is how recently a caller must have verified a factor for
	// sensitive actions; clients learn it from the error. With 0, only actions
	// against a newer sign-in need a verification, within the last ten
	// minutes.
	StepUpWithin time.Duration
	// IntrospectionKeys are the secrets of the back ends that may introspect
	// tokens. Without keys, introspection is disabled.
	IntrospectionKeys []string
	// NoDocs disables the API reference at /docs.
	NoDocs bool
	// StartPage answers GET / with a page of links for developers. It is off in
	// production, where / is not found.
	StartPage bool
	// RequestTimeout bounds the handling of a request; 0 means
	// DefaultRequestTimeout. A request that exceeds it gets a 503.
	RequestTimeout time.Duration
	// Logger receives one line for each request, and the cause of each error.
	// Nil disables logging.
	Logger *slog.Logger
	// TurnedAway is called for each answer with the status 401, 403 or 429,
	// with its code and, if known, the reason. Both come from a small fixed
	// set, so that they can label a metric. Nil disables the count.
	TurnedAway func(code, reason string)
}

// DefaultRequestTimeout is the default of Config.RequestTimeout.
const DefaultRequestTimeout = 10 * time.Second

// Core holds the use cases that the handler calls. All fields are required.
type Core struct {
	Authorizer    ports.Authorizer
	Opener        ports.Opener
	Transferrer   ports.Transferrer
	Lister        ports.Lister
	Watcher       ports.Watcher
	Checker       ports.Checker
	Revoker       ports.Revoker
	Administrator ports.Administrator
	Readiness     ports.Readiness
	Limits        ports.Limits
	Admission     ports.Admission
}
