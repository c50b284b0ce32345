package redis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/adapters/redis"
	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// long keeps a busy machine from being taken for a Redis that is lost.
const long = patience

// counter is what counts when Redis does not: it allows all that it hears of
// until it is told not to.
type counter struct {
	mu      sync.Mutex
	heard   int
	refuses bool
}

func (c *counter) Allow(ctx context.Context, _ ports.LimitKey, _ session.Limit) (ports.Allowance, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return ports.Allowance{}, session.Wrap(session.KindUnavailable, err)
	}
	c.heard++
	return ports.Allowance{Allowed: !c.refuses, Next: time.Minute}, nil
}

func (c *counter) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses = true
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// lines is a log of which tests await lines.
type lines struct {
	mu      sync.Mutex
	written *sync.Cond
	text    bytes.Buffer
}

func newLines() *lines {
	l := &lines{}
	l.written = sync.NewCond(&l.mu)
	return l
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written.Broadcast()
	return l.text.Write(p)
}

// messages are the lines so far.
func (l *lines) messages(t testing.TB) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		found = append(found, entry.Level+" "+entry.Msg)
	}
	return found
}

// await waits until the log has n lines and returns them.
func (l *lines) await(t testing.TB, n int) []string {
	t.Helper()
	deadline := time.Now().Add(patience)
	defer time.AfterFunc(patience, l.written.Broadcast).Stop()
	l.mu.Lock()
	for strings.Count(l.text.String(), "\n") < n && time.Now().Before(deadline) {
		l.written.Wait()
	}
	l.mu.Unlock()
	found := l.messages(t)
	if len(found) != n {
		t.Fatalf("the log has %q, want %d lines", found, n)
	}
	return found
}

const (
	lost = "WARN Redis does not answer: each replica counts for itself until it does"
	back = "INFO Redis answers again: replicas count together"
)

// subject is a limiter of a replica.
type subject struct {
	*redis.Limiter
	local *counter
	log   *lines
}

func connect(t testing.TB, url string, timeout time.Duration) *subject {
	t.Helper()
	s := &subject{local: &counter{}, log: newLines()}
	client, err := redis.Connect(t.Context(), redis.Config{
		URL: url, Timeout: timeout, Retry: 5 * time.Millisecond, Logger: slog.New(slog.NewJSONHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	s.Limiter = redis.NewLimiter(client, s.local)
	return s
}

func (s *subject) allows(t testing.TB, who string) bool {
	t.Helper()
	got, err := s.Allow(t.Context(), ports.LimitKey{Group: ports.LimitOpens, Subject: who}, session.Limit{Most: 2, Within: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return got.Allowed
}

// allowsTwo reports whether two are allowed, which is the limit, and no third.
func (s *subject) allowsTwo(t testing.TB, who string) bool {
	t.Helper()
	first, second, third := s.allows(t, who), s.allows(t, who), s.allows(t, who)
	return first && second && !third
}

// servers are those that a limiter must do on.
var servers = map[string]func(t testing.TB) *redistest.Server{
	"Alone":   func(t testing.TB) *redistest.Server { return redistest.New(t) },
	"Cluster": redistest.NewCluster,
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			porttest.RateLimiter(t, func(t *testing.T) porttest.RateLimiters {
				server := start(t)
				one, two := connect(t, server.URL, long), connect(t, server.URL, long)
				t.Cleanup(func() {
					if got := append(one.log.messages(t), two.log.messages(t)...); len(got) > 0 {
						t.Errorf("the log has %q", got)
					}
				})
				return porttest.RateLimiters{One: one, Two: two}
			})
		})
	}
}

// What Redis allows the local one hears of, what it refuses it does not; and
// what that says does not count.
func TestLimiter_TellsTheLocalOne(t *testing.T) {
	t.Parallel()
	s := connect(t, redistest.New(t).URL, long)
	s.local.refuse()
	if !s.allowsTwo(t, "alice") {
		t.Error("Redis does not decide")
	}
	if got := s.local.count(); got != 2 {
		t.Errorf("the local one heard of %d, want 2", got)
	}
	if s.Degraded() != "" {
		t.Errorf("it says %q", s.Degraded())
	}
}

// Redis is killed and comes back: meanwhile the local one answers, and each
// is said once, however many ask.
func TestLimiter_RedisGoesAndComes(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, long)
	s.allows(t, "alice")
	server.Kill()
	s.local.refuse()
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if s.allows(t, "alice") {
				t.Error("the local one does not decide")
			}
		})
	}
	group.Wait()
	if got := s.log.await(t, 1); got[0] != lost {
		t.Errorf("the log has %q", got)
	}
	if !strings.Contains(s.Degraded(), "this replica alone") {
		t.Errorf("it says %q", s.Degraded())
	}
	server.Start(t)
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
	if s.Degraded() != "" {
		t.Errorf("it says %q", s.Degraded())
	}
	if !s.allowsTwo(t, "alice") {
		t.Error("Redis, empty as it is, does not decide")
	}
	s.log.await(t, 2)
}

