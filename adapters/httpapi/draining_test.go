package httpapi_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/session"
)

// A replica that is about to stop announces it on open connections, too:
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
