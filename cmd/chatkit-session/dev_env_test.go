package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// devEnvVariables are the variables that dev env sets.
var devEnvVariables = []string{"URL", "TOKEN", "CHATKIT_SESSION_ID", "SESSION_ID", "INTROSPECTION_KEY"}

var evalLine = regexp.MustCompile(`(?m)^  (eval "\$\(.+\)")$`)

// startDev starts dev on a free port with a data folder.
func startDev(t *testing.T, dir string, environ []string, more ...string) *running {
	t.Helper()
	dev := start(t, environ, append([]string{"dev", "--listen", "127.0.0.1:0", "--data-dir", dir}, more...)...)
	dev.paste(t)
	return dev
}

// eval runs a line that sets variables with /bin/sh and returns the variables of
// dev env, and what it wrote to stderr. The go command is this test's binary.
func eval(t *testing.T, line string) (variables map[string]string, stderr string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := "go() { shift 2; " + programVariable + "=1 '" + program + "' \"$@\"; }\n" + line + "\n"
	for _, name := range devEnvVariables {
		script += `printf '%s\n' "$` + name + "\"\n"
	}
	shell := exec.CommandContext(t.Context(), "/bin/sh", "-c", script) //nolint:gosec // the line that dev prints
	shell.Env = []string{"PATH=" + os.Getenv("PATH")}
	var said bytes.Buffer
	shell.Stderr = &said
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	values := strings.Split(string(out), "\n")
	if len(values) != len(devEnvVariables)+1 {
		t.Fatalf("%d lines", len(values))
	}
	variables = map[string]string{}
	for i, name := range devEnvVariables {
		variables[name] = values[i]
	}
	return variables, said.String()
}

// devRequest sends a request and returns its status and its body.
func devRequest(t *testing.T, method, path, authorization, form string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+authorization)
	if form != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(read)
}

// The line that dev prints, run by a shell, sets variables that work, and shows
// no secret elsewhere.
func TestDevEnv(t *testing.T) {
	t.Parallel()
	for name, environ := range map[string][]string{
		"OwnIntrospectionKey":     nil,
		"CallersIntrospectionKey": {"INTROSPECTION_KEYS=" + `it's-$(false)-"0123456789abcdefghij`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data of 'dev'")
			dev := startDev(t, dir, environ)
			got, stderr := eval(t, evalLine.FindStringSubmatch(dev.output.String())[1])
			if stderr != "" {
				t.Errorf("stderr has %s", stderr)
			}
			api := got["URL"] + "/api/chatkit"
			if status, body := devRequest(t, http.MethodGet, api+"/sessions/"+got["SESSION_ID"], got["TOKEN"], ""); status != http.StatusOK || !strings.Contains(body, `"userId":"user_dev"`) {
				t.Errorf("TOKEN and SESSION_ID: %d %s", status, body)
			}
			if status, body := devRequest(t, http.MethodGet, api+"/session/verify", got["CHATKIT_SESSION_ID"], ""); status != http.StatusNoContent {
				t.Errorf("CHATKIT_SESSION_ID: %d %s", status, body)
			}
			form := url.Values{"token": {got["CHATKIT_SESSION_ID"]}}.Encode()
			if status, body := devRequest(t, http.MethodPost, api+"/session/introspect", got["INTROSPECTION_KEY"], form); status != http.StatusOK || !strings.Contains(body, `"active":true`) || !strings.Contains(body, got["SESSION_ID"]) {
				t.Errorf("INTROSPECTION_KEY: %d %s", status, body)
			}
			for _, name := range []string{"TOKEN", "CHATKIT_SESSION_ID", "INTROSPECTION_KEY"} {
				if strings.Contains(dev.logs.String(), got[name]) || strings.Contains(dev.output.String(), got[name]) {
					t.Errorf("dev shows %s", name)
				}
			}
			if again, _ := eval(t, evalLine.FindStringSubmatch(dev.output.String())[1]); again["SESSION_ID"] == got["SESSION_ID"] || again["TOKEN"] == got["TOKEN"] {
				t.Error("two runs share a sign-in")
			}
		})
	}
}

func TestDevEnv_UserAndRole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dev := startDev(t, dir, nil, "--user", "user_1")
	line := evalLine.FindStringSubmatch(dev.output.String())[1]
	got, _ := eval(t, line)
	if status, body := devRequest(t, http.MethodGet, got["URL"]+"/api/chatkit/admin/stats", got["TOKEN"], ""); status != http.StatusForbidden {
		t.Errorf("a member's statistics: %d %s", status, body)
	}
	got, _ = eval(t, strings.Replace(line, ")\"", " --user user_2 --role admin)\"", 1))
	if status, body := devRequest(t, http.MethodGet, got["URL"]+"/api/chatkit/admin/stats", got["TOKEN"], ""); status != http.StatusOK {
		t.Errorf("an admin's statistics: %d %s", status, body)
	}
	if _, body := devRequest(t, http.MethodGet, got["URL"]+"/api/chatkit/sessions", got["TOKEN"], ""); strings.Count(body, `"user_2"`) != 1 || strings.Contains(body, `"user_1"`) {
		t.Errorf("user_2's sessions: %s", body)
	}
}

// devEnv runs dev env with a data folder.
func devEnv(ctx context.Context, dir string, more ...string) (stdout, stderr string, err error) {
	var out, said bytes.Buffer
	err = run(ctx, append([]string{"dev", "env", "--data-dir", dir}, more...), nil, &out, &said)
	return out.String(), said.String(), err
}

