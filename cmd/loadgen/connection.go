package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// patience is the timeout of a request.
	patience = 10 * time.Second
	// maxAnswer bounds an answer's body.
	maxAnswer = 1 << 20
)

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   []byte // valid until the connection's next request
}

// connection sends one request at a time and keeps its TCP connection. It uses
// far less processor time than net/http's client, which needs more than the server
// under test.
type connection struct {
	to     *url.URL
	conn   net.Conn
	reader *bufio.Reader
	body   bytes.Buffer
}

var errConnection = failure("connection lost")

// do sends a serialized request and reads the response.
func (c *connection) do(ctx context.Context, request []byte) (answer, error) {
	if c.conn == nil {
		if err := c.dial(ctx); err != nil {
			return answer{}, failure("no connection")
		}
	}
	deadline := time.Now().Add(patience)
	if bound, bounded := ctx.Deadline(); bounded && bound.Before(deadline) {
		deadline = bound
	}
	got, err := c.exchange(request, deadline)
	if err != nil {
		c.close()
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return answer{}, failure("no answer in time")
		}
		return answer{}, errConnection
	}
	return got, nil
}

func (c *connection) dial(ctx context.Context) (err error) {
	host := c.to.Host
	if c.to.Port() == "" {
		host = net.JoinHostPort(c.to.Hostname(), map[string]string{"http": "80", "https": "443"}[c.to.Scheme])
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c.to.Scheme == "https" {
		c.conn, err = (&tls.Dialer{}).DialContext(ctx, "tcp", host)
	} else {
		c.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", host)
	}
	if err != nil {
		c.conn = nil
		return err
	}
	c.reader = bufio.NewReader(c.conn)
	return nil
}

func (c *connection) exchange(request []byte, deadline time.Time) (answer, error) {
	if err := c.conn.SetDeadline(deadline); err != nil {
		return answer{}, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	c.body.Reset()
	n, err := c.body.ReadFrom(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return answer{}, err
	}
	if n > maxAnswer {
		return answer{}, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	if response.Close {
		c.close()
	}
	return answer{response.StatusCode, response.Header, c.body.Bytes()}, nil
}

// close closes the TCP connection. The next request opens another.
func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
