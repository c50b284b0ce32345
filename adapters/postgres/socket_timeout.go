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
	// read and write are until when the connection lets each take.
	read, write time.Time
}

// SetDeadline is how the driver bounds the whole of what opens a connection,
// and takes that back.
func (c *impatient) SetDeadline(bound time.Time) error {
	c.bound, c.read, c.write = bound, time.Time{}, time.Time{}
	return c.Conn.SetDeadline(bound)
}

// renew lets the next read, or write, take for silence or up to a quarter less:
// to set a deadline for each costs a point read more than it is worth.
func (c *impatient) renew(until *time.Time, set func(time.Time) error) error {
	now := time.Now()
	if until.Sub(now) > c.silence-c.silence/4 {
		return nil
	}
	*until = now.Add(c.silence)
	if !c.bound.IsZero() && c.bound.Before(*until) {
		*until = c.bound
	}
	return set(*until)
}

func (c *impatient) Read(p []byte) (int, error) {
	if err := c.renew(&c.read, c.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatient) Write(p []byte) (int, error) {
	if err := c.renew(&c.write, c.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
