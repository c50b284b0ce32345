package httpapi

import (
	"encoding/json"

	"github.com/labstack/echo/v4"
)

// unescapedJSON writes JSON without escaping <, > and &. Echo's serializer
// escapes them for use in HTML, which can turn metadata of 4 KiB into 24 KiB.
// Browsers do not interpret the answers as HTML, because of Content-Type and
// nosniff.
type unescapedJSON struct{ echo.DefaultJSONSerializer }

// Serialize implements echo.JSONSerializer.
func (unescapedJSON) Serialize(c echo.Context, value any, indent string) error {
	encoder := json.NewEncoder(c.Response())
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	return encoder.Encode(value)
}
