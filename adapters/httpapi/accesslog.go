package httpapi

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// What handlers leave for the access log.
const (
	userKey    = "user"
	outcomeKey = "outcome"
	codeKey    = "code"
)

// longestWord is how much of a word that a stranger sent a line has, in bytes:
// an address has 45 at most, a method 10.
const longestWord = 64

// accessLog writes a line for each request: no header, no query and no body,
// which may hold secrets. Probes that succeed are only of interest at level
// debug: they come every few seconds.
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
			slog.String("method", cut(methodOf(c.Request()), longestWord)),
			slog.String("route", c.Path()),
			slog.Int("status", response.Status),
			slog.Int64("bytes", response.Size),
			slog.Float64("milliseconds", float64(time.Since(began).Microseconds())/1000),
			slog.String("client", cut(c.RealIP(), longestWord)),
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

// methodOf is the method that the client sent.
func methodOf(r *http.Request) string {
	if method, changed := r.Context().Value(methodKey{}).(string); changed {
		return method
	}
	return r.Method
}
