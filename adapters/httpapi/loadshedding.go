package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/ports"
)

// The paths of token checks.
const (
	verifyRoute     = "/api/chatkit/session/verify"
	introspectRoute = "/api/chatkit/session/introspect"
)

// workOf returns the kind of work that a request is. It is empty for requests
// that do not count: probes, the documentation, preflights and unknown paths.
func workOf(r *http.Request) ports.Work {
	switch path := r.URL.Path; {
	case path == verifyRoute: // by any method
		return ports.WorkChecks
	case r.Method == http.MethodOptions || !strings.HasPrefix(path, "/api/"):
		return ""
	case path == introspectRoute:
		return ports.WorkChecks
	}
	return ports.WorkUsers
}

// limitInFlight bounds the requests in flight and sheds the rest. It runs
// before the router and all middleware, so that shedding a request costs
// little more than reading its headers. Under heavy overload most requests are
// shed, and every cost of shedding reduces the capacity for the requests that
// are served.
func (s *server) limitInFlight(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		work := workOf(r)
		if work == "" {
			next.ServeHTTP(w, r)
			return
		}
		// A client that closes its sending side still waits for the answer.
		leave, err := s.Admission.Enter(context.WithoutCancel(r.Context()), work)
		if err != nil {
			s.shed(w, r, err)
			return
		}
		defer leave()
		next.ServeHTTP(w, r.WithContext(ports.WithRelease(r.Context(), leave)))
	})
}

// shed answers a request that exceeds the capacity, with all headers that the
// middleware would have set.
func (s *server) shed(w http.ResponseWriter, r *http.Request, err error) {
	p, header := explain(err), w.Header()
	id := requestIDOf(r)
	s.setSecurityHeaders(header, r)
	s.setCORSHeaders(header, r)
	if s.Readiness.Draining() {
		header.Set(echo.HeaderConnection, "close")
	}
	header.Set(echo.HeaderXRequestID, id)
	header.Set(echo.HeaderRetryAfter, retryAfter)
	header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(api.Error{Error: p.title, Message: p.message, Code: p.code, RequestId: id}) // it fails when the client is gone
	s.logger.LogAttrs(r.Context(), slog.LevelDebug, "request refused", slog.String("requestId", id), slog.String("code", p.code))
}

// releaseWhenAnswered ends a request's place in flight when its answer begins:
// the time that the client takes to read the answer is not work of the
// replica.
func releaseWhenAnswered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		c.Response().Before(func() { ports.ReleaseInFlight(ctx) })
		return next(c)
	}
}
