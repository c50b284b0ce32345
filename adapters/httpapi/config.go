package httpapi

import (
	"log/slog"
	"net/netip"
	"time"

	"chatkit-session/ports"
)

// Config says how to answer.
type Config struct {
	// AllowedOrigins lists the origins of pages and apps that may call: exact
	// ones (https://app.example.com, capacitor://localhost), all hosts below one
	// (https://*.example.com), or those of which a part of a label varies
	// (https://shop-*-team.vercel.app).
	AllowedOrigins []string
	// TrustedProxies are the proxies whose X-Forwarded-For and
	// X-Forwarded-Proto count; nobody else's do.
	TrustedProxies []netip.Prefix
	// TransferURL is the page that claims transfers; empty means the page that
	// asks for one.
	TransferURL string
	// StepUpWithin is how long ago a caller may have verified a factor to do
	// what is sensitive, as those are told who have not. With 0 only newer
	// sign-ins of the user are protected from the caller's, for ten minutes.
	StepUpWithin time.Duration
	// IntrospectionKeys are the secrets of the back ends that may introspect
	// tokens; with none nobody may.
	IntrospectionKeys []string
	// NoDocs leaves out the documentation at /docs.
	NoDocs bool
	// StartPage answers GET / with a page of links for developers. It is off in
	// production, where / is not found.
	StartPage bool
	// RequestTimeout is how long a request may take before it is answered with
	// an error; 0 means DefaultRequestTimeout.
	RequestTimeout time.Duration
	// Logger gets a line for each request and the cause of each error; nil
	// means nowhere.
	Logger *slog.Logger
	// TurnedAway counts a caller who is turned away, by the answer's code and the
	// reason, if it is known more exactly; both are of a few words. nil means that
	// nobody counts.
	TurnedAway func(code, reason string)
}

// DefaultRequestTimeout is how long a request may take unless its Config says
// otherwise.
const DefaultRequestTimeout = 10 * time.Second

// Core is what the handler asks.
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
