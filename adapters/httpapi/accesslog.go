package httpapi

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// The context keys under which handlers leave attributes for the access log.
const (
	userKey    = "user"
	outcomeKey = "outcome"
	codeKey    = "code"
)

// maxLoggedValue bounds a logged value that comes from the client, in bytes.
// An address has at most 45, a method about 10.
const maxLoggedValue = 64

// accessLog logs one line for each request, without headers, query and body,
// which may contain secrets. Successful probes are logged at level debug,
// because they come every few seconds.
func (s *server) accessLog(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		response := c.Response()
		level := slog.LevelInfo
		if (isProbe(c.Path()) && response.Status == http.StatusOK) || c.Get(codeKey) == overloadedCode {
			level = slog.LevelDebug
		}
		if !s.logger.Enabled(c.Request().Context(), level) {
			return nil
		}
		left := [...]string{userKey, outcomeKey, codeKey}
		attributes := make([]slog.Attr, 0, 7+len(left))
		attributes = append(attributes,
			slog.String("requestId", response.Header().Get(echo.HeaderXRequestID)),
			slog.String("method", truncate(methodOf(c.Request()), maxLoggedValue)),
			slog.String("route", c.Path()),
			slog.Int("status", response.Status),
			slog.Int64("bytes", response.Size),
			slog.Float64("milliseconds", float64(time.Since(began).Microseconds())/1000),
			slog.String("client", truncate(c.RealIP(), maxLoggedValue)),
		)
		for _, key := range left {
			if value, _ := c.Get(key).(string); value != "" {
				attributes = append(attributes, slog.String(key, value))
			}
		}
		s.logger.LogAttrs(c.Request().Context(), level, "request", attributes...)
		return nil
	}
}

// methodOf returns the method that the client sent, even if
// verifyByAnyMethod replaced it.
func methodOf(r *http.Request) string {
	if method, changed := r.Context().Value(methodKey{}).(string); changed {
		return method
	}
	return r.Method
}