// A Redis that takes connections and answers nothing is lost as well, and whoever
// asks after that does not wait.
func TestLimiter_RedisHangs(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, redis.DefaultTimeout)
	s.allows(t, "alice")
	server.Hang(t, true)
	s.local.refuse()
	if s.allows(t, "alice") {
		t.Error("the local one does not decide")
	}
	s.log.await(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 1000 { // that would take minutes, if each waited
		if _, err := s.Allow(ctx, ports.LimitKey{Subject: "alice"}, session.Limit{Most: 1, Within: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	server.Hang(t, false)
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
	if !s.allowsTwo(t, "bob") {
		t.Error("Redis does not decide")
	}
}

// It is lost after some timeouts, not after many: with this one, 60 would be more
// than a test has patience for.
func TestLimiter_RedisHangs_ForSomeTimeouts(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, patience/40)
	server.Hang(t, true)
	s.allows(t, "alice")
	if got := s.log.await(t, 1); got[0] != lost || s.local.count() != 1 {
		t.Errorf("the log has %q, and %d were counted here", got, s.local.count())
	}
	server.Hang(t, false)
}

// A Redis that answers, and each time too late, is lost as well: callers would
// queue for it.
func TestLimiter_RedisIsSlow(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	var slow atomic.Bool
	address := proxy(t, server.Address(), func([]byte) bool {
		if slow.Load() {
			<-time.After(3 * redis.DefaultTimeout) // as long as its way takes
		}
		return true
	})
	s := connect(t, "redis://"+address, redis.DefaultTimeout)
	slow.Store(true)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() { s.allows(t, "alice") })
	}
	group.Wait()
	if got := s.log.await(t, 1); got[0] != lost {
		t.Errorf("the log has %q", got)
	}
	slow.Store(false)
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
}

// A Redis that only answers what it need not write is lost, too: a replica
// that was not promoted, or one that is full.
func TestLimiter_RedisWritesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, long)
	s.allows(t, "alice")
	server.Ask(t, "REPLICAOF 127.0.0.1 1")
	s.allows(t, "alice")
	s.log.await(t, 1)
	s.allows(t, "alice")
	if got := s.local.count(); got != 3 {
		t.Errorf("the local one heard of %d, want 3", got)
	}
	server.Await(t, "set", "rejected_calls", 3) // it was looked for and not found
	s.log.await(t, 1)
	server.Ask(t, "REPLICAOF NO ONE")
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
}

// That its caller gave up, by a deadline or otherwise, says nothing of Redis.
func TestLimiter_CallerGivesUp(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, long)
	s.allows(t, "alice")
	server.Hang(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _ = s.Allow(ctx, ports.LimitKey{Subject: "alice"}, session.Limit{Most: 1, Within: time.Hour}) // as there is time left for it or not
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if got, err := s.Allow(ctx, ports.LimitKey{Subject: "alice"}, session.Limit{Most: 1, Within: time.Hour}); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Allow = %+v, %v", got, err)
	}
	server.Hang(t, false)
	if !s.allowsTwo(t, "bob") {
		t.Error("Redis does not decide")
	}
	if got := s.log.messages(t); s.Degraded() != "" || len(got) > 0 {
		t.Errorf("it says %q, the log %q", s.Degraded(), got)
	}
}

