package apitest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestExamples expects an example for every request body and every answer with
// a body, and each example to be valid: no unknown fields, no missing ones.
func TestExamples(t *testing.T) {
	t.Parallel()
	c, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for path, item := range c.document.Paths.Map() {
		for method, operation := range item.Operations() {
			bodies := map[string]openapi3.Content{}
			if operation.RequestBody != nil {
				bodies["request"] = operation.RequestBody.Value.Content
			}
			for status, response := range operation.Responses.Map() {
				bodies[status] = response.Value.Content
			}
			for body, content := range bodies {
				for kind, media := range content {
					checked++
					if err := c.checkExamples(kind, media); err != nil {
						t.Errorf("%s %s, %s, %s: %v", method, path, body, kind, err)
					}
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d bodies were checked", checked)
	}
}

func (c contract) checkExamples(kind string, media *openapi3.MediaType) error {
	values := map[string]any{}
	if media.Example != nil {
		values["example"] = media.Example
	}
	for name, example := range media.Examples {
		values[name] = example.Value.Value
	}
	if len(values) == 0 {
		return fmt.Errorf("it has no example")
	}
	for name, value := range values {
		if err := media.Schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if text, is := value.(string); is && kind == eventsType {
			if err := c.checkEvents([]byte(strings.TrimSpace(text))); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}
