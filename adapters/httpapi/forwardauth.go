package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
)

// The response headers that identify the session to the service behind a
// proxy.
const (
	headerUser     = "X-Chatkit-User-Id"
	headerSession  = "X-Chatkit-Session-Id"
	headerDevice   = "X-Chatkit-Device-Id"
	headerWorkflow = "X-Chatkit-Workflow-Id"
	headerActor    = "X-Chatkit-Actor"
	headerWarning  = "X-Chatkit-Warning"
)

// VerifySession answers a reverse proxy with 204 if the request has a valid
// session token, and with 401 otherwise.
func (s *server) VerifySession(c echo.Context) error {
	noStore(c)
	token, _ := bearer(c.Request())
	asked := s.source(c)
	checked, err := s.check(c, token, s.proxiedSource(c), asked)
	if errors.Is(err, session.KindNotFound) {
		reason := reasonUnknownToken
		if token == "" {
			reason = reasonNoToken
		}
		return s.countFailure(c, token, asked, session.Because(session.KindUnauthenticated, reason, err))
	}
	if err != nil {
		return err
	}
	found := checked.Session
	c.Set(userKey, found.User().String())
	header := c.Response().Header()
	header.Set(headerUser, found.User().String())
	header.Set(headerSession, found.ID().String())
	header.Set(headerDevice, found.Device().String())
	header.Set(headerWorkflow, found.Workflow().String())
	if actor := found.Actor(); !actor.IsZero() {
		header.Set(headerActor, actor.String())
	}
	if warn := warning(checked.Expiring); warn != nil {
		header.Set(headerWarning, string(*warn))
	}
	return c.NoContent(http.StatusNoContent)
}

// verifyByAnyMethod turns every request for the verify path into a GET,
// because proxies use the method of the request that they ask about. It runs
// before the router, so that an OPTIONS request is not treated as a preflight
// here.
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

// proxiedSource returns the source of a request that a trusted proxy forwards.
// It is zero if the request does not come from a trusted proxy: then the peer
// is not the client that used the token.
func (s *server) proxiedSource(c echo.Context) session.Source {
	if !s.proxies.sent(c.Request()) {
		return session.Source{}
	}
	return s.source(c)
}
