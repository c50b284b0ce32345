//go:build unix

package throwaway

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// keeper runs the server for as long as its standard input stays open, then
// ends it and removes its folder: also when the process that started it is
// killed.
const keeper = `"$1" -D "$2/data" -k "$2" -h 127.0.0.1 -p "$3" -F \
	-c max_connections=300 -c synchronous_commit=off -c full_page_writes=off -c log_min_messages=fatal >"$2/log" 2>&1 &
server=$!
trap '' INT TERM HUP
cat >/dev/null
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$2"`

// Start starts a server and returns the URL of its owner, and how to end it.
func Start() (*url.URL, func(), error) {
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
	dir, err := os.MkdirTemp("", "chatkit-throwaway-")
	if err != nil {
		return nil, nil, err
	}
	stop, port, err := runCluster(dir, initdb, postgres, identity)
	if err != nil {
		return nil, nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return &url.URL{
		Scheme: "postgres", User: url.User("chatkit_owner"), Host: net.JoinHostPort("127.0.0.1", port),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}, stop, nil
}

func runCluster(dir, initdb, postgres string, identity *syscall.Credential) (stop func(), port string, err error) {
	if identity != nil {
		if err := os.Chown(dir, int(identity.Uid), int(identity.Gid)); err != nil {
			return nil, "", err
		}
	}
	attributes := &syscall.SysProcAttr{Credential: identity, Setpgid: true}
	create := exec.CommandContext(context.Background(), initdb, "-D", filepath.Join(dir, "data"), "--no-sync", "-A", "trust", "-U", "chatkit_owner", "-E", "UTF8", "--locale=C") //nolint:gosec // found by this package
	create.SysProcAttr, create.Dir = attributes, dir
	if out, err := create.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if port, err = FreePort(); err != nil {
		return nil, "", err
	}
	run := exec.CommandContext(context.Background(), "/bin/sh", "-c", keeper, "sh", postgres, dir, port) //nolint:gosec // found by this package
	run.SysProcAttr, run.Dir = attributes, dir
	open, err := run.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	if err := run.Start(); err != nil {
		return nil, "", err
	}
	stop = func() {
		_ = open.Close()
		_ = run.Wait()
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
