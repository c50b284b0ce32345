package pgtest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between a client and the server, until the test ends.
type Proxy struct {
	// URL is that of the database, through the proxy.
	URL     string
	hanging atomic.Bool

	mu   sync.Mutex
	said Traffic // since it was last taken
}

// NewProxy returns a proxy to a database.
func NewProxy(t testing.TB, database string) *Proxy {
	t.Helper()
	target := parse(t, database)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p, server := &Proxy{}, target.Host
	target.Host = listener.Addr().String()
	p.URL = target.String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.connect(client, server)
		}
	}()
	return p
}

// Hang lets the proxy lose all that either side says, or pass it on again.
func (p *Proxy) Hang(yes bool) { p.hanging.Store(yes) }

// connect joins client and server until either ends; while the proxy hangs,
// what they say is lost.
func (p *Proxy) connect(client net.Conn, address string) {
	defer client.Close() //nolint:errcheck // it is over
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // it is over
	go p.pass(client, server)
	p.pass(server, &heard{Conn: client, proxy: p, prepare: map[string]string{}})
}

func (p *Proxy) pass(to, from net.Conn) {
	defer to.Close() //nolint:errcheck // it is over
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if p.hanging.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
