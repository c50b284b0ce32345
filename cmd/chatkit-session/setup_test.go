package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/adapters/keyring"
	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/adapters/sqlite"
	"chatkit-session/api/apitest"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// noon is when the clocks of these tests start.
var noon = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

// movableClock is a ports.Clock that tests set.
type movableClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movableClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *movableClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *movableClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logs collects what a service under test logs; many goroutines write.
type logs struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written *sync.Cond
}

func newLogs() *logs {
	l := &logs{}
	l.written = sync.NewCond(&l.mu)
	return l
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written.Broadcast()
	return l.text.Write(p)
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// await waits until the log has what pattern says and returns its groups.
func (l *logs) await(t testing.TB, pattern *regexp.Regexp) []string {
	t.Helper()
	deadline := time.Now().Add(patience)
	defer time.AfterFunc(patience, l.written.Broadcast).Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if groups := pattern.FindStringSubmatch(l.text.String()); groups != nil {
			return groups
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log has no %s:\n%s", pattern, l.text.String())
		}
		l.written.Wait()
	}
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// service is the production wiring on a real store and a clock that tests
// set, answered through its real router.
type service struct {
	app      *app
	clock    *movableClock
	identity *fakeclerk.Instance
	logs     *logs
}

const testIssuer = "https://clerk.example.com"

var identity = sync.OnceValues(func() (*fakeclerk.Instance, error) { return fakeclerk.New(testIssuer) })

// testEnviron is the environment of a service that trusts identity and has no
// limit to what one user may ask in a test; a later variable replaces an earlier
// one.
func testEnviron(t testing.TB, more ...string) []string {
	t.Helper()
	trusted, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{
		"LISTEN_ADDR=127.0.0.1:0",
		"LOG_LEVEL=debug",
		"CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=0",
		"CHATKIT_RATE_LIMIT_READS_PER_MINUTE=0",
		"CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE=0",
		"CHATKIT_RATE_LIMIT_ADMIN_PER_MINUTE=0",
		"CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=0",
		"CHATKIT_WORKFLOW_ID=workflow_1",
		"CHATKIT_TOKEN_KEYS=" + keyring.Generate(),
		"CLERK_JWT_KEY=" + string(trusted.PublicPEM()),
		"CLERK_ISSUER=" + trusted.Issuer(),
	}, more...)
}

// onStore wires a service on opened, which the service's test closes.
func onStore(t testing.TB, opened store, more ...string) *service {
	t.Helper()
	return withStreams(t, opened, lifecycle.DefaultWatchLimits(), more...)
}

// withStreams is onStore with other bounds of streams.
func withStreams(t testing.TB, opened store, streams lifecycle.WatchLimits, more ...string) *service {
	t.Helper()
	trusted, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := parseSettings(testEnviron(t, more...))
	if err != nil {
		t.Fatal(err)
	}
	c.streams, c.leaseTrust = streams, time.Hour // what Ask was told counts for the test
	if c.CacheSessions > 0 {
		c.leaseTrust = 1500 * time.Millisecond
	}
	s := &service{clock: &movableClock{now: noon}, identity: trusted, logs: newLogs()}
	logger := slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if s.app, err = wire(t.Context(), c, logger, opened, s.clock); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.app.rates.close() })
	if c.CacheSessions > 0 {
		s.remember(t)
	}
	return s
}

var fromMemory = regexp.MustCompile(`"token checks use the cache"`)

// remember keeps the lease until the test ends, and waits until it counts.
func (s *service) remember(t testing.TB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var kept sync.WaitGroup
	kept.Go(func() { s.app.leases.Run(ctx) })
	t.Cleanup(func() { stop(); kept.Wait() })
	s.logs.await(t, fromMemory)
}

// storeAt is a store whose clock is the test's.
type storeAt struct {
	store
	clock ports.Clock
}

func (s storeAt) Now(context.Context) (time.Time, error) { return s.clock.Now(), nil }

// cleaner cleans up at the service's time.
func (s *service) cleaner() *lifecycle.Cleaner {
	return newCleaner(s.app.config, storeAt{s.app.store, s.clock}, s.clock)
}

func onSQLite(t testing.TB, more ...string) *service {
	t.Helper()
	return onStore(t, openSQLite(t), more...)
}

func onPostgres(t testing.TB, more ...string) *service {
	t.Helper()
	opened, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return onStore(t, opened, more...)
}

func openSQLite(t testing.TB) store {
	t.Helper()
	opened, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "sessions.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// credential returns a JWT of a user with a role, good at the service's time.
func (s *service) credential(t testing.TB, user, role string) string {
	t.Helper()
	token, err := s.identity.Mint(fakeclerk.Claims{Subject: user, SignIn: "sess_" + user, Role: role, IssuedAt: s.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// answer is what the service said.
type answer struct {
	Status  int
	Session struct {
		ID, ChatKitSessionID, DeviceID, UserID, WorkflowID string
		CreatedAt, ExpiresAt, RefreshAfter                 string
		ExpiresIn                                          int
		RememberMe                                         bool
		Metadata                                           map[string]any
	}
	Outcome                         string
	Error, Message, Code, RequestID string
	raw                             string
}

// post sends a body with a credential, both may be empty, to the router.
func (s *service) post(t testing.TB, credential, body string) answer {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/chatkit/session", strings.NewReader(body))
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	recorder := httptest.NewRecorder()
	s.app.server.Handler.ServeHTTP(recorder, request)
	response := recorder.Result()
	apitest.Conforms(t, request, response)
	return parseAnswer(t, response)
}

// send asks for something below /api/chatkit as somebody, with headers given
// as name, value, name, value …, and returns what the router says.
func (s *service) send(t testing.TB, method, path, credential, body string, headers ...string) (status int, answered string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "/api/chatkit"+path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+credential)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	s.app.server.Handler.ServeHTTP(recorder, request)
	apitest.Conforms(t, request, recorder.Result())
	return recorder.Code, recorder.Body.String()
}

// as is send for a JSON answer with a status.
func as[T any](t testing.TB, s *service, want int, method, path, credential, body string, headers ...string) (got T) {
	t.Helper()
	status, answered := s.send(t, method, path, credential, body, headers...)
	if status != want {
		t.Fatalf("%s %s = %d %s, want %d", method, path, status, answered, want)
	}
	if err := json.Unmarshal([]byte(answered), &got); err != nil {
		t.Fatalf("%s: %v", answered, err)
	}
	return got
}

// open posts as a member and expects success.
func (s *service) open(t testing.TB, user, body string) answer {
	t.Helper()
	got := s.post(t, s.credential(t, user, "member"), body)
	if got.Status != http.StatusOK {
		t.Fatalf("POST = %d %s", got.Status, got.raw)
	}
	return got
}

func parseAnswer(t testing.TB, response *http.Response) answer {
	t.Helper()
	defer response.Body.Close() //nolint:errcheck // it was read
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{Status: response.StatusCode, raw: string(raw)}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%d %q: %v", response.StatusCode, raw, err)
	}
	return got
}

// faultyStore fails updates, or holds look-ups until it is released.
type faultyStore struct {
	store
	updateFails error
	entered     chan struct{}
	release     chan struct{}
}

func (f *faultyStore) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	if f.updateFails != nil {
		return f.updateFails
	}
	return f.store.Update(ctx, scope, change)
}

func (f *faultyStore) Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	if f.release != nil {
		close(f.entered)
		<-f.release
	}
	return f.store.Find(ctx, slot, by)
}

// newLoopback serves handler until the test ends and returns its URL.
func newLoopback(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
