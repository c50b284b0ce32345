package httpapi

import (
	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// check checks a token that was used from source. Where too many of that
// network's failed, it waits for a turn that it shares with others like it.
func (s *server) check(c echo.Context, token string, from, source session.Source) (checked ports.Checked, err error) {
	ctx := c.Request().Context()
	if !s.Limits.Suspects(source) {
		return s.Checker.Check(ctx, token, from)
	}
	err = s.Admission.Suspected(ctx, func() error {
		checked, err = s.Checker.Check(ctx, token, from)
		return err
	})
	return checked, err
}

// failed counts a check of a secret that failed and returns what to answer:
// otherwise, or that there were too many. A good token never comes here. No
// secret is no guess at one and counts for nobody: preflights have none, nor
// those who are not signed in, and all of them may come through one proxy.
func (s *server) failed(c echo.Context, secret string, source session.Source, otherwise error) error {
	if secret == "" {
		return otherwise
	}
	quotas, err := s.Limits.SpendFailure(c.Request().Context(), source)
	showQuotas(c, quotas)
	if err != nil {
		return err
	}
	return otherwise
}
