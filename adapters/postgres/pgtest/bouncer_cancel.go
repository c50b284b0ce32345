//go:build unix

package pgtest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// calm is a way to pgbouncer on which no client goes while a cancel request is
// under way: 1.18, which is Debian 12's, dies of that (its issue 801, mended in
// 1.19.1).
type calm struct {
	address string
	// cancelling is read-locked while a request is under way.
	cancelling sync.RWMutex
}

// newCalm returns where the way to address begins, until the test ends.
func newCalm(t testing.TB, address string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	c := &calm{address: address}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.connect(client)
		}
	}()
	return listener.Addr().String()
}

// cancelCode is a cancel request's in place of the protocol's version.
const cancelCode = 80877102

// connect joins a client with pgbouncer.
func (c *calm) connect(client net.Conn) {
	defer client.Close() //nolint:errcheck // it is over
	first, err := firstMessage(client)
	if err != nil {
		return
	}
	pooler, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", c.address)
	if err != nil {
		return
	}
	if binary.BigEndian.Uint32(first[4:]) == cancelCode {
		c.cancelling.RLock()
		defer c.cancelling.RUnlock()
		defer pooler.Close() //nolint:errcheck // it is over
		_, _ = pooler.Write(first)
		_, _ = io.Copy(io.Discard, pooler) // until it is done
		return
	}
	defer func() {
		c.cancelling.Lock()
		defer c.cancelling.Unlock()
		_ = pooler.Close()
	}()
	if _, err := pooler.Write(first); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(client, pooler)
		_ = client.Close()
	}()
	_, _ = io.Copy(pooler, client)
}

// firstMessage reads what a client says first, which pgbouncer takes only
// whole: its length, that included, and then a number.
func firstMessage(client net.Conn) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(client, length[:]); err != nil {
		return nil, err
	}
	const least, most = 8, 10_000
	message := make([]byte, max(least, min(binary.BigEndian.Uint32(length[:]), most)))
	copy(message, length[:])
	_, err := io.ReadFull(client, message[len(length):])
	return message, err
}
