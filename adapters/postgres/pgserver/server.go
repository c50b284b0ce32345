//go:build unix

package pgserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// keeper runs a server for as long as its standard input stays open, then ends
// it, also one that is stopped, and removes its folder.
const keeper = `dir=$1 signal=$2
shift 2
"$@" >"$dir/log" 2>&1 </dev/null &
server=$!
echo $server
trap '' INT TERM HUP
cat >/dev/null
kill -$signal $server 2>/dev/null
kill -CONT $server 2>/dev/null
wait $server
rm -rf "$dir"`

// Keep runs a server until stop is called, or until this process ends, also
// when it is killed: then the server gets signal, such as QUIT, and dir is
// removed. What the server says is in dir's file log.
func Keep(dir, signal string, identity *syscall.Credential, program string, args ...string) (pid int, stop func(), err error) {
	run := exec.CommandContext(context.Background(), "/bin/sh", append([]string{"-c", keeper, "sh", dir, signal, program}, args...)...) //nolint:gosec // the caller's own program
	run.SysProcAttr, run.Dir = &syscall.SysProcAttr{Credential: identity, Setpgid: true}, dir
	open, err1 := run.StdinPipe()
	out, err2 := run.StdoutPipe()
	if err := errors.Join(err1, err2, run.Start()); err != nil {
		return 0, nil, err
	}
	stop = sync.OnceFunc(func() {
		_ = open.Close()
		_ = run.Wait()
	})
	if _, err := fmt.Fscan(out, &pid); err != nil {
		stop()
		return 0, nil, fmt.Errorf("%s: %w", program, err)
	}
	return pid, stop, nil
}

// Start starts a server that waits for no disk and returns the URL of its
// owner, and how to end it.
func Start() (*url.URL, func(), error) { return start("off") }

// StartDurable is Start for a server that writes as one does that is to keep
// what it has.
func StartDurable() (*url.URL, func(), error) { return start("on") }

func start(durable string) (*url.URL, func(), error) {
	initdb, err := Binary("initdb")
	if err != nil {
		return nil, nil, err
	}
	postgres := filepath.Join(filepath.Dir(initdb), "postgres")
	if _, err := os.Stat(postgres); err != nil {
		return nil, nil, err
	}
	identity, err := Unprivileged()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "chatkit-pgserver-")
	if err != nil {
		return nil, nil, err
	}
	stop, port, err := runCluster(dir, initdb, postgres, durable, identity)
	if err != nil {
		return nil, nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return &url.URL{
		Scheme: "postgres", User: url.User("chatkit_owner"), Host: net.JoinHostPort("127.0.0.1", port),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}, stop, nil
}

func runCluster(dir, initdb, postgres, durable string, identity *syscall.Credential) (stop func(), port string, err error) {
	if identity != nil {
		if err := os.Chown(dir, int(identity.Uid), int(identity.Gid)); err != nil {
			return nil, "", err
		}
	}
	create := exec.CommandContext(context.Background(), initdb, "-D", filepath.Join(dir, "data"), "--no-sync", "-A", "trust", "-U", "chatkit_owner", "-E", "UTF8", "--locale=C") //nolint:gosec // found by this package
	create.SysProcAttr, create.Dir = &syscall.SysProcAttr{Credential: identity, Setpgid: true}, dir
	if out, err := create.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if port, err = FreePort(); err != nil {
		return nil, "", err
	}
	_, stop, err = Keep(dir, "QUIT", identity, postgres, "-D", filepath.Join(dir, "data"), "-k", dir, "-h", "127.0.0.1", "-p", port,
		"-c", "fsync="+durable, "-c", "synchronous_commit="+durable, "-c", "full_page_writes="+durable,
		"-c", "max_connections=300", "-c", "log_min_messages=fatal")
	if err != nil {
		return nil, "", err
	}
	if err := AwaitReady(port); err != nil {
		complaint, _ := os.ReadFile(filepath.Join(dir, "log"))
		stop()
		return nil, "", fmt.Errorf("%w\n%s", err, complaint)
	}
	return stop, port, nil
}

// AwaitReady asks until the server answers.
func AwaitReady(port string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := sql.Open("postgres", "postgres://chatkit_owner@127.0.0.1:"+port+"/postgres?sslmode=disable")
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = conn.PingContext(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		<-tick.C
	}
}

// Unprivileged returns whom to run the server as: PostgreSQL refuses root.
func Unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // as the one who runs this process
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("root cannot run PostgreSQL, and there is no user postgres or nobody")
}

// FreePort returns a port of loopback that nobody listens on now.
func FreePort() (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close() //nolint:errcheck // nothing was sent
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}
