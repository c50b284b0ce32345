package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/core/lifecycle"
)

// told is an event as its client gets it.
type told struct {
	Event, ID string
	Data      struct {
		SessionID, Reason, ExpiresAt, RefreshAfter string
		ExpiresIn                                  int
	}
}

func (e told) String() string { return strings.TrimSpace(e.Event + " " + e.Data.Reason) }

// listener is a client of a stream.
type listener struct {
	events chan told // closed when the stream ends
	stop   func()
}

// hear opens a stream and waits until it has begun.
func hear(t testing.TB, base, query, credential string, headers ...string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/chatkit/session/events"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+credential)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // by who reads it
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("got %s", response.Status)
	}
	l := &listener{events: make(chan told, 100)}
	ended := make(chan struct{})
	l.stop = func() { cancel(); <-ended }
	begun := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(l.events)
		defer response.Body.Close() //nolint:errcheck // it is over
		l.read(response.Body, sync.OnceFunc(func() { close(begun) }))
	}()
	t.Cleanup(l.stop)
	select {
	case <-begun:
	case <-time.After(patience):
		t.Fatal("the stream does not begin")
	}
	return l
}

func (l *listener) read(stream io.Reader, begun func()) {
	var one told
	for lines := bufio.NewScanner(stream); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			one.Event = value
		case "id":
			one.ID = value
		case "data":
			_ = json.Unmarshal([]byte(value), &one.Data)
		case "":
			begun()
			if one.Event != "" {
				l.events <- one
			}
			one = told{}
		}
	}
}

// expects waits for the next event.
func (l *listener) expects(t testing.TB, want string) told {
	t.Helper()
	select {
	case got, more := <-l.events:
		if !more || got.String() != want {
			t.Fatalf("heard is %q (%v), want %q", got, more, want)
		}
		return got
	case <-time.After(patience):
		t.Fatalf("%q is never heard", want)
	}
	return told{}
}

// ends waits for the end of the stream, without another event.
func (l *listener) ends(t testing.TB) {
	t.Helper()
	select {
	case got, more := <-l.events:
		if more {
			t.Fatalf("heard is %q, want the end", got)
		}
	case <-time.After(patience):
		t.Fatal("the stream does not end")
	}
}

// The life of a session, as its client hears it.
func TestEvents(t *testing.T) {
	t.Parallel()
	onBoth(t, sessionLife)
}

func sessionLife(t *testing.T, s *service) {
	t.Helper()
	base := newLoopback(t, s.app.server.Handler)
	credential := func() string { return s.credential(t, "user_1", "member") }
	first := s.open(t, "user_1", `{"deviceId":"phone"}`)
	byToken := hear(t, base, "", credential(), "X-ChatKit-Token", first.Session.ChatKitSessionID)
	byID := hear(t, base, "?sessionId="+first.Session.ID, credential())
	s.open(t, "user_1", `{"deviceId":"phone","metadata":{"a":1}}`)

	s.clock.advance(23 * time.Hour)
	refreshed := s.open(t, "user_1", `{"deviceId":"phone"}`)
	var last told
	for _, listener := range []*listener{byToken, byID} {
		last = listener.expects(t, "refreshed")
		if last.Data.SessionID != first.Session.ID || last.Data.ExpiresAt != refreshed.Session.ExpiresAt || last.Data.RefreshAfter != refreshed.Session.RefreshAfter {
			t.Errorf("told is %+v", last)
		}
	}
	// What happens while it is away, it hears when it is back: by the event, or
	// by its token, which is not the session's any more.
	byID.stop()
	s.clock.advance(23 * time.Hour)
	s.open(t, "user_1", `{"deviceId":"phone"}`)
	byToken.expects(t, "refreshed")
	last = hear(t, base, "?sessionId="+first.Session.ID, credential(), "Last-Event-ID", last.ID).expects(t, "refreshed")
	hear(t, base, "", credential(), "X-ChatKit-Token", refreshed.Session.ChatKitSessionID).expects(t, "refreshed")

	s.clock.advance(24*time.Hour - 2*time.Minute)
	late := hear(t, base, "?sessionId="+first.Session.ID, credential(), "Last-Event-ID", last.ID)
	if got := late.expects(t, "expiring"); got.Data.ExpiresIn != 120 {
		t.Errorf("told is %+v", got)
	}
	if status, answered := s.send(t, http.MethodDelete, "/sessions/"+first.Session.ID, credential(), ""); status != http.StatusNoContent {
		t.Fatalf("DELETE = %d %s", status, answered)
	}
	over := late.expects(t, "revoked user")
	late.ends(t)
	hear(t, base, "?sessionId="+first.Session.ID, credential(), "Last-Event-ID", last.ID).expects(t, "revoked user")
	if status, _ := s.send(t, http.MethodGet, "/session/events?sessionId="+first.Session.ID, credential(), "", "Last-Event-ID", over.ID); status != http.StatusNotFound {
		t.Errorf("who has heard of its end comes back and gets %d", status)
	}
	if strings.Contains(s.logs.String(), last.ID) {
		t.Error("ids of events are logged")
	}
}

