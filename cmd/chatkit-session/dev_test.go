package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestRun_Dev(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"dev", "--listen", "127.0.0.1:0", "--data-dir", dir}

	first := start(t, nil, args...)
	open := first.paste(t)
	created, reused := open(), open()
	if created.Outcome != "created" || reused.Outcome != "reused" || reused.Session.ID != created.Session.ID {
		t.Errorf("first %s\nthen %s", created.raw, reused.raw)
	}
	if err := first.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	second := start(t, nil, args...)
	if anew := second.paste(t)(); anew.Outcome != "created" || anew.Session.DeviceID == created.Session.DeviceID {
		t.Errorf("the line of a restart, which is another sign-in, got %s", anew.raw)
	}
	if again := second.openAs(t, first.pasted); again.Outcome != "reused" || again.Session.ChatKitSessionID != created.Session.ChatKitSessionID {
		t.Errorf("after a restart got %s", again.raw)
	}
	if strings.Contains(second.logs.String(), "TRUSTED_PROXIES") {
		t.Errorf("it speaks of proxies:\n%s", second.logs)
	}
	if info, err := os.Stat(filepath.Join(dir, "signing_key.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the signing key's file: %v %v", info, err)
	}
}

func TestRun_Dev_UserAndRole(t *testing.T) {
	t.Parallel()
	s := start(t, []string{"CHATKIT_WORKFLOW_ID="}, "dev", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"), "--user", "user_boss", "--role", "admin")
	if got := s.paste(t)(); got.Session.UserID != "user_boss" || got.Session.WorkflowID != "workflow_dev" {
		t.Errorf("got %s", got.raw)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(s.pasted, ".")[1])
	if err != nil || !strings.Contains(string(claims), `"role":"admin"`) {
		t.Errorf("the credential says %s, %v", claims, err)
	}
}

// dev warns of settings that have no effect in it, and shows no value of them.
func TestRun_Dev_WarnsOfSettingsWithoutEffect(t *testing.T) {
	t.Parallel()
	s := start(t, []string{"DATABASE_URL=postgres://db/secret", "CLERK_SECRET_KEY_FILE=none", "LISTEN_ADDR=:80", "CLERK_JWT_KEY=", "LOG_LEVEL=warn"},
		"dev", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"))
	s.paste(t)()
	for _, name := range []string{"DATABASE_URL", "CLERK_SECRET_KEY_FILE", "LISTEN_ADDR"} {
		s.logs.await(t, regexp.MustCompile(`level=WARN msg="`+name+` is set but has no effect in dev"`))
	}
	if got := s.logs.String(); strings.Count(got, "has no effect") != 3 || strings.Contains(got, "secret") {
		t.Errorf("the log has\n%s", got)
	}
}

func TestRun_Dev_ListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, address := range []string{":8080", "0.0.0.0:0", "[::]:0", "192.0.2.1:8080", "example.com:80", "nonsense"} {
		err := run(t.Context(), []string{"dev", "--listen", address, "--data-dir", t.TempDir()}, nil, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("dev listens on %s: %v", address, err)
		}
	}
}

// The settings that dev --write-keys prints, pasted into a shell, are all that
// serve needs. Without them serve does not accept dev's tokens.
func TestRun_Serve_WithWrittenKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"dev", "--write-keys", dir}, nil, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	credential := curlLine.FindStringSubmatch(out.String())[3]
	_, block, _ := strings.Cut(out.String(), "\n\n")
	block, _, _ = strings.Cut(block, "\n\n")
	shell := exec.CommandContext(t.Context(), "sh", "-c", block+"\nenv") //nolint:gosec // what is to be pasted
	shell.Env = []string{"PATH=" + os.Getenv("PATH")}
	exported, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, append(strings.Split(strings.TrimSpace(string(exported)), "\n"),
		"LISTEN_ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "sessions.db")), "serve")
	if got := s.post(t, credential); got.Outcome != "created" {
		t.Errorf("got %s", got.raw)
	}
	strangers := start(t, testEnviron(t, "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "sessions.db")), "serve")
	if got := strangers.post(t, credential); got.Status != http.StatusUnauthorized {
		t.Errorf("serve accepts a dev credential: %s", got.raw)
	}
}

// A developer who opens the printed address in a browser gets a page. serve has
// none.
func TestRun_Dev_StartPage(t *testing.T) {
	t.Parallel()
	dev := startDev(t, t.TempDir(), nil)
	address := strings.TrimSuffix(dev.openURL, "/api/chatkit/session")
	if status, body := devRequest(t, http.MethodGet, address+"/", "", ""); status != http.StatusOK || !strings.HasPrefix(body, "<!doctype html>") {
		t.Errorf("dev answers %d %s", status, body)
	}
	serve := start(t, testEnviron(t, "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "sessions.db")), "serve")
	if status, body := devRequest(t, http.MethodGet, serve.url(t)+"/", "", ""); status != http.StatusNotFound {
		t.Errorf("serve answers %d %s", status, body)
	}
}
