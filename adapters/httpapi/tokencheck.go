package httpapi

import (
	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// check checks a session token. from is the client that used the token, as far
// as it is known; source is the network that is charged for failures. If too
// many checks from that network failed, its checks share a few slots with
// those of other such networks.
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

// countFailure counts a failed check of a secret against the quota of source,
// and returns KindRateLimited if the quota is exhausted, and otherwise the
// given error. Requests without a secret are not counted: they guess nothing,
// and preflights or signed-out users behind one proxy would use up its quota.
func (s *server) countFailure(c echo.Context, secret string, source session.Source, otherwise error) error {
	if secret == "" {
		return otherwise
	}
	quotas, err := s.Limits.SpendFailure(c.Request().Context(), source)
	setRateLimitHeaders(c, quotas)
	if err != nil {
		return err
	}
	return otherwise
}
