package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
)

// retryAfter is the default of the header Retry-After, in seconds. A failover
// or a restart takes about as long.
const retryAfter = "2"

// answerError writes the answer for err and logs the cause once.
func (s *server) answerError(err error, c echo.Context) {
	p := explain(err)
	c.Set(codeKey, p.code)
	s.logError(err, p, c)
	if isRefusal(p.status) {
		id := c.Response().Header().Get(echo.HeaderXRequestID)
		s.refusals.add(refusalCauseOf(c.Request(), p, err), example{id, truncate(err.Error(), maxLoggedCause)})
	}
	if c.Response().Committed {
		return
	}
	header := c.Response().Header()
	switch p.status {
	case http.StatusUnauthorized:
		header.Set(echo.HeaderWWWAuthenticate, challenge(s.credentials(c.Request())))
	case http.StatusServiceUnavailable:
		header.Set(echo.HeaderRetryAfter, retryAfter)
	case http.StatusTooManyRequests:
		if header.Get(echo.HeaderRetryAfter) == "" { // no quota set it
			header.Set(echo.HeaderRetryAfter, retryAfter)
		}
	}
	answer := api.Error{Error: p.title, Message: p.message, Code: p.code, RequestId: header.Get(echo.HeaderXRequestID)}
	if p.field != "" {
		answer.Field = &p.field
	}
	if p.verify {
		answer.ClerkError = s.reverification
	}
	var unready *notReady
	if errors.As(err, &unready) {
		_ = c.JSON(p.status, unready.answer(answer)) // it fails when the client is gone
		return
	}
	_ = c.JSON(p.status, answer)
}

// reverification returns the object that makes Clerk's front end verify a
// factor and retry the request
// (https://clerk.com/docs/guides/secure/reverification). Clerk counts in whole
// minutes, so that within is rounded up. 0 minutes could never be satisfied.
func reverification(within time.Duration) *api.ClerkError {
	if within <= 0 {
		within = session.Protection
	}
	return &api.ClerkError{
		Type: api.ClerkErrorTypeForbidden, Reason: api.ReverificationError,
		Metadata: api.ClerkErrorMetadata{Reverification: api.Reverification{
			Level: api.FirstFactor, AfterMinutes: int((within + time.Minute - 1) / time.Minute),
		}},
	}
}

// challenge returns the WWW-Authenticate header (RFC 6750, 3).
func challenge(credentials []string) string {
	if !slices.ContainsFunc(credentials, func(credential string) bool { return credential != "" }) {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

// maxLoggedError bounds the error text of a log line, in bytes. Clients can
// influence the text.
const maxLoggedError = 1000

func (s *server) logError(err error, p problem, c echo.Context) {
	level := slog.LevelDebug
	gone := errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil
	if p.code != overloadedCode && p.status >= http.StatusInternalServerError && !gone {
		level = slog.LevelError
	}
	attributes := []slog.Attr{
		slog.String("requestId", c.Response().Header().Get(echo.HeaderXRequestID)),
		slog.String("code", p.code),
		slog.String("error", truncate(err.Error(), maxLoggedError)),
	}
	var crash *panicked
	if errors.As(err, &crash) {
		attributes = append(attributes, slog.String("stack", string(crash.stack)))
	}
	s.logger.LogAttrs(c.Request().Context(), level, "request failed", attributes...)
}
