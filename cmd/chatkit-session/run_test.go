package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/adapters/postgres/pgtest"
)

func contextWithStop(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	return ctx, stop
}

// running is a command that runs until it is stopped.
type running struct {
	logs, output *logs         // stderr and stdout
	curls        chan []string // the curl commands that it prints, in parts
	// openURL and pasted are the address and the header of the last one.
	openURL, pasted string
	stop            func() error
}

var curlLine = regexp.MustCompile(`curl -sS -X POST (\S+) -H '(Authorization): ([^']+)'`)

// start runs a command that serves.
func start(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	ctx, cancel := contextWithStop(t)
	reader, writer := io.Pipe()
	r := &running{logs: newLogs(), output: newLogs(), curls: make(chan []string, 1)}
	go func() {
		defer close(r.curls)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if parts := curlLine.FindStringSubmatch(lines.Text()); parts != nil {
				r.curls <- parts
			}
		}
	}()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, environ, io.MultiWriter(r.output, writer), r.logs)
		_ = writer.CloseWithError(io.EOF)
		ended <- err
	}()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// paste does what the printed curl line does.
func (r *running) paste(t *testing.T) func() answer {
	t.Helper()
	parts, printed := <-r.curls
	if !printed {
		t.Fatalf("no curl line: %v\n%s", r.stop(), r.logs)
	}
	r.openURL, r.pasted = parts[1], parts[3]
	return func() answer { return r.openAs(t, r.pasted) }
}

// openAs opens a session where the printed curl line does, with a credential.
func (r *running) openAs(t *testing.T, credential string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.openURL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return parseAnswer(t, response)
}

// Where nobody says where sessions are kept, or to whom credentials may have been
// issued, serve says what it makes of that.
func TestRun_Serve_WarnsOfWhatIsUnset(t *testing.T) {
	t.Parallel()
	const party, store = "CLERK_AUTHORIZED_PARTIES is not set", "DATABASE_URL is not set: sessions are kept in SQLite, in the file chatkit-session.db"
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
		want := "warning: DATABSE_URL has no effect: did you mean DATABASE_URL?\nwarning: " + store + ", which serves one replica\n"
		if log.String() != want {
			t.Errorf("%s warns\n%swant\n%s", command, &log, want)
		}
	}
}

// Whoever has Redis has replicas, and those need one database.
func TestRun_Serve_RefusesRedisWithoutADatabase(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"serve"}, testEnviron(t, "REDIS_URL=redis://:hunter2@127.0.0.1:1"), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "\nDATABASE_URL: is not set, and REDIS_URL is") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("serve = %v", err)
	}
}

