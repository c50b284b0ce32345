// Package httpapi answers HTTP: routes, wire types, and the one place where an
// error becomes an answer. It is the only package that knows Echo.
package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5emb"

	"chatkit-session/api"
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

// Where probes ask.
const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

// server implements the generated routes.
type server struct {
	Core

	origins        origins
	proxies        *proxies
	backends       backends
	transferURL    string
	reverification *api.ClerkError
	logger         *slog.Logger
	refusals       *refusals
	// draining ends when streams are to end one after the other, stopping when
	// all are to.
	draining, stopping context.Context //nolint:containedctx // the service's own life
	// drainWithin is what draining takes, in nanoseconds.
	drainWithin atomic.Int64
}

var _ api.ServerInterface = (*server)(nil)

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

// Handler answers requests.
type Handler struct {
	http.Handler

	// DrainStreams ends the answers that would go on for an hour, evenly within
	// this time, so that their clients do not all come back at once. It may be
	// called once.
	DrainStreams func(within time.Duration)
	// EndStreams ends those that are left, for a shutdown that waits for answers
	// in flight; what is asked for later ends at once.
	EndStreams func()
}

// New returns the service's handler. Its error has a line for each origin that
// is none, and one for a TransferURL that is none.
func New(config Config, core Core) (*Handler, error) {
	allowed, err := parseOrigins(config.AllowedOrigins)
	if err := errors.Join(err, CheckTransferURL(config.TransferURL)); err != nil {
		return nil, err
	}
	if config.RequestTimeout == 0 {
		config.RequestTimeout = DefaultRequestTimeout
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{
		Core: core, origins: allowed, proxies: newProxies(config.TrustedProxies, config.Logger),
		backends: newBackends(config.IntrospectionKeys), transferURL: config.TransferURL,
		reverification: reverification(config.StepUpWithin), logger: config.Logger,
		refusals: newRefusals(config.Logger, config.TurnedAway),
	}
	var drain, stop context.CancelFunc
	s.draining, drain = context.WithCancel(context.Background())
	s.stopping, stop = context.WithCancel(context.Background()) //nolint:gosec // EndStreams ends it
	e := echo.New()
	e.HTTPErrorHandler = s.answerError
	e.JSONSerializer = asMeasured{}
	e.IPExtractor = s.clientAddress
	e.Pre(requestID, s.sendElsewhere, s.accessLog)
	e.Use(s.securityHeaders, recovered, s.refuseForeignPreflights, s.cors(), leaveWhenAnswered, singleCredential, deadline(config.RequestTimeout))
	api.RegisterHandlersWithOptions(e, s, api.RegisterHandlersOptions{OperationMiddlewares: s.admissions()})
	e.HEAD(healthPath, s.Health)
	e.HEAD(readyPath, s.Ready)
	e.GET("/openapi.yaml", spec)
	if !config.NoDocs {
		docs := echo.WrapHandler(v5emb.New("chatkit-session", "/openapi.yaml", "/docs"))
		e.GET("/docs", docs, docsHeaders)
		e.GET("/docs/*", docs, docsHeaders)
	}
	if config.StartPage {
		e.GET("/", showStartPage, docsHeaders)
	}
	return &Handler{Handler: s.boundInFlight(verifyByAnyMethod(e)), EndStreams: stop, DrainStreams: func(within time.Duration) {
		s.drainWithin.Store(int64(within))
		drain()
	}}, nil
}

// The bounds of a connection: slow clients do not hold one for longer.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeSlack        = 10 * time.Second // for the answer, after the request's timeout
	maxHeaderBytes    = 32 << 10
)

// DefaultKeepAlive is for how long a connection is kept that has nothing to do:
// longer than load balancers keep theirs, Google's for ten minutes. The one that
// closes first must be the other side: it may be sending a request just then.
const DefaultKeepAlive = 620 * time.Second

// NewServer returns a server of handler that gives slow clients and large
// headers up. requestTimeout is the handler's; keepAlive is for how long a
// connection may wait for its next request, 0 for DefaultKeepAlive.
func NewServer(handler http.Handler, requestTimeout, keepAlive time.Duration, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      requestTimeout + writeSlack,
		IdleTimeout:       cmp.Or(keepAlive, DefaultKeepAlive),
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

func spec(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", api.Spec)
}

// secure reports whether the client came over TLS: ours, or that of a proxy
// that is trusted to say so.
func (s *server) secure(r *http.Request) bool {
	return r.TLS != nil || s.proxies.overTLS(r)
}
