package httpapi

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"chatkit-session/core/session"
)

// parseMetadata returns nil if there are no metadata. It checks only what
// depends on the JSON text; the core checks the rest.
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
		return nil, session.Invalid("metadata", "must not exceed "+strconv.Itoa(session.MaxMetadataBytes)+" bytes")
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

// decode decodes one value. The core checks the depth; the size of the text
// bounds the recursion.
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

// decodeNumber refuses numbers that a float64 cannot represent exactly,
// because they would be returned as different numbers.
func decodeNumber(literal string) (any, error) {
	number, err := strconv.ParseFloat(literal, 64)
	if err != nil || decimal(literal) != decimal(strconv.FormatFloat(number, 'e', -1, 64)) {
		return nil, session.Invalid("metadata", "contains a number that a 64-bit float cannot represent exactly: send it as a string")
	}
	return number, nil
}

// decimal returns a normal form of a number literal: its significant digits
// and their power of ten. It does not compute the number.
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
