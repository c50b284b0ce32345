//go:build unix

package pgtest

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lib/pq"

	"chatkit-session/adapters/postgres/pgserver"
)

// Pair is a server and its synchronous standby, both of one test.
type Pair struct {
	// URL is of both hosts, the standby first; the one that takes writes is
	// connected to. PrimaryFirst is the same in the other order.
	URL, PrimaryFirst string

	t        testing.TB
	dir      string
	identity *syscall.Credential
	primary  node
	standby  node
	// receiver is the standby's process that receives, where Isolate stopped it.
	receiver int
}

// node is one server of a pair.
type node struct {
	data, port string
	pid        int
	stop       func()
}

// NewPair starts a server and a standby that has, before the server reports it,
// everything that was committed. Both end with the test. Where PostgreSQL is
// not installed the test is skipped, or fails when CI is true.
func NewPair(t testing.TB) *Pair {
	t.Helper()
	if _, err := pgserver.Binary("initdb"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	identity, err := pgserver.Unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "chatkit-pgpair-") //nolint:usetesting // another user than the test's must get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := giveTo(identity, dir); err != nil {
		t.Fatal(err)
	}
	p := &Pair{t: t, dir: dir, identity: identity}
	p.begin()
	return p
}

// giveTo lets the user of the servers into a folder.
func giveTo(identity *syscall.Credential, dir string) error {
	if identity == nil {
		return nil
	}
	return os.Chown(dir, int(identity.Uid), int(identity.Gid))
}

func (p *Pair) begin() {
	p.t.Helper()
	p.primary = node{data: filepath.Join(p.dir, "primary"), port: p.port()}
	p.standby = node{data: filepath.Join(p.dir, "standby"), port: p.port()}
	p.run("initdb", "-D", p.primary.data, "--no-sync", "-A", "trust", "-U", "chatkit_owner", "-E", "UTF8", "--locale=C")
	p.serve(&p.primary)
	p.run("pg_basebackup", "-h", "127.0.0.1", "-p", p.primary.port, "-U", "chatkit_owner", "-D", p.standby.data, "-R", "--no-sync", "--checkpoint=fast")
	p.serve(&p.standby)
	sql := p.open(p.primary)
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := sql.ExecContext(p.t.Context(), statement); err != nil {
			p.t.Fatal(err)
		}
	}
	p.URL, p.PrimaryFirst = urlOf(p.standby, p.primary), urlOf(p.primary, p.standby)
}

// urlOf is that of two servers, in order.
func urlOf(one, two node) string {
	return "postgres://chatkit_owner@/postgres?" + url.Values{
		"host": {"127.0.0.1,127.0.0.1"}, "port": {one.port + "," + two.port}, "target_session_attrs": {"read-write"},
	}.Encode()
}

func (p *Pair) open(of node) *sql.DB {
	p.t.Helper()
	return Open(p.t, "postgres://chatkit_owner@127.0.0.1:"+of.port+"/postgres?sslmode=disable")
}

// Isolate stops the standby from receiving: nothing that is committed from now
// on can be in it. What is on its way when it goes on is lost, too: first of
// all, the process that has it ends.
func (p *Pair) Isolate() {
	p.t.Helper()
	if err := p.open(p.standby).QueryRowContext(p.t.Context(), "SELECT pid FROM pg_stat_wal_receiver").Scan(&p.receiver); err != nil {
		p.t.Fatal(err)
	}
	p.signal(syscall.SIGSTOP, p.receiver)
	p.signal(syscall.SIGTERM, p.receiver)
}

// Hang lets the server answer nothing and keep its connections, as one whose
// disk or machine does not go on.
func (p *Pair) Hang() {
	p.t.Helper()
	conn, err := p.open(p.primary).Conn(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	p.signal(syscall.SIGSTOP, p.primary.pid) // it starts no process any more
	var children pq.Int64Array               // that of this connection last
	if err := conn.QueryRowContext(p.t.Context(), "SELECT array_agg(pid ORDER BY pid = pg_backend_pid()) FROM pg_stat_activity").Scan(&children); err != nil {
		p.t.Fatal(err)
	}
	for _, pid := range children {
		p.signal(syscall.SIGSTOP, int(pid))
	}
	p.t.Cleanup(func() { // else the server could not end
		for _, pid := range append(children, int64(p.primary.pid)) {
			_ = syscall.Kill(int(pid), syscall.SIGCONT)
		}
	})
}

func (p *Pair) signal(signal syscall.Signal, pid int) {
	p.t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		p.t.Fatal(err)
	}
}

// Failover ends the server as a crash would and promotes the standby.
func (p *Pair) Failover() {
	p.t.Helper()
	p.primary.stop()
	if p.receiver != 0 {
		p.signal(syscall.SIGCONT, p.receiver) // it would not end otherwise
	}
	p.Promote()
}

// Promote lets the standby take writes, whatever the server does.
func (p *Pair) Promote() {
	p.t.Helper()
	p.run("pg_ctl", "-D", p.standby.data, "promote", "-w")
}

func (p *Pair) port() string {
	p.t.Helper()
	port, err := pgserver.FreePort()
	if err != nil {
		p.t.Fatal(err)
	}
	return port
}

func (p *Pair) binary(program string) string {
	p.t.Helper()
	path, err := pgserver.Binary(program)
	if err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *Pair) run(program string, args ...string) {
	p.t.Helper()
	command := exec.CommandContext(context.WithoutCancel(p.t.Context()), p.binary(program), args...) //nolint:gosec // PostgreSQL's own
	command.SysProcAttr, command.Dir = &syscall.SysProcAttr{Credential: p.identity}, p.dir
	if out, err := command.CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, out)
	}
}

// serve runs a server until the test ends, or it is stopped: at once, its
// children with it.
func (p *Pair) serve(n *node) {
	p.t.Helper()
	var err error
	n.pid, n.stop, err = pgserver.Keep(n.data, "QUIT", p.identity, p.binary("postgres"), "-D", n.data, "-k", p.dir, "-h", "127.0.0.1", "-p", n.port, "-F",
		"-c", "max_connections=50", "-c", "wal_retrieve_retry_interval=100ms", "-c", "log_min_messages=fatal")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(n.stop)
	if err := pgserver.AwaitReady(n.port); err != nil {
		said, _ := os.ReadFile(filepath.Join(n.data, "log"))
		p.t.Fatalf("the server at %s: %v\n%s", net.JoinHostPort("127.0.0.1", n.port), err, said)
	}
}
