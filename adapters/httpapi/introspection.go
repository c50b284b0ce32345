package httpapi

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// IntrospectToken returns the session of a token to a back end (RFC 7662).
func (s *server) IntrospectToken(c echo.Context) error {
	noStore(c)
	key, _ := bearer(c.Request())
	if err := s.introspectionKeys.check(key); err != nil {
		return s.countFailure(c, key, s.source(c), err)
	}
	token, source, err := readIntrospection(c)
	if err != nil {
		return err
	}
	checked, err := s.check(c, token, source, source)
	if errors.Is(err, session.KindNotFound) {
		if err := s.countFailure(c, token, source, nil); err != nil {
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

func introspection(checked ports.Checked) api.Introspection {
	found := checked.Session
	created, expires := found.CreatedAt().Unix(), found.ExpiresAt().Unix()
	user, id, device, workflow := found.User().String(), found.ID().String(), found.Device().String(), found.Workflow().String()
	return api.Introspection{
		Active: true, Sub: &user, Sid: &id, DeviceId: &device, WorkflowId: &workflow, Iat: &created, Exp: &expires,
		Act: actorToWire(found.Actor()), Warning: warning(checked.Expiring),
	}
}
