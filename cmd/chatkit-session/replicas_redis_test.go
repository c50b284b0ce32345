package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/adapters/redis/redistest"
)

// burst lets a user open 60 times at once over all replicas and returns how
// many could, and how many of the limit may have come back meanwhile. Nobody
// gets another answer than that it is too often. answered is told of each.
func (c *cluster) burst(user string, answered func()) (opened, back int) {
	began := time.Now()
	var group sync.WaitGroup
	var good atomic.Int32
	start := make(chan struct{})
	for n := range 60 {
		r, credential := c.replicas[n%len(c.replicas)], c.credential(user, "sess_"+user)
		group.Go(func() {
			<-start
			status, body, err := ask(c.t.Context(), http.MethodPost, r.url+"/api/chatkit/session", credential, "application/json", `{"deviceId":"phone"}`)
			switch {
			case err != nil || (status != http.StatusOK && status != http.StatusTooManyRequests):
				c.t.Errorf("%s got %d %s, %v", user, status, body, err)
			case status == http.StatusOK:
				good.Add(1)
			}
			answered()
		})
	}
	close(start)
	group.Wait()
	return int(good.Load()), int(time.Since(began) / (6 * time.Second))
}

// exactly expects that a user may open ten times on each of some that count for
// themselves.
func (c *cluster) exactly(user string, counting int) {
	c.t.Helper()
	opened, back := c.burst(user, func() {})
	if opened < 10*counting || opened > (10+back)*counting {
		c.t.Errorf("%s opened %d times, want 10 and %d on each of %d", user, opened, back, counting)
		for n, r := range c.replicas {
			c.t.Logf("replica %d: %s", n, r.logs)
		}
	}
}

// Three replicas count together, each for itself from when Redis is killed, and
// together again when it is back; not one request fails.
func TestReplicas_Limits(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	c := newCluster(t, pgtest.New(t), "CHATKIT_RATE_LIMIT_OPENS_PER_MINUTE=10", "REDIS_URL="+server.URL)
	c.exactly("user_1", 1)

	var answers atomic.Int32
	opened, back := c.burst("user_2", func() {
		if answers.Add(1) == 20 {
			server.Kill()
		}
	})
	if most := (10 + back) * (1 + len(c.replicas)); opened < 10 || opened > most {
		t.Errorf("with Redis killed in the middle user_2 opened %d times, want 10 to %d", opened, most)
	}
	c.exactly("user_3", len(c.replicas))
	for n, r := range c.replicas {
		r.logs.await(t, lostLine)
		if status, body, err := ask(t.Context(), http.MethodGet, r.url+"/readyz", "", "", ""); err != nil || status != http.StatusOK || !strings.Contains(string(body), `"degraded":["rate limits`) {
			t.Errorf("replica %d is %d %s, %v", n, status, body, err)
		}
	}

	server.Start(t)
	for n, r := range c.replicas {
		r.logs.await(t, backLine)
		if status, body, err := ask(t.Context(), http.MethodGet, r.url+"/readyz", "", "", ""); err != nil || status != http.StatusOK || strings.Contains(string(body), "rate limits") {
			t.Errorf("replica %d is %d %s, %v", n, status, body, err)
		}
	}
	c.exactly("user_4", 1)
	for _, r := range c.replicas {
		r.stop(t)
	}
}

// checkFrom introspects a token that is used from an address.
func (c *cluster) checkFrom(r *replica, token, address string) {
	c.t.Helper()
	form := url.Values{"token": {token}, "client_ip": {address}}
	status, body, err := ask(c.t.Context(), http.MethodPost, r.url+"/api/chatkit/session/introspect", backendKey, "application/x-www-form-urlencoded", form.Encode())
	if err != nil || status != http.StatusOK || !strings.Contains(string(body), `"active":true`) {
		c.t.Errorf("introspect got %d %s, %v", status, body, err)
	}
}

// What would be an anomaly on one replica is one on three, each of which sees
// less than that, and is recorded once.
func TestReplicas_Anomalies(t *testing.T) {
	t.Parallel()
	const always = "/100000h" // so that no stretch ends within the test
	c := newCluster(t, pgtest.New(t), "REDIS_URL="+redistest.New(t).URL, "CHATKIT_ANOMALY_OPENS=8"+always, "CHATKIT_ANOMALY_ADDRESSES=5"+always)
	var token string
	for n := range 12 {
		token = c.open(c.replicas[n%3], "user_1").Session.ChatKitSessionID
	}
	for n := range 9 {
		c.checkFrom(c.replicas[n%3], token, fmt.Sprint("198.51.100.", n))
	}
	status, body, err := ask(t.Context(), http.MethodGet, c.replicas[0].url+"/api/chatkit/activity", c.credential("user_1", "sess_1"), "", "")
	if err != nil || status != http.StatusOK {
		t.Fatalf("the timeline is %d %s, %v", status, body, err)
	}
	for _, rule := range []string{"opens", "addresses"} {
		if got := strings.Count(string(body), `"rule":"`+rule+`"`); got != 1 {
			t.Errorf("%s was recorded %d times: %s", rule, got, body)
		}
	}
	for _, r := range c.replicas {
		r.stop(t)
	}
}
