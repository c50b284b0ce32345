package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/adapters/system"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Each setting reaches what it is about.

func TestWiring_WhoMay(t *testing.T) {
	t.Parallel()
	trusted, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	const secretKey = "sk_test_1"
	backend := fakeclerk.NewAPI(secretKey, trusted)
	backend.SetUser("user_1", map[string]any{"role": "member"})
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	const party = "http://localhost:3000" // of every token that is minted here
	for name, test := range map[string]struct {
		settings []string
		claims   map[string]any
		want     int
	}{
		"NoRole":           {nil, nil, http.StatusForbidden},
		"DefaultRole":      {[]string{"CHATKIT_DEFAULT_ROLE=guest"}, nil, http.StatusOK},
		"Directory":        {[]string{"CLERK_SECRET_KEY=" + secretKey, "CLERK_API_URL=" + server.URL}, nil, http.StatusOK},
		"FetchedKeys":      {[]string{"CLERK_JWT_KEY=", "CLERK_SECRET_KEY=" + secretKey, "CLERK_API_URL=" + server.URL}, nil, http.StatusOK},
		"RoleClaims":       {[]string{"CHATKIT_ROLE_CLAIMS=app.rank, rank"}, map[string]any{"rank": "member"}, http.StatusOK},
		"RoleClaimsOfElse": {[]string{"CHATKIT_ROLE_CLAIMS=app.rank"}, map[string]any{"role": "member"}, http.StatusForbidden},
		"AccessPolicy":     {[]string{`CHATKIT_ACCESS_POLICY={"roles":{"banned":[]},"others":["read_own"]}`}, map[string]any{"role": "banned"}, http.StatusForbidden},
		"OurParty":         {[]string{"CLERK_AUTHORIZED_PARTIES=https://a.example.com, " + party + ","}, map[string]any{"role": "member"}, http.StatusOK},
		"AnotherParty":     {[]string{"CLERK_AUTHORIZED_PARTIES=https://a.example.com"}, map[string]any{"role": "member"}, http.StatusUnauthorized},
		"NoParty":          {[]string{"CLERK_AUTHORIZED_PARTIES=https://a.example.com, ,"}, map[string]any{"role": "member", "azp": nil}, http.StatusUnauthorized},
		"AnotherIssuer":    {[]string{"CLERK_ISSUER=https://clerk.example.org"}, map[string]any{"role": "member"}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onSQLite(t, test.settings...)
			token, err := s.identity.Mint(fakeclerk.Claims{Subject: "user_1", SignIn: "sess_1", IssuedAt: s.clock.Now(), Override: test.claims})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.post(t, token, ""); got.Status != test.want {
				t.Errorf("got %d %s", got.Status, got.raw)
			}
		})
	}
}

// A credential that is remembered lets its bearer in when the key that verified
// it cannot be had any more.
func TestWiring_RememberedTokens(t *testing.T) {
	t.Parallel()
	trusted, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[string]int{"10": http.StatusOK, "0": http.StatusServiceUnavailable} {
		t.Run(number, func(t *testing.T) {
			t.Parallel()
			const secretKey = "sk_test_1"
			backend := fakeclerk.NewAPI(secretKey, trusted)
			server := httptest.NewServer(backend)
			t.Cleanup(server.Close)
			s := onSQLite(t, "CLERK_JWT_KEY=", "CLERK_SECRET_KEY="+secretKey, "CLERK_API_URL="+server.URL, "CLERK_REMEMBERED_TOKENS="+number)
			s.open(t, "user_1", "") // has the keys fetched
			backend.Fail(http.StatusBadGateway)
			s.clock.advance(59*time.Minute + 30*time.Second)
			credential := s.credential(t, "user_1", "member")
			if got := s.post(t, credential, ""); got.Status != http.StatusOK {
				t.Fatalf("got %d %s", got.Status, got.raw)
			}
			s.clock.advance(40 * time.Second)
			if got := s.post(t, credential, ""); got.Status != want {
				t.Errorf("later got %d %s, want %d", got.Status, got.raw, want)
			}
		})
	}
}

