package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
)

// The headers that name a session to whatever stands behind a proxy.
const (
	headerUser     = "X-Chatkit-User-Id"
	headerSession  = "X-Chatkit-Session-Id"
	headerDevice   = "X-Chatkit-Device-Id"
	headerWorkflow = "X-Chatkit-Workflow-Id"
	headerActor    = "X-Chatkit-Actor"
	headerWarning  = "X-Chatkit-Warning"
)

// VerifySession lets a proxy's request pass when it carries a good token.
func (s *server) VerifySession(c echo.Context) error {
	noStore(c)
	token, _ := bearer(c.Request())
	asked := s.source(c)
	checked, err := s.check(c, token, s.sourceBehind(c), asked)
	if errors.Is(err, session.KindNotFound) {
		reason := reasonUnknownToken
		if token == "" {
			reason = reasonNoToken
		}
		return s.failed(c, token, asked, session.Because(session.KindUnauthenticated, reason, err))
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

// sourceBehind is from where a request came that a trusted proxy asks about;
// zero when anybody else asks, who is not its client.
func (s *server) sourceBehind(c echo.Context) session.Source {
	if !s.proxies.sent(c.Request()) {
		return session.Source{}
	}
	return s.source(c)
}
