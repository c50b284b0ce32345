package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// serverProcess is a server in a process of its own, as in production, so that its
// processor time and memory can be measured apart.
type serverProcess struct {
	name    string
	address string
	log     string // path of the file with its output
	command *exec.Cmd
	ended   chan struct{} // closed when it has ended
	err     error         // why it ended
}

// startServer starts a server that listens on address and waits until it is ready.
func startServer(ctx context.Context, name, address, log string, environ []string, program string, args ...string) (*serverProcess, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the process has its own descriptor
	c := &serverProcess{name: name, address: address, log: log, ended: make(chan struct{})}
	c.command = exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // the caller's own program
	c.command.Env, c.command.Stdout, c.command.Stderr = environ, file, file
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.ended)
		c.err = c.command.Wait()
	}()
	if err := c.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w\n%s", name, err, c.lastWords()), c.stop())
	}
	return c, nil
}

const startTimeout = 30 * time.Second

func (c *serverProcess) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready(ctx, c.address) {
		select {
		case <-c.ended:
			return fmt.Errorf("ended: %w", c.err)
		case <-ctx.Done():
			return fmt.Errorf("is not ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

func ready(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// lastWords returns the end of the output.
func (c *serverProcess) lastWords() string {
	const most = 2000
	text, _ := os.ReadFile(c.log) // empty if it cannot be read
	return string(text[max(0, len(text)-most):])
}

// stop ends the process, with SIGTERM first, and waits for it.
func (c *serverProcess) stop() error {
	_ = c.command.Process.Signal(syscall.SIGTERM) // unless it has ended
	select {
	case <-c.ended:
		return nil
	case <-time.After(startTimeout):
		_ = c.command.Process.Kill()
		<-c.ended
		return fmt.Errorf("%s did not end after SIGTERM", c.name)
	}
}

// ticksPerSecond is the unit in which Linux counts the time of processes.
const ticksPerSecond = 100

// cpu returns the processor time of the process, or 0 where there is no /proc as
// on Linux.
func (c *serverProcess) cpu() time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(c.command.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the process name before it may contain spaces
	fields := strings.Fields(rest)
	const user, system = 11, 12
	if len(fields) <= system {
		return 0
	}
	u, err1 := strconv.Atoi(fields[user])
	s, err2 := strconv.Atoi(fields[system])
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(u+s) * time.Second / ticksPerSecond
}

// memory returns the maximum resident set of the process in bytes, or 0 where
// there is no /proc as on Linux.
func (c *serverProcess) memory() int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(c.command.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}

// freeAddress returns a free loopback address.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