// What it listens for, and where it keeps sessions, is in one line; an address
// that it cannot have is named by its setting.
func TestRun_Serve_SaysWhere(t *testing.T) {
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

// An operator whose issuer is wrong, so that everybody is refused, reads it in
// the log at its usual level, and in the metrics.
func TestRun_Serve_SaysWhoIsTurnedAway(t *testing.T) {
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
	s.logs.await(t, regexp.MustCompile(`"level":"WARN","msg":"callers are turned away","code":"unauthorized","reason":"wrong_issuer","count":1,"lastRequestId":"[^"]+","lastError":".*https://clerk.example.com.*","settings":"CLERK_ISSUER"`))
	metrics := s.logs.await(t, regexp.MustCompile(`"msg":"metrics","address":"([^"]+)"`))[1]
	if _, body, err := ask(t.Context(), http.MethodGet, "http://"+metrics+"/metrics", "", "", ""); err != nil || !strings.Contains(string(body), `chatkit_turned_away_total{code="unauthorized",reason="wrong_issuer"} 1`) {
		t.Errorf("metrics: %v\n%s", err, body)
	}
	if strings.Contains(s.logs.String(), credential) {
		t.Error("the log shows the credential")
	}
}

// Behind a proxy that the service does not know, all clients count as one: it
// says so, where that matters.
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

var listening = regexp.MustCompile(`"msg":"listening","address":"([^"]+)"`)

// url waits until serve listens and returns where.
func (r *running) url(t *testing.T) string {
	t.Helper()
	return "http://" + r.logs.await(t, listening)[1]
}

func (r *running) post(t *testing.T, credential string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url(t)+"/api/chatkit/session", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return parseAnswer(t, response)
}

// No token and no secret is in the database, the log or the output of a run
// that handed out many.
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

// offer asks for a transfer code.
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
		`CLERK_AUTHORIZED_PARTIES: "b.example.com" must be`, `CLERK_AUTHORIZED_PARTIES: "https://*.example.com" must be one origin`,
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

// What a setting says that is not good is said of that setting alone.
func TestParseSettings_RefusesEach(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"METRICS_ADDR=9090":                       `METRICS_ADDR: "9090" must be like :8080`,
		"CHATKIT_REMEMBER_DURATION=1h10s":         "session times: CHATKIT_ROTATION_GRACE (30s) must be shorter than CHATKIT_REMEMBER_DURATION less CHATKIT_REFRESH_THRESHOLD (10s)",
		"CHATKIT_REMEMBER_LONGEST_LIFE=24h":       "session times: CHATKIT_REMEMBER_DURATION (720h0m0s) must not be longer than CHATKIT_REMEMBER_LONGEST_LIFE",
		"CHATKIT_REMEMBER_IDLE_TIMEOUT=119s":      "CHATKIT_REMEMBER_IDLE_TIMEOUT: must be at least 2m0s, or 0s",
		"CHATKIT_IDLE_TIMEOUT=1s":                 "CHATKIT_IDLE_TIMEOUT: must be at least 2m0s, or 0s",
		"CHATKIT_IDLE_TIMEOUT=-2h":                "session times: CHATKIT_IDLE_TIMEOUT (-2h0m0s) must not be negative",
		"CHATKIT_WARNING_WINDOW=-1s":              "CHATKIT_WARNING_WINDOW: must be 0s, or at least 1s",
		"CHATKIT_MAX_SESSIONS=-1":                 "session times: CHATKIT_MAX_SESSIONS",
		"CHATKIT_TRANSFER_CODE_LIFETIME=0s":       "CHATKIT_TRANSFER_CODE_LIFETIME: must be at least 1s",
		"CHATKIT_TRANSFER_URL=app.example.com":    "CHATKIT_TRANSFER_URL: ",
		"CHATKIT_STEP_UP_WITHIN=-1m":              "CHATKIT_STEP_UP_WITHIN: must not be negative",
		"CHATKIT_STEP_UP_WITHIN=90s":              "CHATKIT_STEP_UP_WITHIN: must be whole minutes",
		"CHATKIT_ANOMALY_NEW_DEVICES=many":        `CHATKIT_ANOMALY_NEW_DEVICES: "many" must be`,
		"CHATKIT_ANOMALY_OPENS=0/1m":              "CHATKIT_ANOMALY_OPENS: ",
		"CHATKIT_ANOMALY_ADDRESSES=3/0s":          "CHATKIT_ANOMALY_ADDRESSES: ",
		"CHATKIT_ANOMALY_FOREIGN_CODES=-1":        "CHATKIT_ANOMALY_FOREIGN_CODES: must not be negative",
		"CHATKIT_ANOMALY_REVOKE=opens,everything": `CHATKIT_ANOMALY_REVOKE: "everything" must be one of`,
		"CHATKIT_ACTIVITY_RETENTION=0s":           "CHATKIT_ACTIVITY_RETENTION: must be longer than nothing",
		"REDIS_URL=http://localhost":              "REDIS_URL: must be like redis://host:6379",
		"REDIS_TIMEOUT=0s":                        "REDIS_TIMEOUT: must be at least 1ms",
		"CHATKIT_CACHE_LEASE=-1s":                 "CHATKIT_CACHE_LEASE: must be 0s, or 1ms to 5s, and at most half",
		"CHATKIT_CACHE_LEASE=5.1s":                "CHATKIT_CACHE_LEASE: must be 0s, or 1ms to 5s, and at most half",
		"CHATKIT_CACHE_SESSIONS=-1":               "CHATKIT_CACHE_SESSIONS: must be 0 to 1000000",
		"CHATKIT_CACHE_SESSIONS=1":                "CHATKIT_CACHE_SESSIONS: needs a CHATKIT_CACHE_LEASE",
		"CLERK_REMEMBERED_TOKENS=-1":              "CLERK_REMEMBERED_TOKENS: must be 0 to 1000000",
		"CLERK_REMEMBERED_TOKENS=1000001":         "CLERK_REMEMBERED_TOKENS: must be 0 to 1000000",

		"CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=-1":         "CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE: must be 0 to 1000000",
		"CHATKIT_RATE_LIMIT_READS_PER_MINUTE=1000001":    "CHATKIT_RATE_LIMIT_READS_PER_MINUTE: must be 0 to 1000000",
		"CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE=-1":       "CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE: ",
		"CHATKIT_RATE_LIMIT_ADMIN_PER_MINUTE=off":        "CHATKIT_RATE_LIMIT_ADMIN_PER_MINUTE: must be a whole number",
		"CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=1000001": "CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE: ",
	} {
		_, _, err := parseSettings(testEnviron(t, setting))
		if err == nil {
			t.Errorf("%s is accepted", setting)
			continue
		}
		if lines := strings.Split(err.Error(), "\n")[1:]; len(lines) != 1 || !strings.HasPrefix(lines[0], want) {
			t.Errorf("%s is refused with %v", setting, err)
		}
	}
	for _, setting := range []string{
		"CHATKIT_IDLE_TIMEOUT=2m", "CHATKIT_WARNING_WINDOW=0s", "CHATKIT_MAX_SESSIONS=0", "CHATKIT_ANOMALY_OPENS=off", "CHATKIT_ANOMALY_SUPERSEDED_AFTER=-1s",
		"CHATKIT_ANOMALY_REVOKE=opens, new_devices", "METRICS_ADDR=127.0.0.1:9090", "REDIS_URL=redis://one,two:6380", "CHATKIT_RATE_LIMIT_READS_PER_MINUTE=1000000", "CHATKIT_TRANSFER_URL=https://app.example.com/chat",
	} {
		if _, _, err := parseSettings(testEnviron(t, setting)); err != nil {
			t.Errorf("%s is refused with %v", setting, err)
		}
	}
}