// Who has a deadline is answered before, with time left for what comes then,
// also where Redis takes longer and is not lost for it.
func TestLimiter_CallerHasADeadline(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, long)
	server.Hang(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	got, err := s.Allow(ctx, ports.LimitKey{Subject: "alice"}, session.Limit{Most: 1, Within: time.Hour})
	if err != nil || !got.Allowed || s.local.count() != 1 || ctx.Err() != nil {
		t.Errorf("Allow = %+v, %v", got, err)
	}
	server.Hang(t, false)
}

// Redis need not be there at the start.
func TestConnect_WithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	server.Kill()
	s := connect(t, server.URL, long)
	if got := s.log.await(t, 1); got[0] != lost || s.Degraded() == "" {
		t.Errorf("the log has %q", got)
	}
	if !s.allows(t, "alice") || s.local.count() != 1 {
		t.Error("the local one does not decide")
	}
	server.Start(t)
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
}

// Sentinels say who is master, also when it is another.
func TestConnect_Sentinel(t *testing.T) {
	t.Parallel()
	for name, password := range map[string]string{"Open": "", "Password": "s&cret"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			follows(t, redistest.NewSentinel(t, password))
		})
	}
}

func follows(t *testing.T, master *redistest.Server) {
	t.Helper()
	s := connect(t, master.URL, redis.DefaultTimeout)
	if !s.allowsTwo(t, "alice") || s.local.count() != 2 {
		t.Errorf("the master does not decide, the log has %q", s.log.messages(t))
	}
	master.Kill()
	s.allows(t, "bob")
	if got := s.log.await(t, 1); got[0] != lost {
		t.Errorf("the log has %q", got)
	}
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
	if !s.allowsTwo(t, "carol") || s.Degraded() != "" {
		t.Errorf("it says %q", s.Degraded())
	}
	if got := master.Peer.Ask(t, "EXISTS rate:chatkit:{opens:carol}"); got != ":1" {
		t.Errorf("the new master has the key %s times", got)
	}
}

