package main

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// goneAfter is how long a client's host may acknowledge nothing of what was
// sent before the connection is given up. The kernel would go on for a quarter
// of an hour, in which a phone that changes networks uses up its user's streams
// of events.
const goneAfter = 30 * time.Second

// giveUpOnGone lets connections that are accepted from a listener be given up
// (TCP_USER_TIMEOUT, RFC 5482).
func giveUpOnGone(_, _ string, listener syscall.RawConn) error {
	var failed error
	err := listener.Control(func(socket uintptr) {
		failed = unix.SetsockoptInt(int(socket), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(goneAfter.Milliseconds())) //nolint:gosec // a file descriptor
	})
	if err != nil {
		return err
	}
	return failed
}
