package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// service is a program with the command lines of chatkit-session that the
// checker uses. It answers / with 200 and other paths with 404.
const service = `package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

func main() {
	folder := os.Args[len(os.Args)-1] // of --data-dir
	if os.Args[2] == "env" {
		if os.Args[len(os.Args)-2] != "--data-dir" {
			folder = ".chatkit-dev"
		}
		address, err := os.ReadFile(filepath.Join(folder, "address"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("export URL=http://%s TOKEN=t%d\n", address, os.Getpid())
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	os.MkdirAll(folder, 0o700)
	os.WriteFile(filepath.Join(folder, "address"), []byte(listener.Addr().String()), 0o600)
	http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(404)
		}
		fmt.Fprintln(w, "answered", r.URL.Path)
	}))
}
`

// Blocks run with the variables of dev env, in a copy of the repository; each
// that fails is a problem with its output.
func TestShell(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	const heading = "# A\n\n"
	background := filepath.Join(t.TempDir(), "pid")
	pages := map[string]struct{ text, want string }{
		"exit":       {fenced("sh", "echo before", "false", "echo after"), "exit status 1:\n    before\n    line 5: exit status 1: false"},
		"pipe":       {fenced("sh", "false | cat"), "exit status 1:"},
		"unset":      {fenced("sh", `echo "$NOT_SET"`), "exit status 1:\n    unset.md: line 4: NOT_SET: unbound variable"},
		"missing":    {fenced("sh", "no-such-program"), "exit status 127:"},
		"syntax":     {fenced("sh", "if"), "exit status 2:"},
		"notFound":   {fenced("sh", `curl -sS "$URL/missing"`), "exit status 22:\n    curl: (22)"},
		"noVariable": {fenced("sh", "MINE=1") + fenced("sh", `echo "$MINE"`), "exit status 1:"},
		"good": {fenced("sh", `curl -sS "$URL/" | grep answered`, "echo kept >file") +
			fenced("sh", "cat file", `[[ "$(curl -s -o /dev/null -w '%{http_code}' "$URL")" == 200 ]]`) +
			fenced("sh any-status", `curl -sS "$URL/missing"`) +
			fenced("sh", `if curl -fsS "$URL/missing"; then exit 1; fi`) +
			fenced("sh", `before=$TOKEN`, `eval "$(go run ./cmd/chatkit-session dev env)"`, `[[ $TOKEN != "$before" ]]`, `curl -sS "$URL/"`) +
			fenced("sh", "test -e good.md") +
			fenced("sh", "sleep 3600 &", "echo $! >"+background), ""},
		"other": {fenced("sh", "test ! -e file"), ""}, // a new copy
	}
	files := map[string]string{
		"go.mod":                      "module example\n\ngo 1.26\n",
		"cmd/chatkit-session/main.go": service,
	}
	for name, page := range pages {
		files[name+".md"] = heading + page.text
	}
	root := repositoryOf(t, files)
	got := check(t, root)
	if pid, err := os.ReadFile(background); err != nil || isRunning(strings.TrimSpace(string(pid))) {
		t.Errorf("process %s, which a block started in the background, still runs (%v)", pid, err)
	}
	for name, page := range pages {
		if page.want != "" && !strings.Contains(got, name+".md:3: "+page.want) && !strings.Contains(got, name+".md:6: "+page.want) {
			t.Errorf("%s: want %q", name, page.want)
		}
		if page.want == "" && strings.Contains(got, name+".md:") && !strings.Contains(got, name+".md: ") {
			t.Errorf("%s: want no problem", name)
		}
	}
	for _, want := range []string{"good.md: 7 run, 0 parsed, 0 skipped, 0 output\n", "exit.md: 0 run", "other.md: 1 run"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
	if _, err := os.Stat(filepath.Join(root, "file")); err == nil {
		t.Error("a block wrote into the repository")
	}
}

// isRunning reports whether a process has a command line: a zombie has none.
func isRunning(pid string) bool {
	commandLine, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	return err == nil && len(commandLine) > 0
}

// A service that cannot be built or started is an error, not a problem of a
// page.
func TestShell_NoService(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	for name, main := range map[string]string{
		"NotBuilt":   "package main\n",
		"NotStarted": "package main\n\nfunc main() { panic(\"broken\") }\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := repositoryOf(t, map[string]string{
				"go.mod":                      "module example\n\ngo 1.26\n",
				"cmd/chatkit-session/main.go": main,
				"a.md":                        fenced("sh", "true"),
			})
			if found, err := run(t.Context(), []string{root}, t.Output()); err == nil {
				t.Errorf("docscheck finds %d problems, want an error", found)
			}
		})
	}
}
