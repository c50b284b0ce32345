package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/adapters/postgres/pgtest"
)

func TestRun_Serve_WarnsOfUnsetSettings(t *testing.T) {
	t.Parallel()
	const party, store = "CLERK_AUTHORIZED_PARTIES is not set", "DATABASE_URL is not set: sessions are stored in the SQLite file chatkit-session.db"
	for name, test := range map[string]struct {
		settings []string
		told     []string
	}{
		"Nothing":    {[]string{"LISTEN_ADDR=127.0.0.1:1:1"}, []string{party, store}}, // which does not start
		"Everything": {[]string{"LISTEN_ADDR=127.0.0.1:1:1", "CLERK_AUTHORIZED_PARTIES=https://app.example.com", "DATABASE_URL=sqlite:x"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			if err := run(t.Context(), []string{"serve"}, testEnviron(t, test.settings...), io.Discard, &log); err == nil {
				t.Fatal("it starts")
			}
			for _, warning := range []string{party, store} {
				if strings.Contains(log.String(), `"level":"WARN","msg":"`+warning) != slices.Contains(test.told, warning) {
					t.Errorf("about %s the log has\n%s", warning, &log)
				}
			}
		})
	}
	for _, command := range []string{"migrate", "cleanup"} {
		var log bytes.Buffer
		_ = run(t.Context(), []string{command}, []string{"DATABSE_URL=postgres://db/x", "DATABASE_MAX_CONNECTIONS=1", "ALLOWED_ORIGIN=x"}, io.Discard, &log)
		want := "warning: DATABSE_URL has no effect: did you mean DATABASE_URL?\nwarning: " + store + ", which supports a single replica\n"
		if log.String() != want {
			t.Errorf("%s warns\n%swant\n%s", command, &log, want)
		}
	}
}

// Redis implies several replicas, which must share one database.
func TestRun_Serve_RefusesRedisWithoutADatabase(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"serve"}, testEnviron(t, "REDIS_URL=redis://:hunter2@127.0.0.1:1"), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "\nDATABASE_URL: is required with REDIS_URL") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("serve = %v", err)
	}
}

// One log line has the address and the store. An address that is in use is an
// error that names its setting.
func TestRun_Serve_LogsAddressAndStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sessions.db")
	s := start(t, testEnviron(t, "DATABASE_URL=sqlite:"+path), "serve")
	s.logs.await(t, regexp.MustCompile(`"msg":"listening","address":"[^"]+","version":"[^"]+","store":"`+regexp.QuoteMeta("sqlite:"+path)+`"`))
	taken := strings.TrimPrefix(s.url(t), "http://")
	for setting, more := range map[string][]string{"LISTEN_ADDR": {"LISTEN_ADDR=" + taken}, "METRICS_ADDR": {"METRICS_ADDR=" + taken}} {
		err := run(t.Context(), []string{"serve"}, testEnviron(t, append(more, "DATABASE_URL=sqlite:"+path)...), io.Discard, io.Discard)
		if err == nil || !strings.HasPrefix(err.Error(), setting+": listen tcp "+taken) {
			t.Errorf("serve = %v", err)
		}
	}
	if got := storeName("postgres://me:hunter2@db.internal/x"); got != "postgres" {
		t.Errorf("PostgreSQL is told as %s", got)
	}
}

