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
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

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

// A client that closes its side of the connection once it has asked waits for
// its answer anyway.
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
