package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/api/apitest"
)

const (
	verifyPath     = "/api/chatkit/session/verify"
	introspectPath = "/api/chatkit/session/introspect"
	unknownToken   = "550e8400-e29b-41d4-a716-446655440000"
	// defaultOpens takes back what tests set.
	defaultOpens = "CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE="
)

// say sends a request from an address, with headers given as name, value, name,
// value …
func (s *service) say(t testing.TB, method, path, body, from string, headers ...string) said {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	request.RemoteAddr = from + ":1234"
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	s.app.server.Handler.ServeHTTP(recorder, request)
	apitest.Conforms(t, request, recorder.Result())
	return said{recorder.Code, recorder.Header(), recorder.Body.Bytes()}
}

// said is what the service said.
type said struct {
	status int
	header http.Header
	body   []byte
}

// metric expects a value of one of the metrics.
func (s *service) metric(t testing.TB, name, want string) {
	t.Helper()
	if got := metricAt(t, newLoopback(t, s.app.metrics.Handler), name); got != want {
		t.Errorf("%s is %s, want %s", name, got, want)
	}
}

// ten a minute are the default, at once or one every six seconds, for each sign-in.
func TestLimits_Opens(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, defaultOpens)
	credential := s.credential(t, "user_1", "member")
	open := func(want int, left, retry string) {
		t.Helper()
		got := s.say(t, http.MethodPost, "/api/chatkit/session", "", "192.0.2.1", "Authorization", "Bearer "+credential)
		if got.status != want || got.header.Get("RateLimit") != `"opens";r=`+left || got.header.Get("RateLimit-Policy") != `"opens";q=10;w=60` || got.header.Get("Retry-After") != retry {
			t.Errorf("got %d %v", got.status, got.header)
		}
	}
	for left := 9; left >= 0; left-- {
		open(http.StatusOK, strconv.Itoa(left)+";t=6", "")
	}
	open(http.StatusTooManyRequests, "0;t=6", "6")
	s.clock.advance(1500 * time.Millisecond)
	open(http.StatusTooManyRequests, "0;t=5", "5")
	s.metric(t, `chatkit_rate_limited_total{group="opens"}`, "2")
	if other := s.open(t, "user_2", ""); other.Outcome != "created" {
		t.Errorf("another user got %s", other.raw)
	}
	s.clock.advance(4500 * time.Millisecond)
	open(http.StatusOK, "0;t=6", "")
	open(http.StatusTooManyRequests, "0;t=6", "6")
}

// What one sign-in asks for too often is its own: the user's others, and the
// user beside an actor, have all of theirs, also when it is signed out and goes
// on asking.
func TestLimits_OfEachSignIn(t *testing.T) {
	t.Parallel()
	for name, noisy := range map[string]bearer{
		"Thief": {user: "user_1", signIn: "sess_stolen", ago: 60},
		"Agent": {user: "user_1", signIn: "sess_user", act: agent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onSQLite(t, defaultOpens, "CHATKIT_RATE_LIMIT_READS_PER_MINUTE=3", "CHATKIT_RATE_LIMIT_CHANGES_PER_MINUTE=3")
			user := bearer{user: "user_1", signIn: "sess_user"}
			floods := func() {
				t.Helper()
				for _, call := range [][3]string{{http.MethodPost, "/session", ""}, {http.MethodGet, "/sessions", ""}, {http.MethodDelete, "/sessions", ""}} {
					for n := 0; ; n++ {
						if status, _ := s.send(t, call[0], call[1], s.bearing(t, noisy), call[2]); status == http.StatusTooManyRequests {
							break
						}
						if n > 10 {
							t.Fatalf("%s %s is never refused", call[0], call[1])
						}
					}
				}
			}
			floods()
			opened := s.opens(t, "created", s.bearing(t, user), `{"deviceId":"phone"}`)
			floods()
			as[struct{}](t, s, http.StatusOK, http.MethodGet, "/sessions", s.bearing(t, user), "")
			as[struct{}](t, s, http.StatusOK, http.MethodDelete, "/sessions?keep="+opened.Session.ID, s.bearing(t, user), "")
			s.clock.advance(time.Minute)
			s.refuses(t, "session_revoked", http.MethodPost, "/session", s.bearing(t, noisy), "")
			floods()
			s.opens(t, "reused", s.bearing(t, user), `{"deviceId":"phone"}`)
		})
	}
}

