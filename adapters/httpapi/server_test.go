package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/api"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}) // it asks nobody
	if got := s.do(t, request(t, http.MethodGet, "/healthz", "")); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"status":"ok"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.do(t, request(t, http.MethodHead, "/healthz", "")); got.status != http.StatusOK {
		t.Errorf("HEAD got %d", got.status)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.ready.EXPECT().Ready(gomock.Any()).Return(nil, nil)
	if got := s.do(t, request(t, http.MethodGet, "/readyz", "")); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"status":"ok"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.ready.EXPECT().Ready(gomock.Any()).Return([]string{"this", "that"}, nil)
	if got := s.do(t, request(t, http.MethodGet, "/readyz", "")); got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"degraded":["this","that"],"status":"ok"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.ready.EXPECT().Ready(gomock.Any()).Return(nil, session.Wrap(session.KindUnavailable, errors.New(secret))).Times(2)
	if got := s.do(t, request(t, http.MethodGet, "/readyz", "")); got.status != http.StatusServiceUnavailable || strings.Contains(got.body, secret) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.do(t, request(t, http.MethodHead, "/readyz", "")); got.status != http.StatusServiceUnavailable {
		t.Errorf("HEAD got %d", got.status)
	}
}

// A replica that is not ready says which part of it fails, and not where that is.
func TestReady_NamesWhatFails(t *testing.T) {
	t.Parallel()
	for reason, want := range map[session.Reason]string{
		session.ReasonStore: `"store":"unavailable"`, session.ReasonClock: `"clock":"differs"`, session.ReasonStopping: `"replica":"stopping"`,
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			s.ready.EXPECT().Ready(gomock.Any()).Return(nil, session.Because(session.KindUnavailable, reason, errors.New(secret)))
			got := s.do(t, request(t, http.MethodGet, "/readyz", ""))
			if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, want) || !strings.Contains(got.body, `"code":"unavailable"`) || strings.Contains(got.body, secret) {
				t.Errorf("got %d %s, want %s", got.status, got.body, want)
			}
			if got.header.Get("Retry-After") == "" {
				t.Error("it does not say when to ask again")
			}
		})
	}
}

// A replica that is about to stop says so on connections that are open, too:
// whatever it answers is its last word there.
func TestDraining(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.opens(session.KindUnavailable)
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	for _, call := range []string{"GET /healthz", "POST " + openPath, "GET /nothing", "OPTIONS " + openPath} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // nothing is lost
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(conn)
		for _, draining := range []bool{false, true} {
			s.draining.Store(draining)
			if _, err := io.WriteString(conn, call+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer jwt\r\nContent-Length: 0\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.Close != draining {
				t.Fatalf("%s, draining %v: the connection closes: %v, %v", call, draining, response.Close, err)
			}
			_ = response.Body.Close()
		}
		if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection goes on: %v", call, err)
		}
	}
}