func TestWiring_SessionTimes(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, "CHATKIT_SESSION_DURATION=10h", "CHATKIT_REFRESH_THRESHOLD=2h", "CHATKIT_LONGEST_LIFE=15h")
	first := s.open(t, "user_1", "")
	if first.Session.ExpiresAt != "2025-01-01T22:00:00.000Z" || first.Session.RefreshAfter != "2025-01-01T20:00:00.000Z" {
		t.Errorf("got %s", first.raw)
	}
	s.clock.advance(8 * time.Hour)
	if got := s.open(t, "user_1", ""); got.Outcome != "refreshed" || got.Session.ExpiresAt != "2025-01-02T03:00:00.000Z" {
		t.Errorf("got %s", got.raw)
	}
}

// The terms of sessions, remembered or not, and what goes with them.
func TestWiring_Terms(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, "INTROSPECTION_KEYS="+backendKey,
		"CHATKIT_IDLE_TIMEOUT=5h", "CHATKIT_REMEMBER_DURATION=50h", "CHATKIT_REMEMBER_LONGEST_LIFE=60h", "CHATKIT_REMEMBER_IDLE_TIMEOUT=0s",
		"CHATKIT_WARNING_WINDOW=2h", "CHATKIT_TRANSFER_CODE_LIFETIME=10m")
	usual := s.open(t, "user_1", `{"deviceId":"phone"}`)
	remembered := s.open(t, "user_1", `{"deviceId":"laptop","rememberMe":true}`)
	if remembered.Session.ExpiresAt != "2025-01-03T14:00:00.000Z" {
		t.Errorf("remembered is %s", remembered.raw)
	}
	offer := as[struct{ ExpiresAt string }](t, s, http.StatusCreated, http.MethodPost, "/sessions/"+usual.Session.ID+"/transfer", s.credential(t, "user_1", "member"), "")
	if offer.ExpiresAt != "2025-01-01T12:10:00.000Z" {
		t.Errorf("offered until %s", offer.ExpiresAt)
	}
	s.clock.advance(5 * time.Hour)
	if s.good(t, usual.Session.ChatKitSessionID) || !s.good(t, remembered.Session.ChatKitSessionID) {
		t.Error("the wrong session is idle")
	}
	s.clock.advance(44 * time.Hour)
	if !s.verifyWarns(t, remembered.Session.ChatKitSessionID) {
		t.Error("with an hour left nothing warns")
	}
	if got := s.open(t, "user_1", `{"deviceId":"laptop"}`); got.Outcome != "refreshed" || got.Session.ExpiresAt != "2025-01-04T00:00:00.000Z" {
		t.Errorf("refreshed to its longest life is %s", got.raw)
	}
}

func TestWiring_HTTP(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, "ALLOWED_ORIGINS=https://a.example.com, https://b.example.com", "TRUSTED_PROXIES=192.0.2.0/24, 10.0.0.1")
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", http.NoBody) // from 192.0.2.1
	request.Header.Set("Origin", "https://b.example.com")
	request.Header.Set("X-Forwarded-For", "198.51.100.7")
	recorder := httptest.NewRecorder()
	s.app.server.Handler.ServeHTTP(recorder, request)
	if got := recorder.Header().Get("Access-Control-Allow-Origin"); got != "https://b.example.com" {
		t.Errorf("allows %q", got)
	}
	if !strings.Contains(s.logs.String(), `"client":"198.51.100.7"`) {
		t.Errorf("the log has %s", s.logs)
	}
}

// patientStore notes how long its caller would wait.
type patientStore struct {
	store
	waits time.Duration
}

func (p *patientStore) Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	if deadline, bound := ctx.Deadline(); bound {
		p.waits = time.Until(deadline)
	}
	return p.store.Find(ctx, slot, by)
}

func TestWiring_RequestTimeout(t *testing.T) {
	t.Parallel()
	patient := &patientStore{store: openSQLite(t)}
	s := onStore(t, patient, "CHATKIT_REQUEST_TIMEOUT=3h")
	if s.open(t, "user_1", ""); patient.waits > 3*time.Hour || patient.waits < 2*time.Hour {
		t.Errorf("a request may take %s", patient.waits)
	}
}