// One that closes with Redis lost waits for nothing.
func TestClient_Close(t *testing.T) {
	t.Parallel()
	client, err := redis.Connect(t.Context(), redis.Config{URL: "redis://127.0.0.1:1", Retry: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

// With a user and a password, over TLS to more than one host, and what is none.
func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"redis://localhost", "redis://localhost:6379", "redis://127.0.0.1:6380/2", "redis://[::1]:6379", "rediss://user:p%40ss@redis.example.com:6380/0",
		"redis://:pass@one:1,two:2,three", "redis://one?cluster=true", "redis://one/?cluster=false", "redis://one:1/3",
		"redis://one:26379,two:26379/2?master=main", "rediss://user:pass@one?master=main", "redis://one?master=main&sentinel_password=s%26cret",
	} {
		if err := redis.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "redis://", "localhost:6379", "http://localhost", "redis://one,", "redis://one two", "redis://one:port", "redis://one/x", "redis://one/-1", "redis://one/1/2",
		"redis://one?pool_size=3", "redis://one?cluster=perhaps", "redis://one,two/1", "redis://one/1?cluster=true", "redis://us%er:secret@one", "redis://::1", "redis://one#x",
		"redis://one?master=", "redis://one?master=a&master=b", "redis://one?master=main&cluster=true", "redis://one?master=main&pool_size=3", "redis://one?sentinel_password=secret", "redis://one?cluster=true&sentinel_password=secret",
		"redis://one?master=main&sentinel_password=", "redis://one?master=main&sentinel_password=secret&sentinel_password=secret", "redis://one/x?master=main",
	} {
		err := redis.CheckURL(bad)
		if err == nil {
			t.Errorf("%q is good", bad)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%v shows the password", err)
		}
	}
}

// What the URL says is what is used.
func TestConnect_URL(t *testing.T) {
	t.Parallel()
	server := redistest.New(t, "--requirepass", "p@ss")
	host := strings.TrimPrefix(server.URL, "redis://")
	for url, want := range map[string]bool{
		"redis://:p%40ss@" + host + "/3":         true,
		"redis://default:p%40ss@" + host + "/3":  true,
		"redis://nobody:p%40ss@" + host + "/3":   false,
		"redis://:wrong@" + host:                 false,
		"redis://" + host:                        false,
		"rediss://:p%40ss@" + host:               false,
		"redis://:p%40ss@" + host + ",127.0.0.1": false, // it is no cluster
	} {
		if s := connect(t, url, long); (s.Degraded() == "") != want {
			t.Errorf("%s: it says %q, the log %q", url, s.Degraded(), s.log.messages(t))
		} else if strings.Contains(strings.Join(s.log.messages(t), ""), "p@ss") {
			t.Error("the log shows the password")
		}
	}
	s := connect(t, "redis://:p%40ss@"+host+"/3", long)
	s.allows(t, "alice")
	if got := server.Ask(t, "AUTH p@ss\r\nSELECT 3\r\nEXISTS rate:chatkit:{opens:alice}"); got != ":1" {
		t.Errorf("in database 3 the key is there %s times", got)
	}
}

// Over TLS the host's own name is asked for.
func TestConnect_TLS(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	hello := make(chan byte, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close() //nolint:errcheck // nothing was sent
		first := make([]byte, 1)
		_, _ = conn.Read(first)
		hello <- first[0]
	}()
	s := connect(t, "rediss://"+listener.Addr().String(), long)
	if first := <-hello; first != 22 {
		t.Errorf("the first byte is %d, want that of a TLS handshake", first)
	}
	if s.Degraded() == "" {
		t.Error("a handshake that failed is good")
	}
}

func BenchmarkLimiter(b *testing.B) {
	s := connect(b, redistest.New(b).URL, long)
	for b.Loop() {
		if _, err := s.Allow(b.Context(), ports.LimitKey{Group: ports.LimitOpens, Subject: "alice"}, session.Limit{Most: 10, Within: time.Minute}); err != nil {
			b.Fatal(err)
		}
	}
}

// What Redis knows of a time that does not come for long, since its clock was
// set back or another with an earlier one took over, is forgotten; once, however
// many see it.
func TestLimiter_ClockBack(t *testing.T) {
	t.Parallel()
	for name, expiry := range map[string]string{"Expires": " EX 36000", "Stays": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.New(t)
			s := connect(t, server.URL, long)
			const libraryEpoch = 1483228800
			full := time.Now().Add(10*time.Hour).Unix() - libraryEpoch
			server.Ask(t, "SET rate:chatkit:{opens:alice} "+strconv.FormatInt(full, 10)+expiry)
			var group sync.WaitGroup
			var allowed atomic.Int32
			for range 64 {
				group.Go(func() {
					if s.allows(t, "alice") {
						allowed.Add(1)
					}
				})
			}
			group.Wait()
			if allowed.Load() != 2 {
				t.Errorf("%d were allowed, want 2", allowed.Load())
			}
		})
	}
}

// What was counted and not answered is not counted twice: the connection breaks
// when Redis has heard. Redis is not lost for it.
func TestLimiter_NoAnswer(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			direct := connect(t, server.URL, long)
			for _, who := range []string{"a", "b", "c", "d", "e"} { // on each node, so that it has the script
				direct.allows(t, who)
			}
			var asked atomic.Int32
			url := breaking(t, server, "rate:chatkit:{opens:alice}", &asked)
			s := connect(t, url, long)
			if s.allows(t, "alice"); asked.Load() != 1 || s.local.count() != 1 {
				t.Errorf("Redis was asked %d times, the local one %d", asked.Load(), s.local.count())
			}
			if !s.allowsTwo(t, "bob") || s.Degraded() != "" {
				t.Errorf("it says %q, the log %q", s.Degraded(), s.log.messages(t))
			}
			if first, second := direct.allows(t, "alice"), direct.allows(t, "alice"); !first || second {
				t.Errorf("of two, %v and %v were left after one that was not answered", first, second)
			}
		})
	}
}

// Calls on connections that fell silent, as those through a firewall that forgot
// them, keep nobody from a Redis that was found again.
func TestLimiter_ConnectionsForgotten(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	s := connect(t, "redis://"+proxy(t, redistest.New(t).Address(), func([]byte) bool {
		if silent.Load() {
			<-end
		}
		return true
	}), redis.DefaultTimeout)
	s.allows(t, "alice")
	silent.Store(true)
	var group sync.WaitGroup
	for range 64 { // more than may ask at once
		group.Go(func() { s.allows(t, "alice") })
	}
	group.Wait()
	s.log.await(t, 1)
	silent.Store(false)
	s.log.await(t, 2)
	s.local.refuse()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // half of it is for Redis
	defer cancel()
	got, err := s.Allow(ctx, ports.LimitKey{Group: ports.LimitOpens, Subject: "bob"}, session.Limit{Most: 1, Within: time.Hour})
	if err != nil || !got.Allowed {
		t.Errorf("the local one decides: %v, %v", got, err)
	}
}