// A client that closes its side of the connection once it has asked waits for
// its answer all the same.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]int{
		"GET " + verifyPath:      http.StatusNoContent,
		"POST " + introspectPath: http.StatusOK,
		"GET " + sessionsPath:    http.StatusOK,
		"DELETE " + sessionsPath: http.StatusOK,
		"POST " + openPath:       http.StatusServiceUnavailable, // which is the store's fault
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{IntrospectionKeys: []string{backendKey}})
			s.authorizer.EXPECT().Authorize(gomock.Any(), gomock.Any(), gomock.Any()).Return(member, nil).AnyTimes()
			s.opener.EXPECT().Workflow().Return(workflow, nil).AnyTimes()
			closed := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				context.AfterFunc(r.Context(), func() { close(closed) })
				s.handler.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			// works waits until the server knows, and gives up if it may not go on.
			works := func(ctx context.Context) error {
				<-closed
				return session.Wrap(session.KindUnavailable, ctx.Err())
			}
			s.checker.EXPECT().Check(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
				func(ctx context.Context, _ string, _ session.Source) (ports.Checked, error) {
					return good(false), works(ctx)
				}).AnyTimes()
			s.lister.EXPECT().List(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
				func(ctx context.Context, _ access.Caller, _ ports.ListRequest) (ports.Page, error) {
					return ports.Page{}, works(ctx)
				}).AnyTimes()
			s.revoker.EXPECT().RevokeAll(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
				func(ctx context.Context, _ access.Caller, _ session.ID) (int, error) { return 0, works(ctx) }).AnyTimes()
			s.opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
				func(ctx context.Context, _ access.Caller, _ ports.OpenRequest) (ports.Opened, error) {
					_ = works(ctx)
					return ports.Opened{}, session.Wrap(session.KindUnavailable, errors.New(secret))
				}).AnyTimes()

			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // nothing is lost
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			const form = "token=x"
			text := call + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + backendKey + "\r\n"
			if strings.HasSuffix(call, introspectPath) {
				text += "Content-Type: " + formType + "\r\nContent-Length: " + fmt.Sprint(len(form)) + "\r\n\r\n" + form
			} else {
				text += "\r\n"
			}
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != want {
				t.Fatalf("got %v, %v", response, err)
			}
			_ = response.Body.Close()
			server.Close() // then all is logged
			if failed := s.lines(t, "request failed"); want == http.StatusServiceUnavailable && (len(failed) != 1 || failed[0]["level"] != "ERROR") {
				t.Errorf("the log has %v", failed)
			}
		})
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	recorder := s.get(t, "/openapi.yaml")
	if recorder.status != http.StatusOK || recorder.body != string(api.Spec) || recorder.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("got %d, %s", recorder.status, recorder.header.Get("Content-Type"))
	}
}

// get fetches what is beside the contract.
func (s *subject) get(t testing.TB, path string) answer {
	t.Helper()
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, request(t, http.MethodGet, path, ""))
	return answer{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
}

var (
	loaded   = regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	external = regexp.MustCompile(`^(?:https?:)?//`)
)

// The documentation works without a network: all that it loads is served here.
func TestDocs_WorkOffline(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	index := s.get(t, "/docs")
	if index.status != http.StatusOK || !strings.Contains(index.body, "/openapi.yaml") {
		t.Fatalf("got %d %s", index.status, index.body)
	}
	assets := 0
	for _, match := range loaded.FindAllStringSubmatch(index.body, -1) {
		if external.MatchString(match[1]) {
			t.Errorf("it loads %s", match[1])
			continue
		}
		got := s.get(t, match[1])
		if got.status != http.StatusOK || len(got.body) == 0 {
			t.Errorf("%s got %d", match[1], got.status)
		}
		assets++
	}
	if assets < 3 {
		t.Errorf("found only %d assets in\n%s", assets, index.body)
	}
	policy := index.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "http") {
		t.Errorf("its policy is %q", policy)
	}
}

func TestDocs_Off(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{NoDocs: true})
	for path, want := range map[string]int{"/docs": 404, "/docs/": 404, "/docs/swagger-ui.css": 404, "/openapi.yaml": 200} {
		if got := s.get(t, path); got.status != want {
			t.Errorf("%s got %d", path, got.status)
		}
	}
}

// A server gives up headers without bound, and clients that send them slowly.
func TestNewServer_Bounds(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	server := httpapi.NewServer(newSubject(t, httpapi.Config{}).handler, 10*time.Second, 0, slog.New(slog.NewTextHandler(&log, nil)))
	for name, timeout := range map[string]time.Duration{
		"ReadHeaderTimeout": server.ReadHeaderTimeout, "ReadTimeout": server.ReadTimeout, "IdleTimeout": server.IdleTimeout, "WriteTimeout": server.WriteTimeout,
	} {
		if timeout <= 0 || timeout > 11*time.Minute {
			t.Errorf("a slow client may hold a connection for ever: %s is %s", name, timeout)
		}
	}
	if server.IdleTimeout <= 600*time.Second {
		t.Errorf("Google's load balancers keep connections longer than the %s of the server", server.IdleTimeout)
	}
	if server.WriteTimeout <= 10*time.Second {
		t.Error("an answer at the request's own deadline would be cut off")
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/healthz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("headers of 64 KiB got %d, %v", response.StatusCode, err)
	}
}
