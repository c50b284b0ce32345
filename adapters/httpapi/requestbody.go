package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"chatkit-session/api"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 16 << 10

// bodyPatience is for how long a request counts as work in flight whose body is
// still to come. Most come with their headers; whoever sends one slowly has as
// long as a connection has.
const bodyPatience = 100 * time.Millisecond

// body is the name of the whole body in errors about it.
const body = "body"

// readOpenRequest reads the body, which may be empty.
func readOpenRequest(c echo.Context) (ports.OpenRequest, error) {
	var wire api.OpenRequest
	if err := readJSON(c, &wire); err != nil {
		return ports.OpenRequest{}, err
	}
	request := ports.OpenRequest{Remember: wire.RememberMe}
	var err error
	if wire.DeviceId != nil {
		if request.Device, err = session.ParseDeviceID(*wire.DeviceId); err != nil {
			return ports.OpenRequest{}, err
		}
	}
	request.Metadata, err = parseMetadata(jsontext.Value(wire.Metadata))
	return request, err
}

// readJSON reads the body into wire, which an empty one leaves as it is.
// Unknown fields are ignored; a field that is null counts as absent.
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

// bom is the byte order mark that some editors and libraries write before UTF-8;
// readers may pass over it (RFC 8259, 8.1).
var bom = []byte("\ufeff")

// readBody returns the body without the white space around it and the byte order
// mark before it, unless it says twice what it is, or is compressed.
func readBody(c echo.Context) ([]byte, error) {
	if err := once(c.Request(), echo.HeaderContentType); err != nil {
		return nil, err
	}
	if isEncoded(c.Request()) {
		c.Response().Header().Set(echo.HeaderAcceptEncoding, identityEncoding) // RFC 9110, 12.5.3
		return nil, errEncoded
	}
	ctx := c.Request().Context()
	slow := time.AfterFunc(bodyPatience, func() { ports.Rest(ctx) })
	defer slow.Stop()
	raw, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, errBodyTooLarge
	}
	if err != nil {
		return nil, &session.Error{Kind: session.KindInvalid, Field: body, Problem: "could not be read to its end", Cause: err}
	}
	return bytes.TrimSpace(bytes.TrimPrefix(raw, bom)), nil
}

const identityEncoding = "identity"

// isEncoded reports whether the request has a body that is not sent as it is.
func isEncoded(r *http.Request) bool {
	for _, encoding := range r.Header.Values(echo.HeaderContentEncoding) {
		if encoding != "" && !strings.EqualFold(encoding, identityEncoding) {
			return r.ContentLength != 0
		}
	}
	return false
}

// malformed tells where JSON is not what it should be.
func malformed(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		field := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
		if field == "" {
			return session.Invalid(body, "must be a JSON object")
		}
		return session.Invalid(field, "has the wrong type")
	}
	return session.Invalid(body, "must be well-formed JSON (RFC 8259) in UTF-8, each name once")
}

// parseMetadata returns nil for no metadata. What can only be seen in the text
// is checked here, the rest by the core.
func parseMetadata(text jsontext.Value) (*session.Metadata, error) {
	if len(text) == 0 || text.Kind() == 'n' {
		return nil, nil //nolint:nilnil // the request's word for "leave it".
	}
	if text.Kind() != '{' {
		return nil, session.Invalid("metadata", "must be a JSON object")
	}
	if err := text.Compact(); err != nil {
		return nil, malformed(err)
	}
	if len(text) > session.MaxMetadataBytes {
		return nil, session.Invalid("metadata", "must have at most "+strconv.Itoa(session.MaxMetadataBytes)+" bytes")
	}
	tree, err := decode(jsontext.NewDecoder(bytes.NewReader(text)))
	if err != nil {
		return nil, err
	}
	object, _ := tree.(map[string]any)
	metadata, err := session.NewMetadata(object)
	if err != nil {
		return nil, err
	}
	return &metadata, nil
}

// decode reads one value. How deep it nests is for the core to judge: the
// text's own bound keeps it from going far.
func decode(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, malformed(err)
	}
	switch token.Kind() {
	case '{':
		return decodeObject(d)
	case '[':
		return decodeList(d)
	case '"':
		return token.String(), nil
	case '0':
		return decodeNumber(token.String())
	case 't', 'f':
		return token.Bool(), nil
	default:
		return nil, nil //nolint:nilnil // JSON's null: nothing else is a value
	}
}

func decodeObject(d *jsontext.Decoder) (any, error) {
	object := map[string]any{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, malformed(err)
		}
		key := name.String()
		if object[key], err = decode(d); err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	return object, err
}

func decodeList(d *jsontext.Decoder) (any, error) {
	list := []any{}
	for d.PeekKind() != ']' {
		value, err := decode(d)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.ReadToken()
	return list, err
}

// decodeNumber refuses what a float64 does not hold as it is written: it would
// come back as another number.
func decodeNumber(literal string) (any, error) {
	number, err := strconv.ParseFloat(literal, 64)
	if err != nil || decimal(literal) != decimal(strconv.FormatFloat(number, 'e', -1, 64)) {
		return nil, session.Invalid("metadata", "has a number that a 64-bit float does not hold as it is written: send it as a string")
	}
	return number, nil
}

// decimal returns a number's significant digits and their power of ten, which
// are equal for literals of the same value. It never computes the number.
func decimal(literal string) string {
	sign := ""
	if unsigned, negative := strings.CutPrefix(literal, "-"); negative {
		literal, sign = unsigned, "-"
	}
	mantissa, exponentText, _ := strings.Cut(strings.ToLower(literal), "e")
	exponent, _ := strconv.Atoi(exponentText) // one that is out of range made a range error, or a zero
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	significant := strings.TrimRight(digits, "0")
	if significant == "" {
		return "0"
	}
	exponent += len(digits) - len(significant) - len(fraction)
	return sign + significant + "e" + strconv.Itoa(exponent)
}
