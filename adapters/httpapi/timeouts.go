package httpapi

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// The bounds of a connection, which keep slow clients from holding it.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeSlack        = 10 * time.Second // for the answer, after the request's timeout
	maxHeaderBytes    = 32 << 10
)

// DefaultKeepAlive is how long an idle connection is kept open. It is longer
// than the idle timeouts of load balancers (Google's is ten minutes), because
// a server that closes first can lose a request that is being sent.
const DefaultKeepAlive = 620 * time.Second

// NewServer returns a server for handler with bounds on slow clients and large
// headers. requestTimeout is the handler's timeout. keepAlive is how long an
// idle connection is kept open; 0 means DefaultKeepAlive.
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

// unboundedKey is the context key under which deadline stores the request's
// original context.
const unboundedKey = "unbounded"

// deadline bounds how long the handler may take. It ignores that the client
// closed its sending side (RFC 9112, 9.6): such a client can still read the
// answer, but net/http cancels the request's context. Code that runs after the
// handler, such as the error handler, gets the original request without the
// deadline.
func deadline(timeout time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), timeout)
			defer cancel()
			c.Set(unboundedKey, r.Context())
			c.SetRequest(r.WithContext(ctx))
			defer c.SetRequest(r)
			return next(c)
		}
	}
}

// unbounded returns the request's original context, for answers that outlive
// the deadline, such as event streams. It ends with the connection.
func unbounded(c echo.Context) context.Context {
	ctx, _ := c.Get(unboundedKey).(context.Context)
	return ctx
}
