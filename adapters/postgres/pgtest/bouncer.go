//go:build unix

package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"chatkit-session/adapters/postgres/pgserver"
)

// Bouncer starts pgbouncer in transaction mode before the server, until the
// test ends, and returns what gives a database's URL through it. Where
// pgbouncer is not installed the test is skipped, or fails when CI is true.
func Bouncer(t testing.TB) func(database string) string {
	t.Helper()
	program := findBouncer(t)
	server := get(t).admin
	port, err := pgserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir, identity := bouncerDir(t)
	config := fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s/users
pool_mode = transaction
default_pool_size = 8
server_idle_timeout = 1
max_client_conn = 1000
ignore_startup_parameters = extra_float_digits
`, server.Hostname(), server.Port(), port, dir)
	writeFile(t, filepath.Join(dir, "users"), fmt.Sprintf("%q %q\n", server.User.Username(), ""))
	writeFile(t, filepath.Join(dir, "config"), config)
	runBouncer(t, program, dir, identity)
	address := net.JoinHostPort("127.0.0.1", port)
	awaitBouncer(t, address)
	address = newCalm(t, address)
	return func(database string) string {
		u := parse(t, database)
		u.Host = address
		u.RawQuery = url.Values{"sslmode": {"disable"}}.Encode()
		return u.String()
	}
}

func findBouncer(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("pgbouncer is not installed")
	}
	t.Skip("pgbouncer is not installed")
	return ""
}

// bouncerDir returns a folder that the user who runs pgbouncer may read, and
// who that is: as PostgreSQL, it refuses root.
func bouncerDir(t testing.TB) (string, *syscall.Credential) {
	t.Helper()
	identity, err := pgserver.Unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "chatkit-pgbouncer-") //nolint:usetesting // another user than the test's must get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := giveTo(identity, dir); err != nil {
		t.Fatal(err)
	}
	return dir, identity
}

func runBouncer(t testing.TB, program, dir string, identity *syscall.Credential) {
	t.Helper()
	_, stop, err := pgserver.Keep(dir, "KILL", identity, program, filepath.Join(dir, "config"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		said, _ := os.ReadFile(filepath.Join(dir, "log"))
		stop()
		if t.Failed() {
			t.Logf("pgbouncer:\n%s", said[max(0, len(said)-4000):])
		}
	})
}

func awaitBouncer(t testing.TB, address string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
	}
	t.Fatal("pgbouncer does not listen")
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // there is no secret in it
		t.Fatal(err)
	}
}