func TestWiring_KeepAlive(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, "CHATKIT_KEEP_ALIVE_TIMEOUT=7h")
	for name, server := range map[string]*http.Server{"service": s.app.server, "metrics": s.app.metrics} {
		if server.IdleTimeout != 7*time.Hour {
			t.Errorf("the %s keeps idle connections for %s", name, server.IdleTimeout)
		}
	}
}

func TestWiring_Docs(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"true": http.StatusOK, "false": http.StatusNotFound} {
		s := onSQLite(t, "CHATKIT_DOCS="+value)
		recorder := httptest.NewRecorder()
		s.app.server.Handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/docs", http.NoBody))
		if recorder.Code != want {
			t.Errorf("%s: /docs got %d", value, recorder.Code)
		}
	}
}

// Requests that exceed the shutdown timeout are cut off, and serve returns an error.
func TestWiring_ShutdownTimeout(t *testing.T) {
	t.Parallel()
	faulty := &faultyStore{store: openSQLite(t), entered: make(chan struct{}), release: make(chan struct{})}
	s := onStore(t, faulty, "CHATKIT_SHUTDOWN_TIMEOUT=10ms")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextWithStop(t)
	stopped := make(chan error, 1)
	go func() { stopped <- s.app.serve(ctx, listeners{service: listener}) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String()+"/api/chatkit/session", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.credential(t, "user_1", "member"))
	cut := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		cut <- err
	}()
	<-faulty.entered
	stop()
	if err := <-stopped; err == nil || !strings.Contains(err.Error(), "did not finish within CHATKIT_SHUTDOWN_TIMEOUT") {
		t.Errorf("serve = %v", err)
	}
	if err := <-cut; err == nil {
		t.Error("the request was answered")
	}
	close(faulty.release)
}

// Ended sessions are kept for exactly as long as the setting says.
func TestWiring_Retention(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, "CHATKIT_ENDED_RETENTION=48h", "CHATKIT_ACTIVITY_RETENTION=96h", "CHATKIT_SIGN_IN_RETENTION=2160h")
	s.open(t, "user_1", "")
	for _, step := range []struct {
		pause time.Duration
		want  string
	}{{24 * time.Hour, "{1 0 0 0}"}, {48 * time.Hour, "{0 0 0 0}"}, {time.Microsecond, "{0 1 0 0}"}, {24*time.Hour - time.Microsecond, "{0 0 0 0}"}, {time.Microsecond, "{0 0 1 0}"}, {24 * time.Hour, "{0 0 1 0}"}, {2040*time.Hour - time.Microsecond, "{0 0 0 0}"}, {time.Microsecond, "{0 0 0 1}"}} {
		s.clock.advance(step.pause)
		if got, err := s.cleaner().Clean(t.Context()); err != nil || fmt.Sprint(got) != step.want {
			t.Errorf("%s later Clean = %v, %v, want %s", step.pause, got, err, step.want)
		}
	}
}

