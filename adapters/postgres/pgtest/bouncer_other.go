//go:build !unix

package pgtest

import "testing"

// Bouncer needs a Unix.
func Bouncer(t testing.TB) func(database string) string {
	t.Helper()
	t.Skip("pgbouncer is not started on this system")
	return nil
}
