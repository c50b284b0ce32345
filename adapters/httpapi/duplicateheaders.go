package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// singleCredential refuses a request that says twice who asks.
func singleCredential(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		for _, name := range []string{echo.HeaderAuthorization, echo.HeaderOrigin} {
			if err := once(c.Request(), name); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// once refuses a header that came more than once: proxies and servers would
// disagree on which one counts.
func once(r *http.Request, name string) error {
	if len(r.Header.Values(name)) <= 1 {
		return nil
	}
	return &refusal{
		status: http.StatusBadRequest, title: "Bad Request",
		message: "The header " + name + " must be sent only once", code: "duplicate_header", field: name,
	}
}
