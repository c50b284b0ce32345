//go:build !unix

package pgtest

import (
	"fmt"
	"net/url"
)

// startCluster needs a Unix.
func startCluster() (*url.URL, func(), error) {
	return nil, nil, fmt.Errorf("PostgreSQL on this system: %w", errNotInstalled)
}
