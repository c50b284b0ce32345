package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// chatBackend streams its answer in two parts, the second once it may, and
// tells what it was sent.
type chatBackend struct {
	seen chan http.Header
	body chan string
	may  chan struct{}
}

func (b *chatBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.seen <- r.Header.Clone()
	b.body <- string(body)
	if r.Method == http.MethodOptions {
		return
	}
	_, _ = io.WriteString(w, "one ")
	w.(http.Flusher).Flush()
	select {
	case <-b.may:
	case <-r.Context().Done():
	}
	_, _ = io.WriteString(w, "two")
}

// The nginx configuration of docs/backend.md, in front of a chat back end that streams:
// what the client calls itself does not get through, and a session that ended
// is cut off at its next request.
func TestDocs_NginxConfiguration(t *testing.T) {
	t.Parallel()
	nginx := findNginx(t)
	// With one failure a minute, what nginx is told of most is that there were too
	// many: to the client they are no others.
	s := onSQLite(t, "TRUSTED_PROXIES=127.0.0.1", "CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=1")
	backend := &chatBackend{seen: make(chan http.Header, 9), body: make(chan string, 9), may: make(chan struct{}, 1)}
	proxy := startNginx(t, nginx, newLoopback(t, backend), newLoopback(t, s.app.server.Handler))
	token := s.open(t, "user_1", `{"deviceId":"phone"}`).Session.ChatKitSessionID

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	// From another address of loopback than the proxy's.
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	send := func(token, method string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, method, proxy+"/chatkit", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		request.Header.Set("User-Agent", iphone)
		request.Header.Set("X-Forwarded-For", "203.0.113.66") // nobody believes it
		for _, name := range []string{"User-Id", "Session-Id", "Device-Id", "Workflow-Id", "Actor", "Warning", "Token"} {
			request.Header.Set("X-ChatKit-"+name, "forged")
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	status := func(token string) int {
		response := send(token, http.MethodPost)
		defer response.Body.Close() //nolint:errcheck // nobody reads it
		return response.StatusCode
	}

	response := send(token, http.MethodPost)
	defer response.Body.Close() //nolint:errcheck // it is read to its end
	if response.StatusCode != http.StatusOK {
		t.Fatalf("a valid token got %d", response.StatusCode)
	}
	part := make([]byte, 4)
	if _, err := io.ReadFull(response.Body, part); err != nil || string(part) != "one " {
		t.Errorf("the first part is %q, %v", part, err)
	}
	backend.may <- struct{}{} // only now: the first part was not held back
	if rest, err := io.ReadAll(response.Body); err != nil || string(rest) != "two" {
		t.Errorf("the rest is %q, %v", rest, err)
	}
	header, body := <-backend.seen, <-backend.body
	if header.Get("X-ChatKit-User-Id") != "user_1" || header.Get("X-ChatKit-Device-Id") != "phone" || header.Get("X-ChatKit-Workflow-Id") != "workflow_1" || body != "hello" {
		t.Errorf("the back end got %v and %q", header, body)
	}
	if _, there := header["X-Chatkit-Actor"]; there {
		t.Errorf("the back end is told of an actor where there is none: %v", header)
	}
	if sent := fmt.Sprint(header); strings.Contains(sent, "forged") || strings.Contains(sent, token) {
		t.Errorf("the back end got what the client sent: %v", header)
	}

	if err := s.app.usage.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seen := s.list(t, s.credential(t, "user_1", "member")).Sessions[0]; seen.IP != "127.0.0.2" || seen.Client.Kind != "mobile" || seen.Checks != 1 {
		t.Errorf("the session is seen in use as %+v", seen)
	}

	for name, token := range map[string]string{"none": "", "another": "550e8400-e29b-41d4-a716-446655440000"} {
		if got := status(token); got != http.StatusUnauthorized {
			t.Errorf("%s got %d", name, got)
		}
	}
	preflight := send("", http.MethodOptions)
	_ = preflight.Body.Close()
	if header := <-backend.seen; preflight.StatusCode != http.StatusOK || strings.Contains(fmt.Sprint(header), "forged") {
		t.Errorf("a preflight got %d, and the back end %v", preflight.StatusCode, header)
	}
	s.revoke(t, "user_1", "phone")
	if got := status(token); got != http.StatusUnauthorized {
		t.Errorf("after its session ended the token got %d", got)
	}
	if len(backend.seen) != 0 {
		t.Error("the back end saw a request without a session")
	}
}

// revoke ends a user's session on a device.
func (s *service) revoke(t testing.TB, user, device string) {
	t.Helper()
	scope := ports.Scope{User: session.Must(session.ParseUserID(user))}
	err := s.app.store.Update(t.Context(), scope, func(seen ports.Seen) (ports.Changes, error) {
		for _, ended := range seen.Sessions {
			if ended.Device().String() == device && ended.Status() == session.StatusActive {
				ended.Revoke(session.EndUser, s.clock.Now())
				return ports.Changes{Sessions: []session.Session{ended}}, nil
			}
		}
		return ports.Changes{}, fmt.Errorf("no session of %s on %s", user, device)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// findNginx skips the test where nginx is not installed, and fails it in CI.
func findNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("nginx is not installed")
	}
	t.Skip("nginx is not installed")
	return ""
}

var nginxBlock = regexp.MustCompile("(?s)```nginx\n(.*?)```")

// startNginx runs nginx with the configuration of docs/backend.md until the test ends,
// and returns its URL.
func startNginx(t *testing.T, nginx, chat, sessions string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/backend.md")
	if err != nil {
		t.Fatal(err)
	}
	block := nginxBlock.FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/backend.md has no configuration for nginx")
	}
	dir, address := t.TempDir(), freeAddress(t)
	var paths strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/log;
events {}
http {
access_log off;
%[2]s
upstream chat { server %[3]s; }
upstream sessions { server %[4]s; }
server { listen %[5]s;
%[6]s
} }`, dir, &paths, strings.TrimPrefix(chat, "http://"), strings.TrimPrefix(sessions, "http://"), address, block[1])
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var complaint bytes.Buffer
	command := exec.CommandContext(context.WithoutCancel(t.Context()), nginx, "-e", filepath.Join(dir, "log"), "-p", dir, "-c", file)
	command.Stderr = &complaint
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() { _ = command.Process.Kill(); <-ended })
	awaitListener(t, address, ended, &complaint)
	return "http://" + address
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener := httptest.NewUnstartedServer(nil).Listener
	defer listener.Close() //nolint:errcheck // nothing was sent
	return listener.Addr().String()
}

// awaitListener waits until somebody listens on address.
func awaitListener(t *testing.T, address string, ended chan error, complaint *bytes.Buffer) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v\n%s", err, complaint)
		case <-tick.C:
		}
	}
	t.Fatal("nginx does not listen")
}
