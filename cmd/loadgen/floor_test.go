package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/adapters/keyring"
	"chatkit-session/adapters/postgres/pgtest"
)

// TestMain is the program itself when compare starts the floor.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		main()
		return
	}
	pgtest.Main(m)
}

// testKeys is a folder as chatkit-session dev --write-keys makes it.
func testKeys(t *testing.T) string {
	t.Helper()
	identity, err := fakeclerk.New(issuer)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"signing_key.pem": string(identity.PrivatePEM()), "token_keys": keyring.Generate()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// startFloor seeds a database, serves the floor on it and returns where.
func startFloor(t *testing.T, keys string, more ...string) string {
	t.Helper()
	return floorOn(t, seeded(t, keys), keys, more...)
}

// seeded returns a database with the sessions of 20 users.
func seeded(t *testing.T, keys string) string {
	t.Helper()
	database := pgtest.New(t)
	var out strings.Builder
	if err := run(t.Context(), []string{"seed", "--database", database, "--keys", keys, "--sessions", "500", "--users", "20"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "500 sessions in ") || !strings.HasSuffix(out.String(), " rows/s\n") {
		t.Errorf("seed says %q", out.String())
	}
	return database
}

// floorOn serves the floor on a database and returns where.
func floorOn(t *testing.T, database, keys string, more ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	said, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"floor", "--database", database, "--keys", keys, "--listen", "127.0.0.1:0"}, more...), writer, io.Discard)
		_ = writer.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the floor ended with %v", err)
		}
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(strings.TrimSpace(line), "listens on ")
	return address
}

// Seed, floor and run understand each other: every kind that the floor knows
// gets nothing but good answers.
func TestRun_OnFloor(t *testing.T) {
	t.Parallel()
	keys := testKeys(t)
	address := startFloor(t, keys)
	for _, kind := range []string{kindReused, kindVerify, kindIntrospect} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "report.json")
			var out strings.Builder
			err := run(t.Context(), []string{
				"run", "--url", address, "--keys", keys, "--kind", kind, "--users", "20", "--connections", "3",
				"--requests", "100", "--duration", "1m", "--introspection-key", "any", "--json", path,
			}, &out, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var got report
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if got.Good != 100 || len(got.Errors) > 0 || got.Latency.Max <= 0 || !strings.Contains(out.String(), "requests  100, 0 failed") {
				t.Errorf("%s\n%s", text, out.String())
			}
		})
	}
}

// What the service is measured against does the least: a floor that waited for
// PostgreSQL more than once would make the service look good.
func TestFloor_RoundTrips(t *testing.T) {
	t.Parallel()
	keys := testKeys(t)
	proxy := pgtest.NewProxy(t, seeded(t, keys))
	r := runCommand{Keys: keys, Kind: kindReused, Users: 2, Connections: 1, TokenLifetime: time.Hour, IntrospectionKey: "any"}
	u, err := parseTarget(floorOn(t, proxy.URL, keys), false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.workload(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{kindReused, kindVerify, kindIntrospect} {
		p := s.worker(kind)
		defer p.conn.close()
		for _, warm := range []bool{false, true} {
			proxy.Take()
			if err := p.send(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if said := proxy.Take(); warm && (said.RoundTrips != 1 || len(said.Ran) != 1) {
				t.Errorf("%s takes %d round trips for %d statements, want 1 for 1", kind, said.RoundTrips, len(said.Ran))
			}
		}
	}
}

// The floor believes its own keys' credentials alone, unless told otherwise,
// and knows nobody that the table does not.
func TestFloor_Refuses(t *testing.T) {
	t.Parallel()
	keys := testKeys(t)
	strict, gullible := startFloor(t, keys), startFloor(t, keys, "--no-signature")
	own, err := loadIdentity(keys)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := fakeclerk.New(issuer)
	if err != nil {
		t.Fatal(err)
	}
	credential := func(of *fakeclerk.Instance, claims fakeclerk.Claims) string {
		token, err := of.Mint(claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	somebody := fakeclerk.Claims{Subject: userName(measuredUsers, 3), SignIn: "sess_1"}
	expired := somebody
	expired.IssuedAt = time.Now().Add(-time.Hour)
	ask := func() *requests { return &requests{} } // each has a buffer
	for name, test := range map[string]struct {
		address string
		request []byte
		status  int
	}{
		"Own":             {strict, ask().open(credential(own, somebody), "load-fresh"), 200},
		"Stranger":        {strict, ask().open(credential(stranger, somebody), "load-fresh"), 401},
		"StrangerTrusted": {gullible, ask().open(credential(stranger, somebody), "load-fresh"), 200},
		"Expired":         {strict, ask().open(credential(own, expired), "load-fresh"), 401},
		"Nonsense":        {strict, ask().open("nonsense", "load-fresh"), 401},
		"NoSuchUser":      {strict, ask().open(credential(own, fakeclerk.Claims{Subject: "user_x"}), "load-fresh"), 404},
		"NoSuchDevice":    {strict, ask().open(credential(own, somebody), "other"), 404},
		"NotJSON":         {strict, ask().write("POST", "/session", credential(own, somebody), "application/json", "{"), 400},
		"NoSuchToken":     {strict, ask().verify(strings.Repeat("00", 32)), 404},
		"NoToken":         {strict, ask().verify("nonsense"), 404},
		"NothingOfIt":     {strict, ask().introspect("any", "", clientAddress(3)), 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(test.address)
			if err != nil {
				t.Fatal(err)
			}
			c := connection{to: u}
			defer c.close()
			got, err := c.do(t.Context(), test.request)
			if err != nil || got.status != test.status {
				t.Errorf("got %d %s, %v", got.status, got.body, err)
			}
		})
	}
}

// A server that closes and a server that is gone are failures, and the next
// request finds its way again.
func TestConnection_Lost(t *testing.T) {
	t.Parallel()
	lose := true
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if lose {
			lose = false
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := connection{to: u}
	defer c.close()
	var ask requests
	if _, err := c.do(t.Context(), ask.verify("x")); !errors.Is(err, errConnection) {
		t.Errorf("lost: %v", err)
	}
	if got, err := c.do(t.Context(), ask.verify("x")); err != nil || got.status != http.StatusOK {
		t.Errorf("again: %v, %v", got, err)
	}
	server.Close()
	c.close()
	if _, err := c.do(t.Context(), ask.verify("x")); err == nil || err.Error() != "no connection" {
		t.Errorf("gone: %v", err)
	}
}

// Who forgets to make the schema, or seeds twice, is told what to do.
func TestSeed_Explains(t *testing.T) {
	t.Parallel()
	keys, database := testKeys(t), pgtest.New(t)
	seed := func(database string) error {
		return run(t.Context(), []string{"seed", "--database", database, "--keys", keys, "--sessions", "10", "--users", "1"}, io.Discard, io.Discard)
	}
	if err := seed(pgtest.Empty(t)); err == nil || !strings.Contains(err.Error(), "migrate first") {
		t.Errorf("without a schema: %v", err)
	}
	if err := seed(database); err != nil {
		t.Fatal(err)
	}
	if err := seed(database); err == nil || !strings.Contains(err.Error(), "another database") {
		t.Errorf("again: %v", err)
	}
}
