package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun_Healthcheck(t *testing.T) {
	t.Parallel()
	s := start(t, testEnviron(t, "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "sessions.db")), "serve")
	address := strings.TrimPrefix(s.url(t), "http://")
	for _, environ := range [][]string{{"LISTEN_ADDR=" + address}, {"LISTEN_ADDR_FILE=" + file(t, address+"\n")}} {
		if err := run(t.Context(), []string{"healthcheck"}, environ, io.Discard, io.Discard); err != nil {
			t.Errorf("healthcheck = %v", err)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), []string{"healthcheck"}, []string{"LISTEN_ADDR=" + address}, io.Discard, io.Discard); err == nil {
		t.Error("a stopped service is healthy")
	}
	for _, environ := range []string{"LISTEN_ADDR=8080", "LISTEN_ADDR_FILE=/does/not/exist"} {
		if err := run(t.Context(), []string{"healthcheck"}, []string{environ}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "LISTEN_ADDR") {
			t.Errorf("with %s healthcheck = %v", environ, err)
		}
	}
}

// healthcheck connects to this machine, on any listen address, without a proxy.
func TestRun_Healthcheck_Addresses(t *testing.T) { //nolint:paralleltest // it sets the process's environment
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a proxy is asked") }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "http_proxy"} {
		t.Setenv(name, proxy.URL) // for the process: that is where the standard client looks
	}
	for _, host := range addresses(t) {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Logf("not on %s: %v", host, err)
			continue
		}
		asked := ""
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.Path })}} //nolint:gosec // a test's own
		server.Start()
		t.Cleanup(server.Close)
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), []string{"healthcheck"}, []string{"LISTEN_ADDR=" + net.JoinHostPort(host, port)}, io.Discard, io.Discard); err != nil || asked != "/readyz" {
			t.Errorf("on %q healthcheck = %v", host, err)
		}
	}
}

// addresses are those to listen on: any, and this machine's own, with their
// zones.
func addresses(t *testing.T) []string {
	t.Helper()
	hosts := []string{"", "0.0.0.0", "::", "127.0.0.1", "::1", "localhost"}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range interfaces {
		own, err := one.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range own {
			network, is := address.(*net.IPNet)
			switch {
			case is && network.IP.IsLinkLocalUnicast() && network.IP.To4() == nil:
				hosts = append(hosts, network.IP.String()+"%"+one.Name)
			case is && !network.IP.IsLoopback(): // for which the standard client takes a proxy
				hosts = append(hosts, network.IP.String())
			}
		}
	}
	return append(hosts, "::1%lo") // a zone, where there are no such addresses
}

// The reason why the service is not ready is printed.
func TestRun_Healthcheck_NotReady(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"store":"unavailable"}`)
	}))
	t.Cleanup(server.Close)
	var says bytes.Buffer
	err := run(t.Context(), []string{"healthcheck"}, []string{"LISTEN_ADDR=" + server.Listener.Addr().String()}, io.Discard, &says)
	if err == nil || !strings.Contains(says.String(), `"store":"unavailable"`) {
		t.Errorf("healthcheck = %v, and says %s", err, &says)
	}
}
