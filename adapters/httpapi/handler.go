package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
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
	s.route(e, config)
	return &Handler{Handler: s.boundInFlight(verifyByAnyMethod(e)), EndStreams: stop, DrainStreams: func(within time.Duration) {
		s.drainWithin.Store(int64(within))
		drain()
	}}, nil
}
