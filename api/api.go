// Package api is the HTTP contract: openapi.yaml and the wire types and routes
// that are generated from it.
package api

import (
	_ "embed"
	"time"
)

//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml

// Spec is openapi.yaml.
//
//go:embed openapi.yaml
var Spec []byte

// Time is a time on the wire: in UTC, truncated to the millisecond.
type Time time.Time

const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalText writes 2025-01-01T00:00:00.000Z.
func (t Time) MarshalText() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(timeLayout)), nil
}

// UnmarshalText reads what MarshalText writes.
func (t *Time) UnmarshalText(text []byte) error {
	parsed, err := time.Parse(timeLayout, string(text))
	*t = Time(parsed)
	return err
}
