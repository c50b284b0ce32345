package httpapi

import (
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

const maxRequestID = 64

// requestID gives each request an id: the client's own if it is valid,
// otherwise a new one.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, requestIDOf(c.Request()))
		return next(c)
	}
}

// requestIDOf returns the id that the client sent with the request when it is
// valid, and a new one otherwise.
func requestIDOf(r *http.Request) string {
	id := r.Header.Get(echo.HeaderXRequestID)
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, notRequestID) {
		return uuid.NewString()
	}
	return id
}

func notRequestID(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
}