func TestRun_Cleanup(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "sessions.db") },
		"PostgreSQL": func(t *testing.T) string { t.Helper(); return pgtest.Empty(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := []string{"DATABASE_URL=" + database(t)} // they need no other setting
			what := strings.TrimPrefix(environ[0], "DATABASE_URL=sqlite:")
			if name == "PostgreSQL" {
				what = "the database"
			}
			for _, step := range []struct{ command, want string }{
				{"migrate", "the schema of " + what + " is up to date\n"},
				{"migrate", "the schema of " + what + " is up to date\n"},
				{"cleanup", "expired 0, purged 0, activity purged 0, sign-ins purged 0\n"},
			} {
				var out bytes.Buffer
				if err := run(t.Context(), []string{step.command}, environ, &out, io.Discard); err != nil || out.String() != step.want {
					t.Errorf("%s = %q, %v", step.command, out.String(), err)
				}
			}
		})
	}
}

// Where the schema is current, nobody waits for a migration elsewhere on the
// server.
func TestRun_Migrate_TakesNoLockForNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	other := pgtest.Open(t, url)
	other.SetMaxOpenConns(1)
	const gooseLock = 4097083626
	if _, err := other.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", gooseLock); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := run(ctx, []string{"migrate"}, testEnviron(t, "DATABASE_URL="+url), io.Discard, io.Discard); err != nil {
		t.Errorf("migrate = %v", err)
	}
}

func TestRun_Small(t *testing.T) {
	t.Parallel()
	output := func(args ...string) string {
		var out bytes.Buffer
		if err := run(t.Context(), args, nil, &out, &out); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		return out.String()
	}
	if got := output("version"); got != version+"\n" {
		t.Errorf("version = %q", got)
	}
	if one, two := output("keygen"), output("keygen"); one == two || len(one) != 45 {
		t.Errorf("keygen = %q, %q", one, two)
	}
	help := output("serve", "--help")
	for _, s := range allSettings() {
		if !strings.Contains(help, "\n"+s.name) && !strings.Contains(help, " "+s.name) {
			t.Errorf("serve --help does not list %s", s.name)
		}
	}
	if err := run(t.Context(), []string{"fly"}, nil, io.Discard, io.Discard); err == nil {
		t.Error("an unknown command is accepted")
	}
}

// A bug ends the process as a bug, not as a success.
func TestRun_Panics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("the panic is gone")
		}
	}()
	_ = run(t.Context(), []string{"version"}, nil, panicking{}, io.Discard)
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("a bug") }

func TestParseSettings(t *testing.T) {
	t.Parallel()
	c, warnings, err := parseSettings(testEnviron(t, "CHATKIT_WORKFLOW_ID=", "CHATKIT_WORKFLOWID=typo", "CHATKIT_SESSION_DURATION=48h", "TRUSTED_PROXIES=10.0.0.1,::1/128", "INTROSPECTION_KEYS="+backendKey))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, "CHATKIT_WORKFLOWID is not a setting") }) ||
		!slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, "CHATKIT_WORKFLOW_ID is not set") }) || len(warnings) != 2 {
		t.Errorf("warnings = %q", warnings)
	}
	if c.policy.Usual.Duration.Hours() != 48 || len(c.trustedProxies) != 2 || !c.workflow.IsZero() {
		t.Errorf("config = %v, %v", c.policy, c.trustedProxies)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("settings", "keys", c.TokenKeys, "settings", c.settings)
	for _, shown := range []string{fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c.settings), logged.String()} {
		if strings.Contains(shown, string(c.TokenKeys[0])) || strings.Contains(shown, backendKey) || strings.Contains(shown, "BEGIN PUBLIC KEY") || !strings.Contains(shown, "[secret]") {
			t.Errorf("printing the settings shows a secret: %s", shown)
		}
	}
}

// The README's table is the settings.
func TestREADME_ListsTheSettings(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range allSettings() {
		fallback := ""
		if s.fallback != "" {
			fallback = "`" + s.fallback + "`"
		}
		row := fmt.Sprintf("| `%s` | %s | %s |", s.name, fallback, s.help)
		if !strings.Contains(string(readme), row) {
			t.Errorf("README lacks: %s", row)
		}
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
