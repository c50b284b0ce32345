// Package redistest gives tests Redis servers of their own, started from an
// installed redis-server. Without one, tests are skipped, or fail when CI is
// true. A server that does not start is a failure.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// errNotInstalled is the one reason to skip.
var errNotInstalled = errors.New("redis-server: not installed")

// FolderVariable names the folder of redis-server, where it is another than
// packages have.
const FolderVariable = "TEST_REDIS_BIN"

// keeper runs the server for as long as its standard input stays open, then
// kills it: also when the test process is killed.
const keeper = `exec 3<&0
"$@" 3<&- &
server=$!
echo $server
trap '' INT TERM HUP
(cat <&3 >/dev/null; kill -KILL $server 2>/dev/null) &
wait $server
echo ended`

// Server is a throw-away Redis, which ends with its test.
type Server struct {
	// URL is where it is, also when it was killed and started again.
	URL string
	// Peer is the other node of a cluster, or the other of a master and its
	// replica.
	Peer *Server

	binary, dir, address string
	arguments            []string
	// sentinel is the configuration of one, which is no server with keys.
	sentinel string
	// pid is the server's, stop ends it; neither is set while it is down.
	pid  int
	stop func()
}

// New starts a server.
func New(t testing.TB, arguments ...string) *Server {
	t.Helper()
	path, err := binary()
	if errors.Is(err, errNotInstalled) && os.Getenv("CI") != "true" {
		t.Skipf("no Redis: %v", err)
	}
	if err != nil {
		t.Fatalf("no Redis: %v", err)
	}
	return launch(t, &Server{binary: path, dir: t.TempDir(), arguments: arguments})
}

// launch starts s where there is room.
func launch(t testing.TB, s *Server) *Server {
	t.Helper()
	var err error
	t.Cleanup(func() { s.Kill() })
	// Somebody else may take a port before the server does.
	for range 5 {
		if s.address, err = freeAddress(); err != nil {
			t.Fatal(err)
		}
		if err = s.start(); err == nil {
			s.URL = "redis://" + s.address
			return s
		}
	}
	t.Fatalf("Redis does not start: %v", err)
	return nil
}

// NewCluster starts a cluster of two nodes, each with half of the slots, and
// returns the first.
func NewCluster(t testing.TB) *Server {
	t.Helper()
	one, two := New(t, "--cluster-enabled", "yes"), New(t, "--cluster-enabled", "yes")
	one.Peer = two
	one.Ask(t, "CLUSTER ADDSLOTSRANGE 0 8191")
	two.Ask(t, "CLUSTER ADDSLOTSRANGE 8192 16383")
	one.Ask(t, "CLUSTER MEET "+strings.Replace(two.address, ":", " ", 1))
	// The slot of bar is the first's, that of foo the second's.
	eventually(t, "the cluster is up", func() bool {
		return strings.HasPrefix(one.Ask(t, "GET foo"), "-MOVED") && strings.HasPrefix(two.Ask(t, "GET bar"), "-MOVED") &&
			one.Ask(t, "GET bar") == "$-1" && two.Ask(t, "GET foo") == "$-1"
	})
	one.URL += "?cluster=true"
	return one
}

// NewSentinel starts a master and its replica, and a sentinel that makes the
// replica master when the first does not answer. It returns the master, whose URL
// asks the sentinel, which wants a password unless that is empty.
func NewSentinel(t testing.TB, password string) *Server {
	t.Helper()
	one := New(t)
	host, port, err := net.SplitHostPort(one.address)
	if err != nil {
		t.Fatal(err)
	}
	one.Peer = New(t, "--replicaof", host+" "+port)
	one.Ask(t, "CONFIG SET repl-diskless-sync-delay 0")
	eventually(t, "the replica follows", func() bool { return one.Ask(t, "WAIT 1 100") == ":1" })
	configuration := fmt.Sprintf("sentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n", host, port)
	ask, parameters := "SENTINEL REPLICAS main", "?master=main"
	if password != "" {
		configuration += "requirepass " + password + "\n"
		ask, parameters = "AUTH "+password+"\n"+ask, parameters+"&sentinel_password="+url.QueryEscape(password)
	}
	sentinel := launch(t, &Server{binary: one.binary, dir: t.TempDir(), sentinel: configuration})
	eventually(t, "the sentinel knows both", func() bool { return sentinel.Ask(t, ask) == "*1" })
	one.URL = "redis://" + sentinel.address + "/0" + parameters
	return one
}

