// Package apitest holds answers against the HTTP contract, api/openapi.yaml. It
// is for tests.
package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"chatkit-session/api"
)

// contract is openapi.yaml, parsed, and made strict: a field that it does not
// name is a mistake.
type contract struct {
	document *openapi3.T
	router   routers.Router
}

var parsed = sync.OnceValues(func() (contract, error) {
	openapi3filter.RegisterBodyDecoder(eventsType, openapi3filter.PlainBodyDecoder)
	document, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		return contract{}, err
	}
	if err := document.Validate(context.Background()); err != nil {
		return contract{}, err
	}
	no := false
	for _, schema := range document.Components.Schemas {
		if len(schema.Value.Properties) > 0 {
			schema.Value.AdditionalProperties.Has = &no
		}
	}
	router, err := gorillamux.NewRouter(document)
	return contract{document, router}, err
})

// Conforms fails the test unless response is an answer that the contract has
// for request: its status, headers, content type and every field. What the
// contract does not know, paths and methods, must be answered with its Error.
// The response's body can be read again.
func Conforms(t testing.TB, request *http.Request, response *http.Response) {
	t.Helper()
	c, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err := c.check(request, response, body); err != nil {
		t.Errorf("%s %s = %d, which is not in the contract: %v\n%s", request.Method, request.URL.Path, response.StatusCode, err, body)
	}
}

func (c contract) check(request *http.Request, response *http.Response, body []byte) error {
	if request.Method == http.MethodHead {
		return nil // net/http takes the body away
	}
	route, parameters, unknown := c.router.FindRoute(request)
	if unknown == nil {
		if err := checkTold(route.Operation, response); err != nil {
			return err
		}
	}
	if response.StatusCode == http.StatusNoContent {
		if len(body) > 0 {
			return fmt.Errorf("a body of %d bytes, where none can be", len(body))
		}
		return nil
	}
	if unknown != nil {
		return c.checkError(response, body)
	}
	if response.Header.Get("Content-Type") == eventsType {
		if err := c.checkEvents(body); err != nil {
			return err
		}
	}
	return openapi3filter.ValidateResponse(request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, PathParams: parameters, Route: route},
		Status:                 response.StatusCode,
		Header:                 response.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
}

// checkTold checks that the contract tells of the headers by which clients know
// when to ask again, wherever an answer has them.
func checkTold(operation *openapi3.Operation, response *http.Response) error {
	known := operation.Responses.Status(response.StatusCode)
	for _, name := range []string{"RateLimit", "RateLimit-Policy", "Retry-After"} {
		if known != nil && response.Header.Get(name) != "" && known.Value.Headers[name] == nil {
			return fmt.Errorf("the header %s", name)
		}
	}
	return nil
}

const eventsType = "text/event-stream"

// checkEvents checks the data of each event, by the schema that is named after
// it.
func (c contract) checkEvents(stream []byte) error {
	for block := range strings.SplitSeq(string(stream), "\n\n") {
		var event, data string
		for line := range strings.SplitSeq(block, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "event":
				event = value
			case "data":
				data = value
			case "", "retry", "id", ":":
			default:
				return fmt.Errorf("a line %q, which is no field of an event", line)
			}
		}
		if event == "" {
			continue
		}
		schema := c.document.Components.Schemas["Session"+strings.ToUpper(event[:1])+event[1:]]
		if schema == nil {
			return fmt.Errorf("an event %q", event)
		}
		var value any
		if err := json.Unmarshal([]byte(data), &value); err != nil {
			return fmt.Errorf("event %s: %w", event, err)
		}
		if err := schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
			return fmt.Errorf("event %s: %w", event, err)
		}
	}
	return nil
}

// checkError checks that an answer is an Error of the contract.
func (c contract) checkError(response *http.Response, body []byte) error {
	if response.StatusCode < http.StatusBadRequest {
		return fmt.Errorf("a success at a place that the contract does not know")
	}
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("content type %q", got)
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	return c.document.Components.Schemas["Error"].Value.VisitJSON(value, openapi3.MultiErrors())
}
