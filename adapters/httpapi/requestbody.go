package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 16 << 10

// slowBodyAfter is how long a request counts as in flight while its body is
// still arriving. Most bodies arrive with the headers; a slow client may take
// as long as the connection's read timeout.
const slowBodyAfter = 100 * time.Millisecond

// body is the field name of errors about the whole body.
const body = "body"

// readJSON decodes the body into wire. An empty body leaves wire unchanged.
// Unknown fields are ignored; a null field is treated as absent.
func readJSON(c echo.Context, wire any) error {
	raw, err := readBody(c)
	if err != nil || len(raw) == 0 {
		return err
	}
	if err := json.Unmarshal(raw, wire); err != nil {
		return malformed(err)
	}
	return nil
}

// bom is the UTF-8 byte order mark, which some editors and libraries write.
// Readers may skip it (RFC 8259, 8.1).
var bom = []byte("\ufeff")

// readBody returns the body without surrounding white space and without a byte
// order mark. It refuses compressed bodies and repeated Content-Type headers.
func readBody(c echo.Context) ([]byte, error) {
	if err := requireSingle(c.Request(), echo.HeaderContentType); err != nil {
		return nil, err
	}
	if isEncoded(c.Request()) {
		c.Response().Header().Set(echo.HeaderAcceptEncoding, identityEncoding) // RFC 9110, 12.5.3
		return nil, errEncoded
	}
	ctx := c.Request().Context()
	slow := time.AfterFunc(slowBodyAfter, func() { ports.ReleaseInFlight(ctx) })
	defer slow.Stop()
	raw, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, errBodyTooLarge
	}
	if err != nil {
		return nil, &session.Error{Kind: session.KindInvalid, Field: body, Problem: "could not be read completely", Cause: err}
	}
	return bytes.TrimSpace(bytes.TrimPrefix(raw, bom)), nil
}

const identityEncoding = "identity"

// isEncoded reports whether the request has a body with a content encoding.
func isEncoded(r *http.Request) bool {
	for _, encoding := range r.Header.Values(echo.HeaderContentEncoding) {
		if encoding != "" && !strings.EqualFold(encoding, identityEncoding) {
			return r.ContentLength != 0
		}
	}
	return false
}

// malformed converts a decoding error to an error that names the field.
func malformed(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		field := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
		if field == "" {
			return session.Invalid(body, "must be a JSON object")
		}
		return session.Invalid(field, "has the wrong type")
	}
	return session.Invalid(body, "must be valid JSON in UTF-8, without duplicate names")
}
