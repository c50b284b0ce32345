package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

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
			message: "The page's origin is not allowed: add it to ALLOWED_ORIGINS", code: codeOrigin, field: echo.HeaderOrigin,
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
