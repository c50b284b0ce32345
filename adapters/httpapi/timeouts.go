package httpapi

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

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

// unboundedKey is where deadline leaves the request's own context.
const unboundedKey = "unbounded"

// deadline bounds how long the handler may take, and by nothing else: a client
// that has said all it has to say may close its side of the connection (RFC
// 9112, 9.6) and wait for the answer, and net/http takes that for its going
// away. What comes after it, such as the error's answer, sees the request
// without its bound, and so does what a handler does by unbounded.
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

// unbounded is the request's context without its deadline, for an answer that
// goes on after it has begun in time: it ends with the connection.
func unbounded(c echo.Context) context.Context {
	ctx, _ := c.Get(unboundedKey).(context.Context)
	return ctx
}