// Whatever ends a session, its client hears of it, and why; a client of the
// device that it was moved from, too.
func TestEvents_Reasons(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, "CHATKIT_MAX_SESSIONS=2")
	base := newLoopback(t, s.app.server.Handler)
	credential := s.credential(t, "user_1", "member")
	watched := func(device string) (string, *listener) {
		opened := s.open(t, "user_1", `{"deviceId":"`+device+`"}`)
		return opened.Session.ID, hear(t, base, "?sessionId="+opened.Session.ID, credential)
	}
	phone, onPhone := watched("phone")
	_, onLaptop := watched("laptop")
	offer := as[struct{ Code string }](t, s, http.StatusCreated, http.MethodPost, "/sessions/"+phone+"/transfer", credential, "")
	if got := as[answer](t, s, http.StatusOK, http.MethodPost, "/session/transfer", credential, `{"code":"`+offer.Code+`","deviceId":"laptop"}`); got.Outcome != "transferred" {
		t.Fatalf("got %+v", got)
	}
	onPhone.expects(t, "revoked transferred")
	onLaptop.expects(t, "revoked transferred")
	_, moved := watched("laptop")
	_, onTablet := watched("tablet")
	s.clock.advance(time.Second)
	s.open(t, "user_1", `{"deviceId":"watch"}`)
	moved.expects(t, "revoked limit")
	as[struct{ Revoked int }](t, s, http.StatusOK, http.MethodDelete, "/admin/users/user_1/sessions", s.credential(t, "user_boss", "admin"), "")
	onTablet.expects(t, "revoked admin")
	onTablet.ends(t)
}

// openAt opens the session of a device on a replica until the outcome is this.
func (c *cluster) openAt(r *replica, outcome string) answer {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		_, body, err := ask(c.t.Context(), http.MethodPost, r.url+"/api/chatkit/session", c.credential("user_1", "sess_1"), "application/json", `{"deviceId":"phone"}`)
		var got answer
		if err == nil && json.Unmarshal(body, &got) == nil && got.Outcome == outcome {
			return got
		}
	}
	c.t.Fatalf("no session is %s", outcome)
	return answer{}
}

// What one replica does is heard on another, by Redis, and without it by the
// database, past its pooler. A replica that stops ends its streams, and is not
// held up by them.
func TestReplicas_Events(t *testing.T) {
	t.Parallel()
	for name, join := range map[string]func(t *testing.T) (database string, settings []string){
		"Redis": func(t *testing.T) (string, []string) {
			return pgtest.New(t), []string{"REDIS_URL=" + redistest.New(t).URL}
		},
		"PostgreSQL": func(t *testing.T) (string, []string) { return pgtest.New(t), nil },
		"Pgbouncer": func(t *testing.T) (string, []string) {
			through, direct := pgtest.Bouncer(t), pgtest.New(t)
			return through(direct), []string{"DATABASE_PREPARED_STATEMENTS=false", "DATABASE_DIRECT_URL=" + direct}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, settings := join(t)
			// A second after it was opened, opening refreshes it.
			c := newCluster(t, database, append(settings, "CHATKIT_SESSION_DURATION=1h", "CHATKIT_REFRESH_THRESHOLD=3599s", "CHATKIT_ROTATION_GRACE=100ms")...)
			id := c.openAt(c.replicas[0], "created").Session.ID
			streams := make([]*listener, len(c.replicas))
			for n, r := range c.replicas {
				streams[n] = hear(t, r.url, "?sessionId="+id, c.credential("user_1", "sess_1"))
			}
			c.openAt(c.replicas[1], "refreshed")
			for _, stream := range streams {
				stream.expects(t, "refreshed")
			}
			c.replicas[2].stop(t)
			streams[2].ends(t)
			if status, body, err := ask(t.Context(), http.MethodDelete, c.replicas[0].url+"/api/chatkit/sessions/"+id, c.credential("user_1", "sess_1"), "", ""); status != http.StatusNoContent {
				t.Fatalf("DELETE = %d %s, %v", status, body, err)
			}
			for _, stream := range streams[:2] {
				stream.expects(t, "revoked user")
				stream.ends(t)
			}
		})
	}
}

