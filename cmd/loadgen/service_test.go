package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"chatkit-session/adapters/keyring"
	"chatkit-session/adapters/postgres/pgtest"
)

// Every kind of request gets nothing but good answers of the service itself,
// on sessions that seed has prepared; at a rate, too.
func TestRun_OnService(t *testing.T) {
	t.Parallel()
	b, service := startService(t)
	keys := filepath.Join(b.dir, "keys")
	for _, kind := range []string{kindReused, kindRefreshed, kindCreated, kindVerify, kindIntrospect, kindList, kindMixed} {
		var out strings.Builder
		err := run(t.Context(), []string{
			"run", "--url", "http://" + service.address, "--keys", keys, "--kind", kind, "--users", "12", "--connections", "3",
			"--requests", "60", "--rate", "200", "--duration", "1m", "--introspection-key", b.key,
		}, &out, io.Discard)
		if err != nil || !strings.Contains(out.String(), "requests  60, 0 failed") {
			t.Errorf("%s: %v\n%s", kind, err, out.String())
		}
	}
	if service.cpu() < 0 || service.memory() < 0 {
		t.Error("the service takes less than nothing")
	}
}

// startService builds the service's binary and starts it on a seeded database.
func startService(t *testing.T) (*bench, *serverProcess) {
	t.Helper()
	dir := t.TempDir()
	b := &bench{
		compareCommand: compareCommand{Service: buildService(t)}, process: &process{ctx: t.Context(), stdout: io.Discard, stderr: io.Discard},
		dir: dir, database: pgtest.Empty(t), key: keyring.Generate(),
	}
	keys := filepath.Join(dir, "keys")
	for _, err := range []error{
		b.call("dev", "--write-keys", keys),
		b.call("migrate"),
		seedCommand{Database: b.database, Keys: keys, Sessions: 100, Users: 12, Workflow: benchWorkflow}.Run(b.process),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
	service, err := b.startService()
	if err != nil {
		t.Fatal(err)
	}
	return b, service
}

// buildService returns the service's binary.
func buildService(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "chatkit-session")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../chatkit-session").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// alone returns a program that is binary and refuses to serve while it does
// already.
func alone(t *testing.T, binary string) string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
if [ "$1" = serve ]; then
	if [ -e '%[1]s/pid' ] && kill -0 "$(cat '%[1]s/pid')"; then
		echo another one serves already
		exit 1
	fi
	echo $$ >'%[1]s/pid'
fi
exec '%[2]s' "$@"
`, dir, binary)
	path := filepath.Join(dir, "alone")
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	return path
}

// compare runs from nothing to a table, no two services at once, and leaves
// nothing behind.
func TestCompare(t *testing.T) {
	t.Parallel()
	report := filepath.Join(t.TempDir(), "report.json")
	var out strings.Builder
	err := run(t.Context(), []string{
		"compare", "--chatkit-session", alone(t, buildService(t)), "--database", pgtest.Empty(t), "--sessions", "500", "--users", "20", "--connections", "3",
		"--rounds", "2", "--duration", "100ms", "--json", report,
	}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, budget := range budgets {
		if row := (comparedRow{Kind: budget.kind, With: budget.with.name}).name(); !strings.Contains(out.String(), "\n"+row+" ") {
			t.Errorf("%s is not in\n%s", row, out.String())
		}
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var got comparison
	if err := json.Unmarshal(text, &got); err != nil || strings.Count(string(text), `"floor":`) != 2*len(budgets) || len(got.Services) != len(setups) || !strings.Contains(got.Server, " fsync=") {
		t.Errorf("reports %s, %v", text, err)
	}
	for _, service := range got.Services {
		if runtime.GOOS == "linux" && service.Memory == 0 {
			t.Errorf("nobody knows how much memory the service took, %q", service.With)
		}
	}
}
