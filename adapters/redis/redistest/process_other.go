//go:build !unix

package redistest

import (
	"errors"
	"syscall"
)

var apart *syscall.SysProcAttr

// hang needs a Unix.
func hang(int, bool) error { return errors.ErrUnsupported }
