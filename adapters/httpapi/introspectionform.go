package httpapi

import (
	"mime"
	"net/url"

	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
)

const formType = "application/x-www-form-urlencoded"

// readIntrospection reads the token from the form, and the client that used
// it.
func readIntrospection(c echo.Context) (token string, source session.Source, err error) {
	if err := checkQuery(c.Request()); err != nil {
		return "", session.Source{}, err
	}
	form, err := readForm(c)
	if err != nil {
		return "", session.Source{}, err
	}
	if len(form["token"]) != 1 {
		return "", session.Source{}, session.Invalid("token", "must appear exactly once")
	}
	source, err = readSource(form)
	return form.Get("token"), source, err
}

func readForm(c echo.Context) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil || kind != formType {
		return nil, session.Invalid(echo.HeaderContentType, "must be "+formType)
	}
	raw, err := readBody(c)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, session.Invalid(body, "must be a percent-encoded form") // without the cause, which may show the token
	}
	return form, nil
}

// readSource reads the address and the user agent of the back end's client.
func readSource(form url.Values) (session.Source, error) {
	const addressField, agentField = "client_ip", "user_agent"
	for _, field := range []string{addressField, agentField} {
		if len(form[field]) > 1 {
			return session.Source{}, session.Invalid(field, "must not appear more than once")
		}
	}
	address, _ := parseNode(form.Get(addressField)) // an invalid address counts as unknown: the check does not depend on it
	return session.NewSource(address, clientOf(form.Get(agentField))), nil
}
