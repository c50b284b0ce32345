package main

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// goneAfter is how long sent data may stay unacknowledged before the connection
// is closed. The kernel's default is about a quarter of an hour. In that time a
// phone that changes networks would use up its user's event streams.
const goneAfter = 30 * time.Second

// setUserTimeout sets TCP_USER_TIMEOUT (RFC 5482) on a listener. Connections that
// it accepts inherit the option.
func setUserTimeout(_, _ string, listener syscall.RawConn) error {
	var failed error
	err := listener.Control(func(socket uintptr) {
		failed = unix.SetsockoptInt(int(socket), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(goneAfter.Milliseconds())) //nolint:gosec // a file descriptor
	})
	if err != nil {
		return err
	}
	return failed
}
