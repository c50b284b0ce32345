package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for text, test := range map[string]struct{ refused, own bool }{
		"http://127.0.0.1:8080":       {},
		"http://localhost:8080/":      {},
		"http://[::1]:8080":           {},
		"https://127.8.9.1":           {},
		"http://sessions.example.com": {refused: true},
		"http://192.168.0.1:8080":     {refused: true},
		"http://127.0.0.1.example.io": {refused: true},
		"http://localhost@evil.io":    {refused: true},
		"http://0.0.0.0:8080":         {refused: true},
		"https://mine.example.com":    {own: true},
		"http://127.0.0.1/api":        {refused: true, own: true},
		"127.0.0.1:8080":              {refused: true, own: true},
		"ftp://127.0.0.1":             {refused: true, own: true},
		"http:///x":                   {refused: true, own: true},
	} {
		if u, err := parseTarget(text, test.own); (err != nil) != test.refused || (err == nil && u.Path != "") {
			t.Errorf("%s: %v, %v", text, u, err)
		}
	}
}

func TestCheckDatabase(t *testing.T) {
	t.Parallel()
	for text, refused := range map[string]bool{
		"postgres://me@127.0.0.1:5432/x":                       false,
		"postgres://me@localhost/x":                            false,
		"postgres:///x?host=/var/run/postgresql":               false,
		"postgres:///x":                                        false,
		"postgres://me:secret@db.internal/x":                   true,
		"postgres://me@127.0.0.1/x?host=db-1":                  true,
		"postgres:///x?host=127.0.0.1,db-2":                    true,
		"postgres://me@db.internal/x?host=/var/run/postgresql": false,
		"postgres://me:secret@%zz/x":                           true,
	} {
		err := checkDatabase(text, false)
		if (err != nil) != refused || (err != nil && strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", text, err)
		}
		if err := checkDatabase(text, true); (err != nil) != strings.Contains(text, "%zz") {
			t.Errorf("%s of one's own: %v", text, err)
		}
	}
}

func TestRequireLoopback(t *testing.T) {
	t.Parallel()
	for address, refused := range map[string]bool{
		"127.0.0.1:8081": false, "[::1]:0": false, "localhost:1": false,
		":8081": true, "0.0.0.0:8081": true, "192.168.0.1:1": true, "127.0.0.1": true,
	} {
		if err := requireLoopback(address); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The command line refuses what is somebody else's, and what has no end.
func TestRun_Refuses(t *testing.T) {
	t.Parallel()
	keys := t.TempDir()
	ask := func(more ...string) []string {
		return append([]string{"run", "--keys", keys, "--kind", "verify", "--url", "http://127.0.0.1:1"}, more...)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"Host":        {[]string{"run", "--keys", keys, "--kind", "list", "--url", "http://example.com"}, "--i-own-this-host"},
		"Database":    {[]string{"seed", "--keys", keys, "--database", "postgres://me@db.internal/x"}, "--i-own-this-host"},
		"Kind":        {[]string{"run", "--keys", keys, "--kind", "nonsense", "--url", "http://127.0.0.1:1"}, "must be one of"},
		"Users":       {ask("--users", "0"), "--users"},
		"Connections": {ask("--connections", "100000"), "--connections"},
		"Rate":        {ask("--rate", "1e9"), "--rate"},
		"Duration":    {ask("--duration", "25h"), "--duration"},
		"Requests":    {ask("--requests", "-1"), "--requests"},
		"Lifetime":    {ask("--token-lifetime", "1s"), "--token-lifetime"},
		"Key":         {[]string{"run", "--keys", keys, "--kind", "introspect", "--introspection-key", "", "--url", "http://127.0.0.1:1"}, "--introspection-key"},
		"NoKeys":      {ask(), "dev --write-keys"},
		"Floor":       {[]string{"floor", "--keys", keys, "--database", "postgres://127.0.0.1:1/x", "--listen", ":8081"}, "not a loopback address"},
		"Seed":        {[]string{"seed", "--keys", keys, "--database", "postgres://127.0.0.1:1/x", "--sessions", "-1"}, "--sessions"},
		"Rounds":      {[]string{"compare", "--chatkit-session", "loopback_test.go", "--rounds", "0"}, "--rounds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), test.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// A serverProcess that ends at once is an error that says what it said, not a wait.
func TestStartChild_Ends(t *testing.T) {
	t.Parallel()
	start := time.Now()
	_, err := startServer(t.Context(), "the service", "127.0.0.1:1", t.TempDir()+"/log", nil, "/bin/sh", "-c", "echo no luck >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "no luck") || !strings.Contains(err.Error(), "exit status 3") || time.Since(start) > startTimeout/2 {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}
