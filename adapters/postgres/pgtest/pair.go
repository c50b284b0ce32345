//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"chatkit-session/adapters/postgres/throwaway"
)

// Pair is a server and its synchronous standby, both of one test.
type Pair struct {
	// URL is of both hosts; whoever takes writes is connected to.
	URL string

	t        testing.TB
	dir      string
	identity *syscall.Credential
	kill     func()
	standby  string // its data folder
}

// NewPair starts a server and a standby that has, before the server says so,
// everything that was committed. Both end with the test. Where PostgreSQL is
// not installed the test is skipped, or fails when CI is true.
func NewPair(t testing.TB) *Pair {
	t.Helper()
	if _, err := throwaway.Binary("initdb"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	identity, err := throwaway.Unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "chatkit-pgpair-") //nolint:usetesting // another user than the test's must get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if identity != nil {
		if err := os.Chown(dir, int(identity.Uid), int(identity.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	p := &Pair{t: t, dir: dir, identity: identity, standby: filepath.Join(dir, "standby")}
	p.begin()
	return p
}

func (p *Pair) begin() {
	p.t.Helper()
	first, second := p.port(), p.port()
	primary := filepath.Join(p.dir, "primary")
	p.run("initdb", "-D", primary, "--no-sync", "-A", "trust", "-U", "chatkit_owner", "-E", "UTF8", "--locale=C")
	p.kill = p.serve(primary, first)
	p.run("pg_basebackup", "-h", "127.0.0.1", "-p", first, "-U", "chatkit_owner", "-D", p.standby, "-R", "--no-sync", "--checkpoint=fast")
	p.serve(p.standby, second)
	sql := Open(p.t, "postgres://chatkit_owner@127.0.0.1:"+first+"/postgres?sslmode=disable")
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := sql.ExecContext(p.t.Context(), statement); err != nil {
			p.t.Fatal(err)
		}
	}
	p.URL = "postgres://chatkit_owner@/postgres?" + url.Values{
		"host": {"127.0.0.1,127.0.0.1"}, "port": {first + "," + second}, "target_session_attrs": {"read-write"},
	}.Encode()
}

// Failover ends the server as a crash would and promotes the standby.
func (p *Pair) Failover() {
	p.t.Helper()
	p.kill()
	p.run("pg_ctl", "-D", p.standby, "promote", "-w")
}

func (p *Pair) port() string {
	p.t.Helper()
	port, err := throwaway.FreePort()
	if err != nil {
		p.t.Fatal(err)
	}
	return port
}

func (p *Pair) command(program string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	p.t.Helper()
	path, err := throwaway.Binary(program)
	if err != nil {
		p.t.Fatal(err)
	}
	out := &bytes.Buffer{}
	command := exec.CommandContext(context.WithoutCancel(p.t.Context()), path, args...) //nolint:gosec // PostgreSQL's own
	command.SysProcAttr, command.Dir = &syscall.SysProcAttr{Credential: p.identity}, p.dir
	command.Stdout, command.Stderr = out, out
	return command, out
}

func (p *Pair) run(program string, args ...string) {
	p.t.Helper()
	command, out := p.command(program, args...)
	if err := command.Run(); err != nil {
		p.t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, out)
	}
}

// serve runs a server until the test ends, or the returned function is called.
func (p *Pair) serve(data, port string) (kill func()) {
	p.t.Helper()
	command, out := p.command("postgres", "-D", data, "-k", p.dir, "-h", "127.0.0.1", "-p", port, "-F", "-c", "max_connections=50", "-c", "log_min_messages=fatal")
	if err := command.Start(); err != nil {
		p.t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = command.Process.Signal(syscall.SIGQUIT) // at once, its children with it
		_ = command.Wait()
	})
	p.t.Cleanup(kill)
	if err := throwaway.AwaitReady(port); err != nil {
		p.t.Fatalf("the server at %s: %v\n%s", net.JoinHostPort("127.0.0.1", port), err, fmt.Sprint(out))
	}
	return kill
}
