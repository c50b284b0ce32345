//go:build !unix

package pgtest

import (
	"fmt"
	"net/url"
	"testing"
)

// startCluster needs a Unix.
func startCluster() (*url.URL, func(), error) {
	return nil, nil, fmt.Errorf("PostgreSQL on this system: %w", errNotInstalled)
}

// Bouncer needs a Unix.
func Bouncer(t testing.TB) func(database string) string {
	t.Helper()
	t.Skip("pgbouncer is not started on this system")
	return nil
}
