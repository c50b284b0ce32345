package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// singleCredential refuses requests with more than one Authorization or Origin
// header.
func singleCredential(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		for _, name := range []string{echo.HeaderAuthorization, echo.HeaderOrigin} {
			if err := requireSingle(c.Request(), name); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// requireSingle returns an error if the header was sent more than once:
// proxies and servers can disagree on which value counts.
func requireSingle(r *http.Request, name string) error {
	if len(r.Header.Values(name)) <= 1 {
		return nil
	}
	return &protocolError{
		status: http.StatusBadRequest, title: "Bad Request",
		message: "The header " + name + " must be sent only once", code: "duplicate_header", field: name,
	}
}