// Each setting limits its calls and no others.
func TestLimits_Settings(t *testing.T) {
	t.Parallel()
	const id = "/0198c0de-0000-7000-8000-000000000001"
	calls := map[string][]string{
		"OPENS":    {"POST /session"},
		"READS":    {"GET /sessions", "GET /sessions" + id, "GET /activity", "GET /sessions" + id + "/activity"},
		"CHANGES":  {"DELETE /sessions" + id, "DELETE /sessions", "POST /sessions" + id + "/transfer", "POST /session/transfer"},
		"ADMIN":    {"GET /admin/stats", "GET /admin/users/user_2/sessions", "DELETE /admin/users/user_2/sessions", "DELETE /admin/sessions" + id},
		"FAILURES": {"GET /session/verify", "POST /session/introspect"},
	}
	for setting := range calls {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := onSQLite(t, "CHATKIT_RATE_LIMIT_"+setting+"_PER_MINUTE=1", "INTROSPECTION_KEYS="+backendKey)
			credential := s.credential(t, "user_1", "admin")
			for group, list := range calls {
				refused := 0
				for _, call := range list {
					method, path, _ := strings.Cut(call, " ")
					for range 2 {
						bearer := credential
						if group == "FAILURES" {
							bearer = unknownToken
						}
						if got := s.say(t, method, "/api/chatkit"+path, "", "192.0.2.1", "Authorization", "Bearer "+bearer); got.status == http.StatusTooManyRequests {
							refused++
						}
					}
				}
				want := 0
				if group == setting {
					want = 2*len(list) - 1
				}
				if refused != want {
					t.Errorf("of %s, %d were refused, want %d", group, refused, want)
				}
			}
		})
	}
}

// A valid token is accepted however many others were not, for whom both the address
// and the key have none left.
func goodDespiteFailures(t *testing.T, s *service) {
	t.Helper()
	token := s.open(t, "user_1", "").Session.ChatKitSessionID
	introspect := func(token string) (int, bool) {
		got := s.say(t, http.MethodPost, introspectPath, "token="+token+"&client_ip=192.0.2.1", "192.0.2.1", "Authorization", "Bearer "+backendKey, "Content-Type", "application/x-www-form-urlencoded")
		var body struct{ Active bool }
		if err := json.Unmarshal(got.body, &body); err != nil {
			t.Fatal(err)
		}
		return got.status, body.Active
	}
	verify := func(token string) int {
		return s.say(t, http.MethodGet, verifyPath, "", "192.0.2.1", "Authorization", "Bearer "+token).status
	}
	refused := 0
	for range 20 {
		if status, active := introspect(unknownToken); status == http.StatusTooManyRequests {
			refused++
		} else if status != http.StatusOK || active {
			t.Errorf("a failure of introspection got %d", status)
		}
		if status := verify(unknownToken); status == http.StatusTooManyRequests {
			refused++
		} else if status != http.StatusUnauthorized {
			t.Errorf("a failure of verify got %d", status)
		}
		if status, active := introspect(token); status != http.StatusOK || !active {
			t.Fatalf("after %d refusals, introspection of a valid token got %d %v", refused, status, active)
		}
		if status := verify(token); status != http.StatusNoContent {
			t.Fatalf("after %d refusals, verify of a valid token got %d", refused, status)
		}
	}
	if refused < 30 {
		t.Errorf("of 40 failures, %d were refused", refused)
	}
}

func TestLimits_NeverRefuseAGoodToken(t *testing.T) {
	t.Parallel()
	settings := []string{"INTROSPECTION_KEYS=" + backendKey, "CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=3"}
	t.Run("Alone", func(t *testing.T) {
		t.Parallel()
		goodDespiteFailures(t, onSQLite(t, settings...))
	})
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		goodDespiteFailures(t, onSQLite(t, append(settings, "REDIS_URL="+redistest.New(t).URL)...))
	})
	t.Run("RedisLost", func(t *testing.T) {
		t.Parallel()
		server := redistest.New(t)
		server.Kill()
		goodDespiteFailures(t, onSQLite(t, append(settings, "REDIS_URL="+server.URL)...))
	})
}

// What a client says of its own address counts for nothing: it is limited by
// that which a trusted proxy saw.
func TestLimits_ForgedAddresses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		trusted   string
		from      func(n int) string
		forwarded func(n int) string
		want      int // how many of ten are not refused
	}{
		"NobodyTrusted": {"", func(int) string { return "198.51.100.1" }, func(n int) string { return "203.0.113." + strconv.Itoa(n) }, 3},
		"NotAProxy":     {"192.0.2.1", func(int) string { return "198.51.100.1" }, func(n int) string { return "203.0.113." + strconv.Itoa(n) }, 3},
		"BehindAProxy":  {"192.0.2.1", func(int) string { return "192.0.2.1" }, func(n int) string { return "203.0.113." + strconv.Itoa(n) + ", 198.51.100.1" }, 3},
		"OneNetwork":    {"192.0.2.1", func(int) string { return "192.0.2.1" }, func(n int) string { return "2001:db8::" + strconv.Itoa(n+1) }, 3},
		"Different":     {"192.0.2.1", func(int) string { return "192.0.2.1" }, func(n int) string { return "198.51.100." + strconv.Itoa(n) }, 10},
		"TwoProxies":    {"192.0.2.0/24", func(n int) string { return "192.0.2." + strconv.Itoa(n) }, func(int) string { return "198.51.100.1" }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onSQLite(t, "TRUSTED_PROXIES="+test.trusted, "CHATKIT_RATE_LIMIT_FAILURES_PER_MINUTE=3")
			passed := 0
			for n := range 10 {
				if got := s.say(t, http.MethodGet, verifyPath, "", test.from(n), "Authorization", "Bearer "+unknownToken, "X-Forwarded-For", test.forwarded(n)); got.status == http.StatusUnauthorized {
					passed++
				}
			}
			if passed != test.want {
				t.Errorf("%d were not refused, want %d", passed, test.want)
			}
		})
	}
}