// refuses expects dev env to print nothing and to fail with a message.
func refuses(t *testing.T, dir, message string, more ...string) {
	t.Helper()
	stdout, stderr, err := devEnv(t.Context(), dir, more...)
	if err == nil || !strings.Contains(err.Error(), message) || stdout != "" || stderr != "" {
		t.Errorf("dev env %v = %v, want %q; stdout %q, stderr %q", more, err, message, stdout, stderr)
	}
}

func TestDevEnv_NoneRunning(t *testing.T) {
	t.Parallel()
	t.Run("NeverStarted", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "missing")
		refuses(t, dir, "no dev service runs with the data folder "+dir+": start one with chatkit-session dev")
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("dev env makes the folder: %v", err)
		}
	})
	t.Run("Stopped", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		dev := startDev(t, dir, nil)
		if _, _, err := devEnv(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if err := dev.stop(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(filepath.Join(dir, runningFolder)); len(left) > 0 || err != nil {
			t.Errorf("dev leaves %v, %v", left, err)
		}
		refuses(t, dir, "no dev service runs")
	})
	t.Run("Killed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		killed := devInstance{Address: freeAddress(t)}
		if err := killed.register(dir); err != nil {
			t.Fatal(err)
		}
		refuses(t, dir, "no dev service runs")
		startDev(t, dir, nil)
		if _, _, err := devEnv(t.Context(), dir); err != nil {
			t.Errorf("dev env = %v", err)
		}
	})
	t.Run("Serve", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		serve := start(t, testEnviron(t, "DATABASE_URL=sqlite:"+filepath.Join(dir, "sessions.db")), "serve")
		serve.url(t)
		refuses(t, dir, "no dev service runs")
	})
}

func TestDevEnv_SeveralRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := startDev(t, dir, nil), startDev(t, dir, nil, "--user", "user_2")
	refuses(t, dir, "2 dev services run with the data folder "+dir+": choose one with --listen 127.0.0.1:")
	for want, dev := range map[string]*running{"user_dev": first, "user_2": second} {
		got, _ := eval(t, evalLine.FindStringSubmatch(dev.output.String())[1])
		if _, body := devRequest(t, http.MethodGet, got["URL"]+"/api/chatkit/sessions", got["TOKEN"], ""); !strings.Contains(body, `"userId":"`+want+`"`) {
			t.Errorf("the sessions of %s: %s", want, body)
		}
	}
	refuses(t, dir, "no dev service runs on 127.0.0.1:1 ", "--listen", "127.0.0.1:1")
}

// A program that took over the address of a dev that was killed is told apart.
func TestDevEnv_OtherProgramListens(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status     int
		body, want string
	}{
		"OtherKeys":  {http.StatusUnauthorized, `{"code":"unauthorized"}`, "does not accept the keys"},
		"Other":      {http.StatusOK, "<html>", "does not answer as chatkit-session"},
		"NoSession":  {http.StatusOK, "{}", "does not answer as chatkit-session"},
		"Overloaded": {http.StatusServiceUnavailable, `{"code":"overloaded"}`, "503 Service Unavailable overloaded"},
		"Elsewhere":  {http.StatusFound, "", "302 Found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server := newLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://192.0.2.1/")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			other := devInstance{Address: strings.TrimPrefix(server, "http://")}
			if err := other.register(dir); err != nil {
				t.Fatal(err)
			}
			refuses(t, dir, test.want)
		})
	}
}

// dev env sends tokens to loopback addresses only.
func TestDevEnv_LoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"192.0.2.1:8080", "example.com:80", "0.0.0.0:80", ":80", "nonsense", ""} {
		dir := t.TempDir()
		instance := devInstance{Address: address}
		if err := instance.register(dir); err != nil {
			t.Fatal(err)
		}
		refuses(t, dir, instance.file(dir))
	}
}

func TestDevInstance_File(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := devInstance{Address: "127.0.0.1:1", IntrospectionKey: "secret"}
	if err := first.register(dir); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{first.file(dir): 0o600, filepath.Dir(first.file(dir)): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	later := first
	later.Process = first.Process + 1
	content, err := json.Marshal(later)
	if err == nil {
		err = os.WriteFile(first.file(dir), content, 0o600)
	}
	if err := errors.Join(err, first.unregister(dir)); err != nil {
		t.Fatal(err)
	}
	if stored, err := readDevInstance(first.file(dir)); err != nil || stored.Process != later.Process {
		t.Errorf("the file of a later service is %v, %v", stored, err)
	}
	if err := errors.Join(later.unregister(dir), later.unregister(dir)); err != nil {
		t.Errorf("unregister = %v", err)
	}
	if err := os.WriteFile(first.file(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, dir, "is invalid: delete it")
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain-1.2/3:4", "it's", "a b", "$(false)", "`false`", `\`, "\n", "*", "~", "é", "'''", `"$HOME"`, "a;b", "#", "!x"} {
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "printf %s "+shellQuote(text)).Output() //nolint:gosec // what is tested
		if err != nil || string(out) != text {
			t.Errorf("%q is %q for a shell, %v", text, out, err)
		}
	}
	if got := shellQuote("/usr/bin/chatkit-session"); got != "/usr/bin/chatkit-session" {
		t.Errorf("a plain word is quoted: %s", got)
	}
}