// A replica whose clock is ahead of the database's ends nobody's session and
// deletes nothing, whatever it is asked, and says why.
func TestWiring_ClockAhead(t *testing.T) {
	t.Parallel()
	clock := &movableClock{now: time.Now().UTC()}
	c, _, err := parseSettings(testEnviron(t, "DATABASE_URL="+pgtest.New(t)))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := openStore(t.Context(), c, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	s := onStore(t, opened)
	s.clock.set(clock.Now())
	held := s.open(t, "user_1", "")
	for _, ahead := range []time.Duration{26 * time.Hour, 400 * 24 * time.Hour} {
		now := time.Now().UTC().Add(ahead)
		clock.set(now)
		s.clock.set(now)
		if got := s.post(t, s.credential(t, "user_1", "member"), ""); got.Status != http.StatusServiceUnavailable {
			t.Errorf("an open = %d %s", got.Status, got.raw)
		}
		s.app.clean(t.Context())
	}
	s.logs.await(t, regexp.MustCompile(`"clean-up failed","error":"unavailable: clock: this replica's is at`))
	clock.set(time.Now().UTC())
	s.clock.set(clock.Now())
	if got := s.open(t, "user_1", ""); got.Outcome != "reused" || got.Session.ID != held.Session.ID {
		t.Errorf("once the clock is right the answer is %s", got.raw)
	}
}

func TestWiring_DirectURL(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	service := pgtest.Login(t, url, "chatkit_service") // may not migrate
	for _, test := range []struct {
		direct string
		works  bool
	}{{"", false}, {url, true}} {
		c, _, err := parseSettings(testEnviron(t, "DATABASE_URL="+service, "DATABASE_DIRECT_URL="+test.direct))
		if err != nil {
			t.Fatal(err)
		}
		opened, err := openStore(t.Context(), c, system.Clock{})
		if (err == nil) != test.works {
			t.Errorf("with DATABASE_DIRECT_URL=%q: %v", test.direct, err)
		}
		if err == nil {
			_ = opened.Close()
		} else if !strings.Contains(err.Error(), "this needs the owner of the schema") {
			t.Errorf("the operator is not told what to do: %v", err)
		}
	}
}

func TestWiring_MaxConnections(t *testing.T) {
	t.Parallel()
	c, _, err := parseSettings(testEnviron(t, "DATABASE_URL="+pgtest.New(t), "DATABASE_MAX_CONNECTIONS=2", "DATABASE_PREPARED_STATEMENTS=false"))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := openStore(t.Context(), c, system.Clock{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	slot := func(user string) session.Slot {
		return session.Slot{User: session.Must(session.ParseUserID(user)), Workflow: session.Must(session.ParseWorkflowID("workflow_1"))}
	}
	update := func(user string, within func()) {
		err := opened.Update(t.Context(), ports.Scope{User: slot(user).User}, func(ports.Seen) (ports.Changes, error) { within(); return ports.Changes{}, nil })
		if err != nil {
			t.Error(err)
		}
	}
	update("user_1", func() {
		update("user_2", func() { // both connections are taken
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := opened.Find(ctx, slot("user_3"), session.Must(session.ParseSignInID("sess_3"))); !errors.Is(err, session.KindUnavailable) {
				t.Errorf("Find = %v, want unavailable", err)
			}
		})
	})
}

// A database that hangs is found out before the request's time is up.
func TestWiring_DatabaseHangs(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, pgtest.New(t))
	c, _, err := parseSettings(testEnviron(t, "DATABASE_URL="+proxy.URL, "CHATKIT_REQUEST_TIMEOUT=2s"))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := openStore(t.Context(), c, system.Clock{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	proxy.Hang(true)
	found := make(chan error, 1)
	go func() { _, err := opened.Now(t.Context()); found <- err }()
	select {
	case err := <-found:
		if !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Now = %v, want unavailable", err)
		}
	case <-time.After(patience):
		t.Error("it waits for ever")
	}
}

// An operator who goes through a pooler gets statements that are not prepared.
func TestWiring_PreparedStatements(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"true": true, "false": false} {
		url := pgtest.New(t)
		c, _, err := parseSettings(testEnviron(t, "DATABASE_URL="+url, "DATABASE_PREPARED_STATEMENTS="+value))
		if err != nil {
			t.Fatal(err)
		}
		opened, err := openStore(t.Context(), c, system.Clock{})
		if err != nil {
			t.Fatal(err)
		}
		var wrote string // what the store's one connection did last
		err = pgtest.Open(t, url).QueryRowContext(t.Context(), `SELECT coalesce(string_agg(query, '; '), '') FROM pg_stat_activity
			WHERE application_name = 'chatkit-session' AND datname = current_database()`).Scan(&wrote)
		if err != nil || strings.Contains(wrote, "UPDATE chatkit_sessions") != want {
			t.Errorf("%s: %q, %v", value, wrote, err)
		}
		_ = opened.Close()
	}
}

// The log of serve is JSON, line by line; that of dev is for people.
func TestWiring_Logs(t *testing.T) {
	t.Parallel()
	served := start(t, testEnviron(t, "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "sessions.db")), "serve")
	served.url(t)
	if line := strings.SplitN(served.logs.String(), "\n", 2)[0]; !strings.HasPrefix(line, "{") {
		t.Errorf("serve logs %s", line)
	}
	dev := start(t, nil, "dev", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"))
	dev.paste(t)
	if line := strings.SplitN(dev.logs.String(), "\n", 2)[0]; !strings.HasPrefix(line, "time=") {
		t.Errorf("dev logs %s", line)
	}
}
