//go:build !unix

package pgserver

import (
	"fmt"
	"net/url"
)

// Start needs a Unix.
func Start() (*url.URL, func(), error) {
	return nil, nil, fmt.Errorf("PostgreSQL on this system: %w", ErrNotInstalled)
}

// StartDurable needs a Unix, too.
func StartDurable() (*url.URL, func(), error) { return Start() }
