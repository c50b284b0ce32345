package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// What handlers leave for the access log.
const (
	userKey    = "user"
	outcomeKey = "outcome"
	codeKey    = "code"
)

// unboundedKey is where deadline leaves the request's own context.
const unboundedKey = "unbounded"

const maxRequestID = 64

// requestID gives the request an id, the client's own when it sent a good one.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, requestIDOf(c.Request()))
		return next(c)
	}
}

// requestIDOf returns the id that the client sent with the request when it is
// valid, and a new one otherwise.
func requestIDOf(r *http.Request) string {
	id := r.Header.Get(echo.HeaderXRequestID)
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, notRequestID) {
		return uuid.NewString()
	}
	return id
}

func notRequestID(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
}

// sendElsewhere ends each connection with the next answer on it once this
// replica is about to stop: balancers of connections leave those that are open
// where they are, and one that is closed unasked loses the request that comes
// at that moment.
func (s *server) sendElsewhere(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.Readiness.Draining() {
			c.Response().Header().Set(echo.HeaderConnection, "close")
		}
		return next(c)
	}
}

// longestWord is how much of a word that a stranger sent a line has, in bytes:
// an address has 45 at most, a method 10.
const longestWord = 64

// accessLog writes a line for each request: no header, no query and no body,
// which may hold secrets. Probes that succeed are only of interest at level
// debug: they come every few seconds.
func (s *server) accessLog(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		response := c.Response()
		level := slog.LevelInfo
		if (isProbe(c.Path()) && response.Status == http.StatusOK) || c.Get(codeKey) == overloadedCode {
			level = slog.LevelDebug
		}
		if !s.logger.Enabled(c.Request().Context(), level) {
			return nil
		}
		left := [...]string{userKey, outcomeKey, codeKey}
		attributes := make([]slog.Attr, 0, 7+len(left))
		attributes = append(attributes,
			slog.String("requestId", response.Header().Get(echo.HeaderXRequestID)),
			slog.String("method", cut(methodOf(c.Request()), longestWord)),
			slog.String("route", c.Path()),
			slog.Int("status", response.Status),
			slog.Int64("bytes", response.Size),
			slog.Float64("milliseconds", float64(time.Since(began).Microseconds())/1000),
			slog.String("client", cut(c.RealIP(), longestWord)),
		)
		for _, key := range left {
			if value, _ := c.Get(key).(string); value != "" {
				attributes = append(attributes, slog.String(key, value))
			}
		}
		s.logger.LogAttrs(c.Request().Context(), level, "request", attributes...)
		return nil
	}
}

func isProbe(route string) bool { return route == healthPath || route == readyPath }

// panicked is the error that a panic becomes.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// recovered turns a panic into an error.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if abort, ok := value.(error); ok && errors.Is(abort, http.ErrAbortHandler) {
				panic(value)
			}
			err = &panicked{value, debug.Stack()}
		}()
		return next(c)
	}
}

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

// securityHeaders sets the headers of the OWASP REST security cheat sheet.
func (s *server) securityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.setSecurityHeaders(c.Response().Header(), c.Request())
		return next(c)
	}
}

func (s *server) setSecurityHeaders(header http.Header, r *http.Request) {
	header.Set(echo.HeaderXContentTypeOptions, "nosniff")
	header.Set(echo.HeaderReferrerPolicy, "no-referrer")
	header.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	if s.secure(r) {
		header.Set(echo.HeaderStrictTransportSecurity, "max-age=31536000")
	}
}

// docsHeaders let the documentation's own scripts and styles run.
func docsHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentSecurityPolicy,
			"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'")
		return next(c)
	}
}

// singleCredential refuses a request that says twice who asks.
func singleCredential(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		for _, name := range []string{echo.HeaderAuthorization, echo.HeaderOrigin} {
			if err := once(c.Request(), name); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// once refuses a header that came more than once: proxies and servers would
// disagree on which one counts.
func once(r *http.Request, name string) error {
	if len(r.Header.Values(name)) <= 1 {
		return nil
	}
	return &refusal{
		status: http.StatusBadRequest, title: "Bad Request",
		message: "Send the header " + name + " once", code: "duplicate_header", field: name,
	}
}

// verifyByAnyMethod lets proxies verify a token with the method of the request
// that they ask about, whatever that is; an OPTIONS, too, is a check here and no
// preflight. It stands before the router, which knows few methods.
func verifyByAnyMethod(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == verifyRoute && r.Method != http.MethodGet {
			r = r.WithContext(context.WithValue(r.Context(), methodKey{}, r.Method))
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

type methodKey struct{}

// methodOf is the method that the client sent.
func methodOf(r *http.Request) string {
	if method, changed := r.Context().Value(methodKey{}).(string); changed {
		return method
	}
	return r.Method
}

// refuseForeignPreflights tells the developer of a page whose origin is not
// allowed what to do, where CORS alone would be silent.
func (s *server) refuseForeignPreflights(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		origin := r.Header.Get(echo.HeaderOrigin)
		preflight := r.Method == http.MethodOptions && origin != "" && r.Header.Get(echo.HeaderAccessControlRequestMethod) != ""
		if !preflight || s.origins.allow(origin) {
			return next(c)
		}
		c.Response().Header().Add(echo.HeaderVary, echo.HeaderOrigin)
		return fmt.Errorf("the page's origin is %q: %w", cut(origin, longestOrigin), &refusal{
			status: http.StatusForbidden, title: "Forbidden",
			message: "This page's origin may not call: add it to ALLOWED_ORIGINS", code: codeOrigin, field: echo.HeaderOrigin,
		})
	}
}

// longestOrigin is how much of a foreign origin the log shows, in bytes.
const longestOrigin = 100

// traceHeaders are what tools that trace a page's requests add to them: those of
// W3C's trace context and baggage, Sentry, Zipkin (B3), Datadog, Elastic and New
// Relic. None is read; a preflight without them would fail the page's request.
var traceHeaders = []string{
	"traceparent", "tracestate", "baggage", "sentry-trace",
	"b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags",
	"x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin", "x-datadog-sampling-priority", "x-datadog-tags",
	"elastic-apm-traceparent", "newrelic",
}

// preflightAge is how long a browser may remember a preflight, in seconds.
const preflightAge = 600

// exposedHeaders are those that a page of another origin may read.
var exposedHeaders = []string{echo.HeaderXRequestID, echo.HeaderRetryAfter, headerRateLimit, headerRateLimitPolicy}

// letPagesRead sets what cors sets on the answer of a request that is no
// preflight, for answers that come before the middleware runs.
func (s *server) letPagesRead(header http.Header, r *http.Request) {
	header.Add(echo.HeaderVary, echo.HeaderOrigin)
	if origin := r.Header.Get(echo.HeaderOrigin); origin != "" && s.origins.allow(origin) {
		header.Set(echo.HeaderAccessControlAllowOrigin, origin)
		header.Set(echo.HeaderAccessControlAllowCredentials, "true")
		header.Set(echo.HeaderAccessControlExposeHeaders, strings.Join(exposedHeaders, ","))
	}
}

func (s *server) cors() echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOriginFunc:  func(origin string) (bool, error) { return s.origins.allow(origin), nil },
		AllowMethods:     []string{http.MethodGet, http.MethodPost, http.MethodDelete},
		AllowHeaders:     append([]string{echo.HeaderAuthorization, echo.HeaderContentType, echo.HeaderXRequestID, "X-ChatKit-Token", "Last-Event-ID"}, traceHeaders...),
		ExposeHeaders:    exposedHeaders,
		AllowCredentials: true,
		MaxAge:           preflightAge,
	})
}
