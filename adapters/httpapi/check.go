package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"mime"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
)

// The headers that name a session to whatever stands behind a proxy.
const (
	headerUser     = "X-Chatkit-User-Id"
	headerSession  = "X-Chatkit-Session-Id"
	headerDevice   = "X-Chatkit-Device-Id"
	headerWorkflow = "X-Chatkit-Workflow-Id"
)

// VerifySession lets a proxy's request pass when it carries a good token.
func (s *server) VerifySession(c echo.Context) error {
	noStore(c)
	token, _ := bearer(c.Request())
	found, err := s.Checker.Check(c.Request().Context(), token)
	if errors.Is(err, session.KindNotFound) {
		return session.Wrap(session.KindUnauthenticated, err)
	}
	if err != nil {
		return err
	}
	c.Set(userKey, found.User().String())
	header := c.Response().Header()
	header.Set(headerUser, found.User().String())
	header.Set(headerSession, found.ID().String())
	header.Set(headerDevice, found.Device().String())
	header.Set(headerWorkflow, found.Workflow().String())
	return c.NoContent(http.StatusNoContent)
}

// IntrospectToken tells a back end what a token stands for.
func (s *server) IntrospectToken(c echo.Context) error {
	noStore(c)
	if key, _ := bearer(c.Request()); !s.backends.know(key) {
		return session.Wrap(session.KindUnauthenticated, errNotABackend)
	}
	token, err := readToken(c)
	if err != nil {
		return err
	}
	found, err := s.Checker.Check(c.Request().Context(), token)
	if errors.Is(err, session.KindNotFound) {
		return c.JSON(http.StatusOK, api.Introspection{})
	}
	if err != nil {
		return err
	}
	c.Set(userKey, found.User().String())
	return c.JSON(http.StatusOK, introspection(found))
}

var errNotABackend = errors.New("no introspection key")

func introspection(found session.Session) api.Introspection {
	created, expires := found.CreatedAt().Unix(), found.ExpiresAt().Unix()
	user, id, device, workflow := found.User().String(), found.ID().String(), found.Device().String(), found.Workflow().String()
	return api.Introspection{
		Active: true, Sub: &user, Sid: &id, DeviceId: &device, WorkflowId: &workflow, Iat: &created, Exp: &expires,
	}
}

const formType = "application/x-www-form-urlencoded"

// readToken reads the form's one token.
func readToken(c echo.Context) (string, error) {
	if err := once(c.Request(), echo.HeaderContentType); err != nil {
		return "", err
	}
	kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil || kind != formType {
		return "", session.Invalid(echo.HeaderContentType, "must be "+formType)
	}
	raw, err := readBody(c)
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return "", session.Invalid(body, "must be a form") // without the cause, which may show the token
	}
	if len(form["token"]) != 1 {
		return "", session.Invalid("token", "must be there, once")
	}
	return form.Get("token"), nil
}

// backends are who may introspect, by the SHA-256 of their keys: equal lengths
// compare in constant time.
type backends [][sha256.Size]byte

func newBackends(keys []string) backends {
	known := make(backends, 0, len(keys))
	for _, key := range keys {
		known = append(known, sha256.Sum256([]byte(key)))
	}
	return known
}

// know takes as long for a wrong key as for any right one.
func (b backends) know(key string) bool {
	sum, found := sha256.Sum256([]byte(key)), 0
	for _, known := range b {
		found |= subtle.ConstantTimeCompare(sum[:], known[:])
	}
	return found == 1
}
