//go:build !unix

package pgtest

import (
	"errors"
	"net/url"
)

// startCluster needs a Unix.
func startCluster() (*url.URL, func(), error) {
	return nil, nil, errors.New("set TEST_DATABASE_URL: this system cannot start a throw-away server")
}
