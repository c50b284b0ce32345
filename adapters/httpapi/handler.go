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

	origins           origins
	proxies           *proxies
	introspectionKeys introspectionKeys
	transferURL       string
	reverification    *api.ClerkError
	logger            *slog.Logger
	refusals          *refusalLog
	// draining is done when streams start to end one by one, stopping when all
	// of them must end.
	draining, stopping context.Context //nolint:containedctx // the service's own life
	// drainWithin is the duration of draining, in nanoseconds.
	drainWithin atomic.Int64
}

var _ api.ServerInterface = (*server)(nil)

// Handler serves the HTTP API.
type Handler struct {
	http.Handler

	// DrainStreams ends the open event streams at random times within the
	// given duration, so that clients do not all reconnect at once. It may be
	// called once.
	DrainStreams func(within time.Duration)
	// EndStreams ends all remaining event streams at once, so that a shutdown
	// does not wait for them. Streams that start later end immediately.
	EndStreams func()
}

// New returns the handler of the service. Its error has one line for each
// invalid origin and one for an invalid TransferURL.
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
		introspectionKeys: newIntrospectionKeys(config.IntrospectionKeys), transferURL: config.TransferURL,
		reverification: reverification(config.StepUpWithin), logger: config.Logger,
		refusals: newRefusalLog(config.Logger, config.TurnedAway),
	}
	var drain, stop context.CancelFunc
	s.draining, drain = context.WithCancel(context.Background())
	s.stopping, stop = context.WithCancel(context.Background()) //nolint:gosec // EndStreams ends it
	e := echo.New()
	e.HTTPErrorHandler = s.answerError
	e.JSONSerializer = unescapedJSON{}
	e.IPExtractor = s.clientAddress
	s.route(e, config)
	return &Handler{Handler: s.limitInFlight(verifyByAnyMethod(e)), EndStreams: stop, DrainStreams: func(within time.Duration) {
		s.drainWithin.Store(int64(within))
		drain()
	}}, nil
}