// replicas are two wired services on one store and one Redis.
func replicas(t *testing.T, server *redistest.Server) [2]*service {
	t.Helper()
	opened := openSQLite(t)
	var both [2]*service
	for i := range both {
		both[i] = onStore(t, opened, defaultOpens, "REDIS_URL="+server.URL)
	}
	return both
}

// allowed lets 64 race to open on both replicas, and returns how many could.
func allowed(t *testing.T, both [2]*service, user string) int {
	t.Helper()
	var group sync.WaitGroup
	var opened atomic.Int32
	start := make(chan struct{})
	for n := range 64 {
		s := both[n%2]
		credential := s.credential(t, user, "member")
		group.Go(func() {
			<-start
			switch got := s.post(t, credential, ""); got.Status {
			case http.StatusOK:
				opened.Add(1)
			case http.StatusTooManyRequests:
			default:
				t.Errorf("got %d %s", got.Status, got.raw)
			}
		})
	}
	close(start)
	group.Wait()
	return int(opened.Load())
}

// exactly ten are allowed, and one more for every six seconds that the machine
// took for it by Redis' clock.
func exactlyTen(t *testing.T, both [2]*service, user string) {
	t.Helper()
	began := time.Now()
	got := allowed(t, both, user)
	if most := 10 + int(time.Since(began)/(6*time.Second)); got < 10 || got > most {
		t.Errorf("%d of 64 were allowed, want 10", got)
	}
}

func TestLimits_AcrossReplicas(t *testing.T) {
	t.Parallel()
	both := replicas(t, redistest.New(t))
	exactlyTen(t, both, "user_1")
	exactlyTen(t, both, "user_2")
}

var (
	lostLine = regexp.MustCompile(`"Redis does not answer: each replica counts for itself until it does"`)
	backLine = regexp.MustCompile(`"Redis answers again: replicas count together"`)
)

// With Redis killed in the middle answers go on, from where each replica was,
// and it is said in the log and in readiness, which stays green; with Redis
// back, replicas count together again.
func TestLimits_RedisGoesAndComes(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	both := replicas(t, server)
	for range 10 {
		both[0].open(t, "user_1", "")
	}
	server.Kill()
	if got := both[0].post(t, both[0].credential(t, "user_1", "member"), ""); got.Status != http.StatusTooManyRequests {
		t.Errorf("the replica that had allowed ten allowed another: %d", got.Status)
	}
	// The clocks of the replicas stand: each allows ten, whatever it takes.
	if got := allowed(t, both, "user_2"); got != 20 {
		t.Errorf("without Redis %d were allowed, want 10 on each of 2", got)
	}
	for i, s := range both {
		s.logs.await(t, lostLine)
		s.metric(t, `chatkit_degraded{part="rate_limit"}`, "1")
		if ready, body := s.ready(t); ready != http.StatusOK || !strings.Contains(body, `"status":"ok"`) || !strings.Contains(body, "rate limits count on this replica alone") {
			t.Errorf("replica %d is %d %s", i, ready, body)
		}
	}
	server.Start(t)
	for i, s := range both {
		s.logs.await(t, backLine)
		s.metric(t, `chatkit_degraded{part="rate_limit"}`, "0")
		if lost := len(lostLine.FindAllString(s.logs.String(), -1)); lost != 1 {
			t.Errorf("replica %d says %d times that Redis is lost", i, lost)
		}
		if ready, body := s.ready(t); ready != http.StatusOK || strings.TrimSpace(body) != `{"status":"ok"}` {
			t.Errorf("replica %d is %d %s", i, ready, body)
		}
	}
	exactlyTen(t, both, "user_3")
}

// ready asks whether the service is; its clock is the database's.
func (s *service) ready(t testing.TB) (int, string) {
	t.Helper()
	s.clock.set(time.Now())
	defer s.clock.set(noon)
	return s.ask(t, http.MethodGet, "/readyz", "", "")
}

// serve closes what it has of Redis.
func TestRun_Serve_WithRedis(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := start(t, testEnviron(t, "DATABASE_URL=sqlite:"+t.TempDir()+"/sessions.db", "REDIS_URL="+server.URL), "serve")
	s.url(t)
	server.Await(t, "evalsha", "calls", 1)
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}
