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
	"chatkit-session/ports"
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

// IntrospectToken tells a back end what a token stands for.
func (s *server) IntrospectToken(c echo.Context) error {
	noStore(c)
	key, _ := bearer(c.Request())
	if err := s.backends.know(key); err != nil {
		return s.failed(c, key, s.source(c), err)
	}
	token, source, err := readIntrospection(c)
	if err != nil {
		return err
	}
	checked, err := s.check(c, token, source, source)
	if errors.Is(err, session.KindNotFound) {
		if err := s.failed(c, token, source, nil); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, api.Introspection{})
	}
	if err != nil {
		return err
	}
	c.Set(userKey, checked.Session.User().String())
	return c.JSON(http.StatusOK, introspection(checked))
}

var (
	errNoBackends = session.Because(session.KindUnauthenticated, reasonNoBackends, errors.New("INTROSPECTION_KEYS is not set"))
	errNoKey      = session.Because(session.KindUnauthenticated, reasonNoKey, errors.New("there is no introspection key"))
	errUnknownKey = session.Because(session.KindUnauthenticated, reasonUnknownKey, errors.New("it is none of INTROSPECTION_KEYS"))
)

func introspection(checked ports.Checked) api.Introspection {
	found := checked.Session
	created, expires := found.CreatedAt().Unix(), found.ExpiresAt().Unix()
	user, id, device, workflow := found.User().String(), found.ID().String(), found.Device().String(), found.Workflow().String()
	return api.Introspection{
		Active: true, Sub: &user, Sid: &id, DeviceId: &device, WorkflowId: &workflow, Iat: &created, Exp: &expires,
		Act: actorToWire(found.Actor()), Warning: warning(checked.Expiring),
	}
}

const formType = "application/x-www-form-urlencoded"

// readIntrospection reads the form's one token, and from where it was used.
func readIntrospection(c echo.Context) (token string, source session.Source, err error) {
	if err := checkQuery(c.Request()); err != nil {
		return "", session.Source{}, err
	}
	form, err := readForm(c)
	if err != nil {
		return "", session.Source{}, err
	}
	if len(form["token"]) != 1 {
		return "", session.Source{}, session.Invalid("token", "must be there, once")
	}
	source, err = readSource(form)
	return form.Get("token"), source, err
}

func readForm(c echo.Context) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil || kind != formType {
		return nil, session.Invalid(echo.HeaderContentType, "must be "+formType)
	}
	raw, err := readBody(c)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, session.Invalid(body, "must be a form, percent-encoded") // without the cause, which may show the token
	}
	return form, nil
}

// readSource reads what the back end says of its own client.
func readSource(form url.Values) (session.Source, error) {
	const addressField, agentField = "client_ip", "user_agent"
	for _, field := range []string{addressField, agentField} {
		if len(form[field]) > 1 {
			return session.Source{}, session.Invalid(field, "must be there once at most")
		}
	}
	address, _ := parseNode(form.Get(addressField)) // what is no address is unknown: the check does not depend on it
	return session.NewSource(address, clientOf(form.Get(agentField))), nil
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

// know returns why the key is none, and takes as long for a wrong key as for any
// right one.
func (b backends) know(key string) error {
	sum, found := sha256.Sum256([]byte(key)), 0
	for _, known := range b {
		found |= subtle.ConstantTimeCompare(sum[:], known[:])
	}
	switch {
	case found == 1:
		return nil
	case len(b) == 0:
		return errNoBackends
	case key == "":
		return errNoKey
	}
	return errUnknownKey
}
