package postgres

import (
	"context"
	"net"
	"time"
)

// dialer opens connections on which a server may be silent for so long and no
// longer. The driver stops waiting when a context ends only if the server
// still answers (lib/pq tells the server, not its own socket): a server that
// hangs, or a network that swallows packets, would hold callers for ever.
type dialer struct {
	net     net.Dialer
	silence time.Duration // 0 for any
}

// Dial is what the driver asks for where it has no bound.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is what it asks for where it has no context.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext is what it asks for where it has one.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil || d.silence == 0 {
		return conn, err
	}
	return &impatient{Conn: conn, silence: d.silence}, nil
}

// impatient is a connection on which no read and no write takes longer than
// silence. The driver reads only when it expects something.
type impatient struct {
	net.Conn
	silence time.Duration
	bound   time.Time // when all must be over; zero for never
}

// SetDeadline is how the driver bounds the whole of what opens a connection,
// and takes that back.
func (c *impatient) SetDeadline(bound time.Time) error {
	c.bound = bound
	return c.Conn.SetDeadline(bound)
}

// next is until when the next read or write may take.
func (c *impatient) next() time.Time {
	next := time.Now().Add(c.silence)
	if !c.bound.IsZero() && c.bound.Before(next) {
		return c.bound
	}
	return next
}

func (c *impatient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.next()); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatient) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(c.next()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
