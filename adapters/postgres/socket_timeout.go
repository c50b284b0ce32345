package postgres

import (
	"context"
	"net"
	"time"
)

// dialer opens connections on which each read and write has a timeout. A context is
// not enough: when it ends, lib/pq sends the server a cancel request and goes on
// reading, so a server that hangs, or a network that drops packets, would block
// callers for ever.
type dialer struct {
	net     net.Dialer
	timeout time.Duration // 0 for none
}

// Dial implements pq.Dialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil || d.timeout == 0 {
		return conn, err
	}
	return &timeoutSocket{Conn: conn, timeout: d.timeout}, nil
}

// timeoutSocket is a connection on which no read and no write takes longer than
// timeout. The driver reads only when it expects an answer.
type timeoutSocket struct {
	net.Conn

	timeout     time.Duration
	overall     time.Time // set by SetDeadline; zero for none
	read, write time.Time // the deadlines that are set on the connection
}

// SetDeadline implements net.Conn. The driver sets a deadline while it opens a
// connection, and removes it afterwards.
func (c *timeoutSocket) SetDeadline(deadline time.Time) error {
	c.overall, c.read, c.write = deadline, time.Time{}, time.Time{}
	return c.Conn.SetDeadline(deadline)
}

// extend gives the next read or write between three quarters of the timeout and
// all of it. Setting a deadline for each one would slow point reads down.
func (c *timeoutSocket) extend(deadline *time.Time, set func(time.Time) error) error {
	now := time.Now()
	if deadline.Sub(now) > c.timeout-c.timeout/4 {
		return nil
	}
	*deadline = now.Add(c.timeout)
	if !c.overall.IsZero() && c.overall.Before(*deadline) {
		*deadline = c.overall
	}
	return set(*deadline)
}

func (c *timeoutSocket) Read(p []byte) (int, error) {
	if err := c.extend(&c.read, c.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *timeoutSocket) Write(p []byte) (int, error) {
	if err := c.extend(&c.write, c.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
