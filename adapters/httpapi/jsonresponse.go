package httpapi

import (
	"encoding/json"

	"github.com/labstack/echo/v4"
)

// unescapedJSON writes JSON as it is, where Echo's own serializer would escape <, >
// and & for pages that put it into HTML: metadata of 4 KiB would be answered in
// 24. No browser takes an answer of ours for HTML, by its Content-Type and
// nosniff.
type unescapedJSON struct{ echo.DefaultJSONSerializer }

// Serialize implements echo.JSONSerializer.
func (unescapedJSON) Serialize(c echo.Context, value any, indent string) error {
	encoder := json.NewEncoder(c.Response())
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	return encoder.Encode(value)
}