// breaking is the URL of a way to a server, and to its peer, on which a
// connection breaks when it has carried what has text in it.
func breaking(t *testing.T, server *redistest.Server, text string, carried *atomic.Int32) string {
	t.Helper()
	way := func(server *redistest.Server) string {
		return proxy(t, server.Address(), func(said []byte) bool {
			if !bytes.Contains(said, []byte(text)) {
				return true
			}
			carried.Add(1)
			return false
		})
	}
	address := way(server)
	if server.Peer == nil {
		return "redis://" + address
	}
	server.Announce(t, address)
	server.Peer.Announce(t, way(server.Peer))
	return "redis://" + address + "?cluster=true"
}

// proxy carries connections to an address, each for as long as goesOn with what
// is said there, and returns where it is.
func proxy(t *testing.T, to string, goesOn func(said []byte) bool) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	carry := func(client net.Conn) {
		defer client.Close() //nolint:errcheck // it is over
		behind, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
		if err != nil {
			return
		}
		defer behind.Close() //nolint:errcheck // it is over
		go func() {
			_, _ = io.Copy(client, behind)
			_ = client.Close()
		}()
		said := make([]byte, 1<<16)
		for {
			n, err := client.Read(said)
			if err != nil {
				return
			}
			goes := goesOn(said[:n])
			if !goes {
				_ = client.Close() // before there is an answer
			}
			if _, err := behind.Write(said[:n]); err != nil || !goes {
				return
			}
		}
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go carry(client)
		}
	}()
	return listener.Addr().String()
}

// What the README says that Redis must let the service do is enough, on one
// server and on a cluster; and where it is less Redis is lost for good, not time
// and again.
func TestConnect_AccessControl(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`ACL SETUSER chatkit on >PASSWORD (~rate:chatkit:\* .*)`).FindSubmatch(readme)
	if rule == nil {
		t.Fatal("the README has no rule")
	}
	enough := string(rule[1])
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			for _, node := range server.Nodes() {
				node.Ask(t, "ACL SETUSER enough on >p "+enough)
				node.Ask(t, "ACL SETUSER other on >p "+strings.Replace(enough, "~rate:", "~", 1))
			}
			s := connect(t, strings.Replace(server.URL, "//", "//enough:p@", 1), long)
			for _, node := range server.Nodes() { // one of them has the key
				node.Ask(t, "SET rate:chatkit:{opens:alice} 1e12")
			}
			if !s.allowsTwo(t, "alice") || s.Degraded() != "" || s.local.count() != 2 {
				t.Errorf("it says %q, the log %q", s.Degraded(), s.log.messages(t))
			}
			for _, needed := range []string{"+evalsha", "+get", "+set", "+time", "+incrby", "+sadd", "+scard", "+pexpire"} {
				less := strings.Join(slices.DeleteFunc(strings.Fields(enough), func(word string) bool { return word == needed }), " ")
				for _, node := range server.Nodes() {
					node.Ask(t, "ACL SETUSER less reset on >p "+less)
				}
				if got := connect(t, strings.Replace(server.URL, "//", "//less:p@", 1), long).Degraded(); got == "" {
					t.Errorf("without %s it says nothing", needed)
				}
			}
			client := newClient(t, strings.Replace(server.URL, "//", "//enough:p@", 1), long)
			hearsItself(t, redis.NewRelay(client))
			counts(t, redis.NewCounter(client))
			s = connect(t, strings.Replace(server.URL, "//", "//other:p@", 1), long)
			if name == "Alone" {
				server.Await(t, "evalsha", "rejected_calls", 5)
			}
			if s.allows(t, "alice"); s.local.count() != 1 {
				t.Error("the local one does not decide")
			}
			s.log.await(t, 1)
		})
	}
}
