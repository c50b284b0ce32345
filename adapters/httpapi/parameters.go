package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
)

// query is the field name of errors about the whole query.
const query = "query"

// strictQuery refuses a query that cannot be parsed and drops empty
// parameters. Go's parser skips malformed parameters, so that a malformed
// "keep" would end the session that was meant to be kept.
func strictQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := checkQuery(c.Request()); err != nil {
			return err
		}
		parameters := c.QueryParams() // those that the generated readers see
		for name, values := range parameters {
			if !slices.ContainsFunc(values, func(value string) bool { return value != "" }) {
				delete(parameters, name)
			}
		}
		return next(c)
	}
}

func checkQuery(r *http.Request) error {
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return session.Invalid(query, "must be percent-encoded, with parameters separated by &") // without the cause, which shows it
	}
	return nil
}

// onlyParameters refuses unknown query parameters, for requests that do more
// without a parameter than with it: a misspelt "keep" must not end that
// session.
func onlyParameters(known ...string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			for name := range c.QueryParams() {
				if !slices.Contains(known, name) {
					return session.Invalid(query, "contains an unknown parameter")
				}
			}
			return next(c)
		}
	}
}

var errForeignID = errors.New("the text is not a session id")

// parseID parses a session id, which has exactly one spelling: a UUID in lower
// case. Any other text gets KindNotFound, like an id that does not exist.
func parseID(text string) (session.ID, error) {
	if parsed, err := uuid.Parse(text); err != nil || parsed.String() != text {
		return session.ID{}, session.Wrap(session.KindNotFound, errForeignID)
	}
	return session.ParseID(text)
}

func valueOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