// joined are two services on one database that are joined by a Redis.
func joined(t *testing.T, server *redistest.Server, reread time.Duration) (one, two *service) {
	t.Helper()
	opened, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	streams := lifecycle.WatchLimits{Total: 10, PerUser: 10, PollInterval: reread}
	start := func() *service {
		s := withStreams(t, opened, streams, "REDIS_URL="+server.URL)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.app.news.Run(ctx) })
		t.Cleanup(func() { cancel(); running.Wait() })
		return s
	}
	return start(), start()
}

var (
	apartLine = regexp.MustCompile(`"change notifications between replicas are interrupted: events are delayed until they resume"`)
	againLine = regexp.MustCompile(`"change notifications between replicas have resumed"`)
)

func revokeOn(t *testing.T, s *service, id string) {
	t.Helper()
	if status, answered := s.send(t, http.MethodDelete, "/sessions/"+id, s.credential(t, "user_1", "member"), ""); status != http.StatusNoContent {
		t.Fatalf("DELETE = %d %s", status, answered)
	}
}

// With Redis killed in the middle events come anyway, from the database,
// and it is said; nobody who changes something waits or fails.
func TestEvents_RedisKilled(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	one, two := joined(t, server, 200*time.Millisecond)
	id := one.open(t, "user_1", "").Session.ID
	stream := hear(t, newLoopback(t, one.app.server.Handler), "?sessionId="+id, one.credential(t, "user_1", "member"))
	server.Kill()
	revokeOn(t, two, id)
	stream.expects(t, "revoked user")
	for _, s := range []*service{one, two} {
		s.logs.await(t, apartLine)
		if ready, body := s.ready(t); ready != http.StatusOK || !strings.Contains(body, "events arrive late") {
			t.Errorf("readiness is %d %s", ready, body)
		}
	}
}

// When Redis is back all look, and replicas hear of each other again.
func TestEvents_RedisComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	one, two := joined(t, server, time.Hour)
	base, credential := newLoopback(t, one.app.server.Handler), one.credential(t, "user_1", "member")
	first := one.open(t, "user_1", `{"deviceId":"phone"}`).Session.ID
	second := one.open(t, "user_1", `{"deviceId":"laptop"}`).Session.ID
	onPhone, onLaptop := hear(t, base, "?sessionId="+first, credential), hear(t, base, "?sessionId="+second, credential)
	server.Kill()
	one.logs.await(t, apartLine)
	revokeOn(t, two, first)
	server.Start(t)
	onPhone.expects(t, "revoked user")
	for _, s := range []*service{one, two} {
		s.logs.await(t, againLine)
		if lost := len(apartLine.FindAllString(s.logs.String(), -1)); lost != 1 {
			t.Errorf("it says %d times that replicas are apart", lost)
		}
		if ready, body := s.ready(t); ready != http.StatusOK || strings.Contains(body, "degraded") {
			t.Errorf("readiness is %d %s", ready, body)
		}
	}
	revokeOn(t, two, second)
	onLaptop.expects(t, "revoked user")
}

// A replica that drains sends those who listen elsewhere, while it answers all
// else.
func TestEvents_Drain(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, "CHATKIT_DRAIN_DELAY=50ms")
	id, credential := s.open(t, "user_1", "").Session.ID, s.credential(t, "user_1", "member")
	stream := hear(t, newLoopback(t, s.app.server.Handler), "?sessionId="+id, credential)
	s.app.drain(t.Context())
	stream.ends(t)
	if got := s.open(t, "user_1", ""); got.Session.ID != id {
		t.Errorf("it opens %s", got.Session.ID)
	}
}

// An idle stream takes little memory, its connection and both its ends
// included.
func TestEvents_Memory(t *testing.T) { //nolint:paralleltest // it measures the process
	const streams, most = 1000, 96 << 10
	s := withStreams(t, openSQLite(t), lifecycle.WatchLimits{Total: streams, PerUser: streams, PollInterval: time.Hour})
	id, credential := s.open(t, "user_1", "").Session.ID, s.credential(t, "user_1", "member")
	address := strings.TrimPrefix(newLoopback(t, s.app.server.Handler), "http://")
	used := func() uint64 {
		for range 5 { // each gives back half of a stack that is not used
			runtime.GC()
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		t.Logf("heap %d KiB, stacks %d KiB", stats.HeapInuse>>10, stats.StackInuse>>10)
		return stats.HeapInuse + stats.StackInuse
	}
	before := used()
	for range streams {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = fmt.Fprintf(conn, "GET /api/chatkit/session/events?sessionId=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", id, credential)
		begin := make([]byte, 12)
		if _, err := io.ReadFull(conn, begin); err != nil || string(begin) != "HTTP/1.1 200" {
			t.Fatalf("got %q, %v", begin, err)
		}
	}
	each := (used() - before) / streams
	t.Logf("%d idle streams take %.1f KiB each", streams, float64(each)/1024)
	if each > most {
		t.Errorf("a stream takes %d bytes", each)
	}
}
