package main

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection whose client is gone is closed while data is in flight, when
// no keep-alive probes are sent.
func TestListen_SetsUserTimeout(t *testing.T) {
	t.Parallel()
	on, err := listen(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = on.service.Close() })
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", on.service.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	accepted, err := on.service.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		t.Fatalf("a connection is %T", accepted)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var milliseconds int
	var failed error
	err = raw.Control(func(socket uintptr) {
		milliseconds, failed = unix.GetsockoptInt(int(socket), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) //nolint:gosec // a file descriptor
	})
	if err != nil || failed != nil || milliseconds != 30_000 {
		t.Errorf("TCP_USER_TIMEOUT is %d ms: %v, %v", milliseconds, err, failed)
	}
}
