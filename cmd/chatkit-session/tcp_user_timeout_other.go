//go:build !linux

package main

import "syscall"

// setUserTimeout does nothing: the system's own timeout applies.
func setUserTimeout(_, _ string, _ syscall.RawConn) error { return nil }
