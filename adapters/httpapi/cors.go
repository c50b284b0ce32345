package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// rejectForeignPreflights answers a preflight from an origin that is not
// allowed with an error that names the setting. CORS alone would give the
// developer of the page no hint.
func (s *server) rejectForeignPreflights(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		origin := r.Header.Get(echo.HeaderOrigin)
		preflight := r.Method == http.MethodOptions && origin != "" && r.Header.Get(echo.HeaderAccessControlRequestMethod) != ""
		if !preflight || s.origins.allow(origin) {
			return next(c)
		}
		c.Response().Header().Add(echo.HeaderVary, echo.HeaderOrigin)
		return fmt.Errorf("the page's origin is %q: %w", truncate(origin, maxLoggedOrigin), &protocolError{
			status: http.StatusForbidden, title: "Forbidden",
			message: "The page's origin is not allowed: add it to ALLOWED_ORIGINS", code: codeOrigin, field: echo.HeaderOrigin,
		})
	}
}

// maxLoggedOrigin bounds the logged part of an origin that is not allowed, in
// bytes.
const maxLoggedOrigin = 100

// traceHeaders are the request headers that tracing tools add to a page's
// requests: W3C trace context and baggage, Sentry, Zipkin (B3), Datadog,
// Elastic and New Relic. The service ignores them, but a preflight that does
// not allow them would make the page's request fail.
var traceHeaders = []string{
	"traceparent", "tracestate", "baggage", "sentry-trace",
	"b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags",
	"x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin", "x-datadog-sampling-priority", "x-datadog-tags",
	"elastic-apm-traceparent", "newrelic",
}

// preflightAge is how long a browser may cache a preflight, in seconds.
const preflightAge = 600

// exposedHeaders are the response headers that pages of other origins may
// read.
var exposedHeaders = []string{echo.HeaderXRequestID, echo.HeaderRetryAfter, headerRateLimit, headerRateLimitPolicy}

// setCORSHeaders sets the headers that cors sets on the answer to an actual
// request, for answers that are written before the middleware runs.
func (s *server) setCORSHeaders(header http.Header, r *http.Request) {
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