// A wrong issuer, which refuses every user, shows in the log at the default level
// and in the metrics.
func TestRun_Serve_ReportsRefusals(t *testing.T) {
	t.Parallel()
	trusted, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	credential, err := trusted.Mint(fakeclerk.Claims{Subject: "user_1", SignIn: "sess_1", Role: "member"})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, testEnviron(t, "LOG_LEVEL=info", "CLERK_ISSUER=https://clerk.wrong.example", "METRICS_ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "sessions.db")), "serve")
	if got := s.post(t, "Bearer "+credential); got.Status != http.StatusUnauthorized {
		t.Fatalf("got %s", got.raw)
	}
	s.logs.await(t, regexp.MustCompile(`"level":"WARN","msg":"callers were refused","code":"unauthorized","reason":"wrong_issuer","count":1,"lastRequestId":"[^"]+","lastError":".*https://clerk.example.com.*","settings":"CLERK_ISSUER"`))
	metrics := s.logs.await(t, regexp.MustCompile(`"msg":"metrics","address":"([^"]+)"`))[1]
	if _, body, err := ask(t.Context(), http.MethodGet, "http://"+metrics+"/metrics", "", "", ""); err != nil || !strings.Contains(string(body), `chatkit_turned_away_total{code="unauthorized",reason="wrong_issuer"} 1`) {
		t.Errorf("metrics: %v\n%s", err, body)
	}
	if strings.Contains(s.logs.String(), credential) {
		t.Error("the log shows the credential")
	}
}

// Behind an unknown proxy all clients share one rate limit. serve warns of that if
// the limit is on.
func TestRun_Serve_WarnsOfUnknownProxies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings []string
		warns    bool
	}{
		"NobodyTrusted": {[]string{"CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=300"}, true},
		"Trusted":       {[]string{"CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=300", "TRUSTED_PROXIES=10.0.0.0/8"}, false},
		"NoLimit":       {[]string{"CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=0"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, testEnviron(t, append(test.settings, "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "sessions.db"))...), "serve")
			s.url(t)
			if warns := strings.Contains(s.logs.String(), "TRUSTED_PROXIES is not set"); warns != test.warns {
				t.Errorf("it warns: %v\n%s", warns, s.logs)
			}
		})
	}
}

// No token and no secret is in the database or in the log after many opens.
func TestRun_Serve_KeepsSecrets(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "sessions.db")
		keepsSecrets(t, "sqlite:"+path, func() string {
			var all strings.Builder
			files, err := filepath.Glob(path + "*")
			if err != nil || len(files) == 0 {
				t.Fatalf("no database: %v", err)
			}
			for _, file := range files {
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				all.Write(content)
			}
			return all.String()
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		url := pgtest.New(t)
		service := pgtest.Login(t, url, "chatkit_service") // its rights are enough where the schema is current
		keepsSecrets(t, service, func() string { return pgtest.Dump(t, url) })
	})
}

func keepsSecrets(t *testing.T, database string, dump func() string) {
	t.Helper()
	trusted, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	environ := testEnviron(t, "DATABASE_URL="+database)
	s := start(t, environ, "serve")
	secrets := map[string]string{}
	for n := range 20 {
		token, err := trusted.Mint(fakeclerk.Claims{Subject: fmt.Sprintf("user_%d", n%10), SignIn: "sess_1", Role: "member"})
		if err != nil {
			t.Fatal(err)
		}
		got := s.post(t, "Bearer "+token)
		if got.Status != http.StatusOK {
			t.Fatalf("got %d %s\n%s", got.Status, got.raw, s.logs)
		}
		secrets[got.Session.ChatKitSessionID] = "token"
		secrets[token] = "credential"
		secrets[s.offer(t, token, got.Session.ID)] = "code"
	}
	for _, pair := range environ {
		if name, value, _ := strings.Cut(pair, "="); name == "CHATKIT_TOKEN_KEYS" {
			secrets[value] = name
		}
	}
	stored, logged := dump(), s.logs.String()
	if !strings.Contains(stored, "user_1") || !strings.Contains(logged, "listening") {
		t.Fatalf("the dump or the log is not what it should be")
	}
	for secret, what := range secrets {
		if strings.Contains(stored, secret) || strings.Contains(stored, strings.ReplaceAll(secret, "-", "")) {
			t.Errorf("a %s is stored in clear", what)
		}
		if strings.Contains(logged, secret) {
			t.Errorf("a %s is logged", what)
		}
	}
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// offer requests a transfer code.
func (r *running) offer(t *testing.T, credential, id string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url(t)+"/api/chatkit/sessions/"+id+"/transfer", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+credential)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	var offered struct{ Code string }
	if err := json.NewDecoder(response.Body).Decode(&offered); err != nil || len(offered.Code) < 26 {
		t.Fatalf("offered is %d, %v", response.StatusCode, err)
	}
	return offered.Code
}