// Nodes are the server and its Peer, if it has one.
func (s *Server) Nodes() []*Server {
	if s.Peer == nil {
		return []*Server{s}
	}
	return []*Server{s, s.Peer}
}

// Address is its host and port.
func (s *Server) Address() string { return s.address }

// Announce lets a node of a cluster say that it is at another address of this
// machine.
func (s *Server) Announce(t testing.TB, address string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	s.Ask(t, "CONFIG SET cluster-announce-port "+port)
}

// Start starts it again, empty, where it was.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("Redis does not start again: %v", err)
	}
}

// Kill ends it at once; connections break.
func (s *Server) Kill() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// Hang lets it answer nothing and keep its connections, or go on.
func (s *Server) Hang(t testing.TB, yes bool) {
	t.Helper()
	if err := hang(s.pid, yes); err != nil {
		t.Fatal(err)
	}
}

// Ask sends commands, a line each and without spaces in their words, and returns
// the first line of what the last is answered, if those before it are answered
// in one.
func (s *Server) Ask(t testing.TB, command string) string {
	t.Helper()
	answer, err := s.ask(t.Context(), command)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return answer
}

// Await waits until one of the server's counters of a command, such as calls,
// failed_calls or rejected_calls, is at least n.
func (s *Server) Await(t testing.TB, command, counter string, n int) {
	t.Helper()
	counted := regexp.MustCompile("cmdstat_" + command + ":.*\\b" + counter + "=([0-9]+)")
	eventually(t, fmt.Sprintf("%s of %s is %d", counter, command, n), func() bool {
		found := counted.FindStringSubmatch(s.info(t))
		if found == nil {
			return false
		}
		got, err := strconv.Atoi(found[1])
		return err == nil && got >= n
	})
}

// info is what the server says of the commands that it got.
func (s *Server) info(t testing.TB) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	if _, err := io.WriteString(conn, "INFO commandstats\r\nQUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s *Server) ask(ctx context.Context, command string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	answers, answer := bufio.NewReader(conn), ""
	for range 1 + strings.Count(command, "\n") {
		if answer, err = answers.ReadString('\n'); err != nil {
			return "", err
		}
	}
	return strings.TrimSpace(answer), nil
}

func (s *Server) start() error {
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	log := filepath.Join(s.dir, "log")
	arguments := []string{"-c", keeper, "sh", s.binary}
	if s.sentinel != "" {
		configuration := filepath.Join(s.dir, "sentinel.conf")
		if err := os.WriteFile(configuration, []byte(s.sentinel), 0o600); err != nil {
			return err
		}
		arguments = append(arguments, configuration, "--sentinel")
	}
	arguments = append(arguments, "--bind", host, "--port", port, "--dir", s.dir, "--logfile", log, "--daemonize", "no")
	if s.sentinel == "" {
		arguments = append(append(arguments, "--save", "", "--appendonly", "no"), s.arguments...)
	}
	run := exec.CommandContext(context.Background(), "/bin/sh", arguments...) //nolint:gosec // found by this package
	run.SysProcAttr = apart
	open, err1 := run.StdinPipe()
	out, err2 := run.StdoutPipe()
	if err := errors.Join(err1, err2, run.Start()); err != nil {
		return err
	}
	s.stop = func() {
		_ = open.Close()
		_ = run.Wait()
	}
	lines, ended := bufio.NewReader(out), make(chan struct{})
	line, _ := lines.ReadString('\n')
	go func() {
		_, _ = lines.ReadString('\n')
		close(ended)
	}()
	if s.pid, err = strconv.Atoi(strings.TrimSpace(line)); err == nil {
		err = s.awaitReady(ended)
	}
	if err != nil {
		complaint, _ := os.ReadFile(log)
		s.Kill()
		return fmt.Errorf("%w\n%s", err, complaint)
	}
	return nil
}

// awaitReady asks until the server itself answers.
func (s *Server) awaitReady(ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := s.ask(ctx, "PING")
		if err == nil && (answer == "+PONG" || strings.HasPrefix(answer, "-NOAUTH")) {
			return nil
		}
		select {
		case <-ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer: %q, %w", answer, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

const patience = 30 * time.Second

// eventually asks until yes.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited too long until %s", what)
		case <-tick.C:
		}
	}
}

func freeAddress() (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func binary() (string, error) {
	if folder := os.Getenv(FolderVariable); folder != "" {
		path := filepath.Join(folder, "redis-server")
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w in %s", errNotInstalled, folder)
		}
		return path, nil
	}
	for _, name := range []string{"redis-server", "/usr/sbin/redis-server", "/opt/homebrew/bin/redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNotInstalled
}
