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

// query is the name of the whole query in errors about it.
const query = "query"

// strictQuery refuses a query that does not parse: Go's own reader leaves out
// the parameters that it does not understand, which would sign out a session
// that was to be kept. Parameters that are empty count as absent.
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

// onlyParameters refuses a query with any other parameter than these, for
// requests whose meaning is another without it: a misspelt one may not end what
// it was to spare.
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

// parseID reads the id of a session, which has one spelling: a UUID in lower
// case. What is written otherwise is no session's and gets the answer of an id
// that nobody has, KindNotFound.
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