func TestRun_Serve_RefusesBadSettings(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"serve"}, []string{
		"CHATKIT_TOKEN_KEYS=c2VjcmV0", "DATABASE_URL=mysql://root:hunter2@db/x", "CHATKIT_REFRESH_THRESHOLD=48h",
		"CHATKIT_WORKFLOW_ID=no spaces", "TRUSTED_PROXIES=10.0.0.0/8,nowhere", "LOG_LEVEL=loud",
		"CHATKIT_ACCESS_POLICY={\"others\":[]} and more", "CLERK_ISSUER_FILE=/does/not/exist",
		"CLERK_JWT_KEY=nonsense", "CLERK_API_URL=api.clerk.com/", "CLERK_AUTHORIZED_PARTIES=https://a.example.com/,b.example.com,chrome-extension://abc,https://*.example.com",
		"ALLOWED_ORIGINS=https://ok.example.com, nonsense", "LISTEN_ADDR=8080", "CHATKIT_ENDED_RETENTION=a month", "DATABASE_MAX_CONNECTIONS=many",
		"DATABASE_DIRECT_URL=sqlite:x", "INTROSPECTION_KEYS=short", "DATABASE_PREPARED_STATEMENTS=perhaps", "CHATKIT_DEFAULT_ROLE=b c", "CHATKIT_DEFAULT_ROLE_FILE=/x",
	}, io.Discard, io.Discard)
	if err == nil {
		t.Fatal("serve starts")
	}
	lines := strings.Split(err.Error(), "\n")[1:]
	wants := []string{
		"CLERK_ISSUER_FILE (/does/not/exist): cannot be read: no such file", "CHATKIT_DEFAULT_ROLE: set it or CHATKIT_DEFAULT_ROLE_FILE",
		"DATABASE_PREPARED_STATEMENTS: must be true or false", "DATABASE_MAX_CONNECTIONS: must be a whole number", "CHATKIT_ENDED_RETENTION: must be a duration",
		"session times: CHATKIT_REFRESH_THRESHOLD (48h0m0s) must be shorter than CHATKIT_SESSION_DURATION", "session times: CHATKIT_ROTATION_GRACE", "LISTEN_ADDR: ", "LOG_LEVEL: must be debug", "CHATKIT_TOKEN_KEYS: key 1",
		"CHATKIT_WORKFLOW_ID: ", "CHATKIT_ACCESS_POLICY: ", `ALLOWED_ORIGINS: "nonsense" must be`, `TRUSTED_PROXIES: "nowhere" must be`, "INTROSPECTION_KEYS: key 1 must have",
		"CLERK_JWT_KEY: must be an RSA public key", `CLERK_API_URL: "api.clerk.com/" must be`,
		`CLERK_AUTHORIZED_PARTIES: "b.example.com" must be`, `CLERK_AUTHORIZED_PARTIES: "https://*.example.com" must be a single origin`,
		"DATABASE_URL: ", "DATABASE_DIRECT_URL: ",
	}
	for i, want := range wants {
		if len(lines) != len(wants) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("line %d of %d is not about %s:\n%v", i+1, len(wants), want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Errorf("the refusal shows a secret: %v", err)
	}
}

func BenchmarkOpen_Reused(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) { benchmarkOverLoopback(b, onSQLite(b)) })
	b.Run("PostgreSQL", func(b *testing.B) { benchmarkOverLoopback(b, onPostgres(b)) })
}

// benchmarkOverLoopback measures whole requests on one kept connection.
func benchmarkOverLoopback(b *testing.B, s *service) {
	b.Helper()
	credential := s.credential(b, "user_1", "member")
	s.post(b, credential, "")
	server := newLoopback(b, s.app.server.Handler)
	b.ReportAllocs()
	for b.Loop() {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server+"/api/chatkit/session", http.NoBody)
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+credential)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		var got struct{ Outcome string }
		err = json.NewDecoder(response.Body).Decode(&got)
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil || got.Outcome != "reused" {
			b.Fatalf("%v %v", got, err)
		}
	}
}
