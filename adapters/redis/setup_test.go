package redis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/adapters/redis"
	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// long keeps a busy machine from being taken for a Redis that is lost.
const long = patience

// counter is what counts when Redis does not: it allows all that it hears of
// until it is told not to.
type counter struct {
	mu      sync.Mutex
	heard   int
	refuses bool
}

func (c *counter) Allow(ctx context.Context, _ ports.LimitKey, _ session.Limit) (ports.Allowance, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return ports.Allowance{}, session.Wrap(session.KindUnavailable, err)
	}
	c.heard++
	return ports.Allowance{Allowed: !c.refuses, Next: time.Minute}, nil
}

func (c *counter) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses = true
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// lines is a log of which tests await lines.
type lines struct {
	mu      sync.Mutex
	written *sync.Cond
	text    bytes.Buffer
}

func newLines() *lines {
	l := &lines{}
	l.written = sync.NewCond(&l.mu)
	return l
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written.Broadcast()
	return l.text.Write(p)
}

// messages are the lines so far.
func (l *lines) messages(t testing.TB) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		found = append(found, entry.Level+" "+entry.Msg)
	}
	return found
}

// await waits until the log has n lines and returns them.
func (l *lines) await(t testing.TB, n int) []string {
	t.Helper()
	deadline := time.Now().Add(patience)
	defer time.AfterFunc(patience, l.written.Broadcast).Stop()
	l.mu.Lock()
	for strings.Count(l.text.String(), "\n") < n && time.Now().Before(deadline) {
		l.written.Wait()
	}
	l.mu.Unlock()
	found := l.messages(t)
	if len(found) != n {
		t.Fatalf("the log has %q, want %d lines", found, n)
	}
	return found
}

const (
	lost = "WARN Redis does not answer: each replica counts for itself until it does"
	back = "INFO Redis answers again: replicas count together"
)

// subject is a limiter of a replica.
type subject struct {
	*redis.Limiter
	local *counter
	log   *lines
}

func connect(t testing.TB, url string, timeout time.Duration) *subject {
	t.Helper()
	s := &subject{local: &counter{}, log: newLines()}
	client, err := redis.Connect(t.Context(), redis.Config{
		URL: url, Timeout: timeout, Retry: 5 * time.Millisecond, Logger: slog.New(slog.NewJSONHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	s.Limiter = redis.NewLimiter(client, s.local)
	return s
}

func (s *subject) allows(t testing.TB, who string) bool {
	t.Helper()
	got, err := s.Allow(t.Context(), ports.LimitKey{Group: ports.LimitOpens, Subject: who}, session.Limit{Most: 2, Within: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return got.Allowed
}

// allowsTwo reports whether two are allowed, which is the limit, and no third.
func (s *subject) allowsTwo(t testing.TB, who string) bool {
	t.Helper()
	first, second, third := s.allows(t, who), s.allows(t, who), s.allows(t, who)
	return first && second && !third
}

// servers are those that a limiter must do on.
var servers = map[string]func(t testing.TB) *redistest.Server{
	"Alone":   func(t testing.TB) *redistest.Server { return redistest.New(t) },
	"Cluster": redistest.NewCluster,
}

// breaking is the URL of a way to a server, and to its peer, on which a
// connection breaks when it has carried what has text in it.
func breaking(t *testing.T, server *redistest.Server, text string, carried *atomic.Int32) string {
	t.Helper()
	way := func(server *redistest.Server) string {
		return proxy(t, server.Address(), func(said []byte) bool {
			if !bytes.Contains(said, []byte(text)) {
				return true
			}
			carried.Add(1)
			return false
		})
	}
	address := way(server)
	if server.Peer == nil {
		return "redis://" + address
	}
	server.Announce(t, address)
	server.Peer.Announce(t, way(server.Peer))
	return "redis://" + address + "?cluster=true"
}

// proxy carries connections to an address, each for as long as goesOn with what
// is said there, and returns where it is.
func proxy(t *testing.T, to string, goesOn func(said []byte) bool) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	carry := func(client net.Conn) {
		defer client.Close() //nolint:errcheck // it is over
		behind, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
		if err != nil {
			return
		}
		defer behind.Close() //nolint:errcheck // it is over
		go func() {
			_, _ = io.Copy(client, behind)
			_ = client.Close()
		}()
		said := make([]byte, 1<<16)
		for {
			n, err := client.Read(said)
			if err != nil {
				return
			}
			goes := goesOn(said[:n])
			if !goes {
				_ = client.Close() // before there is an answer
			}
			if _, err := behind.Write(said[:n]); err != nil || !goes {
				return
			}
		}
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go carry(client)
		}
	}()
	return listener.Addr().String()
}
