//go:build unix

package pgtest_test

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/postgres/pgtest"
)

// serving is what the probe says before the addresses of its servers.
const serving = "serving on "

// TestProbe_Serves runs servers until it is killed.
func TestProbe_Serves(t *testing.T) {
	t.Parallel()
	if os.Getenv(probe) != "serve" {
		return
	}
	pair := parse(t, pgtest.NewPair(t).URL)
	addresses := []string{parse(t, pgtest.Bouncer(t)(pgtest.New(t))).Host}
	for port := range strings.SplitSeq(pair.Query().Get("port"), ",") {
		addresses = append(addresses, "127.0.0.1:"+port)
	}
	fmt.Println("\n" + serving + strings.Join(addresses, " ")) //nolint:forbidigo // for the test that kills this one
	<-t.Context().Done()
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// throwawayDir is a folder that the user of the servers may use, and that takes
// what a test that is killed leaves there with it.
func throwawayDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chatkit-killed-") //nolint:usetesting // another user than the test's must get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // there is no secret in it
		t.Fatal(err)
	}
	return dir
}

// A test that is killed leaves no server.
func TestServers_EndWithAKilledTest(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProbe_Serves$", "-test.v")
	command.Env = append(os.Environ(), probe+"=serve", "TMPDIR="+throwawayDir(t))
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	var addresses []string
	for lines := bufio.NewScanner(out); addresses == nil && lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if list, is := strings.CutPrefix(lines.Text(), serving); is {
			addresses = strings.Fields(list)
		}
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	if strings.Contains(said.String(), "--- SKIP") && os.Getenv("CI") != "true" {
		t.Skip(said.String())
	}
	if len(addresses) != 3 {
		t.Fatalf("it serves on %v\n%s", addresses, said.String())
	}
	for _, address := range addresses {
		awaitGone(t, address)
	}
}

func awaitGone(t *testing.T, address string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
	}
	t.Errorf("%s still answers", address)
}
