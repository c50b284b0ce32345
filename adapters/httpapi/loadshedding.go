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

// The routes of checks, as Echo knows them.
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

// boundInFlight bounds the requests that are worked on at a time. It runs before
// the router and all middleware, so that refusing a request costs little more
// than reading its header: at five times what a replica can serve, most of what
// arrives is refused, and what that costs is taken from the requests that are
// served.
func (s *server) boundInFlight(next http.Handler) http.Handler {
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

// shed answers a request that the replica has no capacity for, with all headers
// that the middleware would have set.
func (s *server) shed(w http.ResponseWriter, r *http.Request, err error) {
	p, header := explain(err), w.Header()
	id := requestIDOf(r)
	s.setSecurityHeaders(header, r)
	s.letPagesRead(header, r)
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

// leaveWhenAnswered takes a request out of the work in flight when its answer
// begins: how fast the client reads the answer is not the replica's work.
func leaveWhenAnswered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		c.Response().Before(func() { ports.ReleaseInFlight(ctx) })
		return next(c)
	}
}
