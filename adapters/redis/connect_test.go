package redis_test

import (
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/redis"
	"chatkit-session/adapters/redis/redistest"
)

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

// The permissions that docs/operate.md lists for Redis are enough, on one
// server and on a cluster; and where it is less Redis is lost for good, not time
// and again.
func TestConnect_AccessControl(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`ACL SETUSER chatkit on >PASSWORD (~rate:chatkit:\* .*)`).FindSubmatch(page)
	if rule == nil {
		t.Fatal("docs/operate.md has no rule")
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
