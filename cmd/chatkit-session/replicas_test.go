package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/adapters/postgres/pgtest"
)

// replica is the service as a process of its own.
type replica struct {
	command *exec.Cmd
	logs    *logs
	url     string
	stopped atomic.Bool // or about to be
	ended   chan error
}

// startReplica starts a process; serving says when it serves.
func startReplica(t *testing.T, environ []string) *replica {
	t.Helper()
	r := &replica{logs: newLogs(), ended: make(chan error, 1)}
	r.command = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0]) //nolint:gosec // this test's own binary
	r.command.Env = append(slices.Clone(environ), replicaVariable+"=1", "PATH="+os.Getenv("PATH"))
	r.command.Stdout, r.command.Stderr = r.logs, r.logs
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.command.Wait() }()
	t.Cleanup(func() { _ = r.command.Process.Kill() })
	return r
}

func (r *replica) serving(t *testing.T) *replica {
	t.Helper()
	r.url = "http://" + r.logs.await(t, listening)[1]
	return r
}

// stop ends the process as a container runtime does, and expects it to do so
// in order.
func (r *replica) stop(t *testing.T) {
	t.Helper()
	r.stopped.Store(true)
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("the replica ended with %v\n%s", err, r.logs)
		}
	case <-time.After(patience):
		t.Fatalf("the replica does not end\n%s", r.logs)
	}
}

// cluster is some replicas on one database.
type cluster struct {
	t        *testing.T
	database string
	environ  []string
	replicas []*replica
	identity *fakeclerk.Instance
}

func newCluster(t *testing.T, database string, settings ...string) *cluster {
	t.Helper()
	trusted, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	environ := testEnviron(t, append([]string{"DATABASE_URL=" + database, "DATABASE_MAX_CONNECTIONS=6", "INTROSPECTION_KEYS=" + backendKey, "LOG_LEVEL=info"}, settings...)...)
	c := &cluster{t: t, database: database, environ: environ, identity: trusted}
	for range 3 {
		c.replicas = append(c.replicas, startReplica(t, environ))
	}
	for _, r := range c.replicas {
		r.serving(t)
	}
	return c
}

var impatient = &http.Client{Timeout: patience}

// ask sends a request and returns the answer's status and body; an error is
// that of the connection.
func ask(ctx context.Context, method, address, bearer, contentType, body string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := impatient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	answered, err := io.ReadAll(response.Body)
	return response.StatusCode, answered, err
}

func (c *cluster) credential(user, signIn string) string {
	token, err := c.identity.Mint(fakeclerk.Claims{Subject: user, SignIn: signIn, Role: "member"})
	if err != nil {
		c.t.Error(err)
	}
	return token
}

// introspect asks a replica whose session a token stands for; nobody's when it
// is invalid.
func (c *cluster) introspect(r *replica, token string) (id, user string, err error) {
	_, body, err := ask(c.t.Context(), http.MethodPost, r.url+"/api/chatkit/session/introspect", backendKey, "application/x-www-form-urlencoded", "token="+token)
	var found struct {
		Active   bool
		Sid, Sub string
	}
	if err = errors.Join(err, json.Unmarshal(body, &found)); err == nil && found.Active != (found.Sid != "") {
		err = fmt.Errorf("got %s", body)
	}
	return found.Sid, found.Sub, err
}

// acknowledged is a session as clients were told of it, with all tokens that
// were given out for it: the last is the one that lives for longest.
type acknowledged struct {
	user   string
	tokens []string
	last   string
	until  time.Time
}

// known are the sessions that were acknowledged, by id, and how often users
// signed in anew.
type known struct {
	mu       sync.Mutex
	sessions map[string]*acknowledged
	anew     map[string]int
}

// signIn is the sign-in in which a user is most of the time.
func (k *known) signIn(user string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Sprint("sess_", k.anew[user])
}

// signInAnew does what people do whose sign-in was signed out.
func (k *known) signInAnew(user, signedOut string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if signedOut == fmt.Sprint("sess_", k.anew[user]) {
		k.anew[user]++
	}
}

func (k *known) add(got answer) error {
	until, err := time.Parse(time.RFC3339, got.Session.ExpiresAt)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[got.Session.ID]
	if s == nil {
		s = &acknowledged{user: got.Session.UserID}
		k.sessions[got.Session.ID] = s
	}
	if !slices.Contains(s.tokens, got.Session.ChatKitSessionID) {
		s.tokens = append(s.tokens, got.Session.ChatKitSessionID)
	}
	if until.After(s.until) {
		s.last, s.until = got.Session.ChatKitSessionID, until
	}
	return nil
}

// any returns one of a user's sessions.
func (k *known) any(user string) (id string, tokens []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, s := range k.sessions { // in no order
		if s.user == user {
			return id, slices.Clone(s.tokens)
		}
	}
	return "", nil
}

// Three replicas under mixed load, one of which dies in the middle: what was
// acknowledged is there, refreshes included, nobody has more sessions than they
// may have, and a token is refused everywhere once its session was ended
// anywhere.
func TestReplicas_MixedLoad(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.New(t),
		"CHATKIT_SESSION_DURATION=1h", "CHATKIT_REFRESH_THRESHOLD=59m59800ms", "CHATKIT_ROTATION_GRACE=100ms", // refreshed after 200 ms
		"CHATKIT_MAX_SESSIONS=3", "CHATKIT_CLEANUP_INTERVAL=100ms")
	sessions := &known{sessions: map[string]*acknowledged{}, anew: map[string]int{}}
	const workers, opens = 9, 90
	var group sync.WaitGroup
	var done atomic.Int32
	for range workers {
		group.Go(func() {
			for range opens {
				c.step(sessions)
				if done.Add(1) == workers*opens/2 {
					c.replicas[2].stopped.Store(true)
					_ = c.replicas[2].command.Process.Kill()
				}
			}
		})
	}
	group.Wait()
	conn := pgtest.Open(t, c.database)
	var crowded, refreshed int
	err := conn.QueryRowContext(t.Context(), `SELECT
		(SELECT count(*) FROM (SELECT 1 FROM chatkit_sessions WHERE status = 'active' GROUP BY clerk_user_id HAVING count(*) > 3) x),
		(SELECT count(*) FROM chatkit_activity WHERE type = 'refreshed')`).Scan(&crowded, &refreshed)
	if err != nil || crowded > 0 || refreshed < 10 || len(sessions.sessions) < 10 {
		t.Errorf("%d sessions, %d refreshes, %d users with more than they may have, %v", len(sessions.sessions), refreshed, crowded, err)
	}
	current, unheard := 0, 0
	for id, told := range sessions.sessions {
		var status string
		var until time.Time
		if err := conn.QueryRowContext(t.Context(), "SELECT status, expires_at FROM chatkit_sessions WHERE id = $1", id).Scan(&status, &until); err != nil {
			t.Errorf("session %s was acknowledged: %v", id, err)
			continue
		}
		switch later := until.UnixMilli() - told.until.UnixMilli(); {
		case status != "active": // signed out, or one too many
		case later < 0:
			t.Errorf("a refresh of %s was acknowledged and is lost", id)
		case later > 0: // by the replica that died before it could answer
			unheard++
		default:
			current++
			c.expectGood(id, told)
		}
	}
	if current == 0 || unheard > workers {
		t.Errorf("%d sessions are as they were acknowledged, %d later", current, unheard)
	}
	t.Logf("%d sessions, %d refreshes, %d current, %d unheard of", len(sessions.sessions), refreshed, current, unheard)
}

// expectGood asks each replica that lives about the last token of a session.
func (c *cluster) expectGood(id string, told *acknowledged) {
	for n, r := range c.replicas {
		if r.stopped.Load() {
			continue
		}
		if sid, user, err := c.introspect(r, told.last); err != nil || sid != id || user != told.user {
			c.t.Errorf("replica %d says that the last token of %s's session %s is %s's %q, %v", n, told.user, id, user, sid, err)
		}
	}
}

// Sessions that are refreshed on all replicas at once get one new token, which
// all who asked are given; and no replica shows or ends another user's.
func TestReplicas_RefreshRace(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.New(t))
	conn := pgtest.Open(t, c.database)
	for round := range 5 {
		user := fmt.Sprint("user_", round)
		before := c.open(c.replicas[round%3], user)
		result, err := conn.ExecContext(t.Context(), "UPDATE chatkit_sessions SET expires_at = now() + interval '30 minutes' WHERE id = $1", before.Session.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := result.RowsAffected(); n != 1 || err != nil {
			t.Fatalf("%d sessions are about to expire, %v", n, err)
		}
		answers := make([]answer, 12)
		start := make(chan struct{})
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() {
				<-start
				answers[i] = c.open(c.replicas[i%3], user)
			})
		}
		close(start)
		group.Wait()
		c.expectOneRefresh(before, answers)
		for _, r := range c.replicas {
			c.expectForeign(r, before.Session.ID, "user_else")
		}
		c.expectGood(before.Session.ID, &acknowledged{user: user, last: answers[0].Session.ChatKitSessionID})
	}
	var refreshed int
	if err := conn.QueryRowContext(t.Context(), "SELECT count(*) FROM chatkit_activity WHERE type = 'refreshed'").Scan(&refreshed); err != nil || refreshed != 5 {
		t.Errorf("5 sessions were refreshed %d times, %v", refreshed, err)
	}
}

func (c *cluster) expectOneRefresh(before answer, answers []answer) {
	outcomes := map[string]int{}
	for _, got := range answers {
		outcomes[got.Outcome]++
		if got.Session.ID != before.Session.ID || got.Session.ChatKitSessionID != answers[0].Session.ChatKitSessionID || got.Session.ChatKitSessionID == before.Session.ChatKitSessionID {
			c.t.Errorf("%s's session %s was refreshed, and somebody is given another token or session: %+v", before.Session.UserID, before.Session.ID, got.Session)
		}
	}
	if outcomes["refreshed"] != 1 || outcomes["reused"] != len(answers)-1 {
		c.t.Errorf("of %d who asked at once, the outcomes are %v", len(answers), outcomes)
	}
}

// expectForeign lets somebody look for another user's session.
func (c *cluster) expectForeign(r *replica, id, user string) {
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if status, body, err := ask(c.t.Context(), method, r.url+"/api/chatkit/sessions/"+id, c.credential(user, "sess_1"), "", ""); err != nil || status != http.StatusNotFound {
			c.t.Errorf("%s of another user's session got %d %s, %v", method, status, body, err)
		}
	}
}

// open opens the session of a user's phone.
func (c *cluster) open(r *replica, user string) (got answer) {
	status, body, err := ask(c.t.Context(), http.MethodPost, r.url+"/api/chatkit/session", c.credential(user, "sess_1"), "application/json", `{"deviceId":"phone"}`)
	if err := errors.Join(err, json.Unmarshal(body, &got)); err != nil || status != http.StatusOK {
		c.t.Errorf("open got %d %s, %v", status, body, err)
	}
	return got
}

// step does something for somebody on one of the replicas.
func (c *cluster) step(sessions *known) {
	n := rand.IntN(len(c.replicas)) //nolint:gosec // a test's choice
	r, user := c.replicas[n], fmt.Sprint("user_", rand.IntN(3))
	signIn := sessions.signIn(user)
	if rand.IntN(8) == 0 { //nolint:gosec // a test's choice
		signIn = fmt.Sprint("sess_other_", rand.IntN(1_000_000)) //nolint:gosec // a test's choice
	}
	var status int
	var body []byte
	var err error
	switch rand.IntN(15) {
	case 0:
		err = c.endOne(r, sessions, user, signIn)
		status = http.StatusOK
	default:
		device := []string{`{}`, `{"deviceId":"phone"}`, `{"deviceId":"laptop"}`, `{"deviceId":"tablet"}`}[rand.IntN(4)]
		status, body, err = ask(c.t.Context(), http.MethodPost, r.url+"/api/chatkit/session", c.credential(user, signIn), "application/json", device)
		var got answer
		if err == nil {
			err = json.Unmarshal(body, &got)
		}
		switch {
		case err == nil && status == http.StatusOK:
			err = sessions.add(got)
		case got.Code == "session_revoked":
			sessions.signInAnew(user, signIn)
		}
	}
	switch {
	case err != nil && !r.stopped.Load():
		c.t.Errorf("a replica that lives does not answer: %v", err)
	case err == nil && status != http.StatusOK && status != http.StatusForbidden:
		c.t.Errorf("got %d %s", status, body)
	}
}

// endOne signs a session out on one replica and asks another about its tokens.
func (c *cluster) endOne(r *replica, sessions *known, user, signIn string) error {
	id, tokens := sessions.any(user)
	if id == "" {
		return nil
	}
	status, body, err := ask(c.t.Context(), http.MethodDelete, r.url+"/api/chatkit/sessions/"+id, c.credential(user, signIn), "", "")
	if err != nil {
		return err
	}
	switch {
	case status == http.StatusForbidden: // a newer sign-in holds it, or this one was signed out
		return nil
	case status != http.StatusNoContent:
		c.t.Errorf("DELETE = %d %s", status, body)
	}
	for _, other := range c.replicas[:2] {
		for _, token := range tokens {
			if id, _, err := c.introspect(other, token); id != "" || err != nil {
				c.t.Errorf("after its session was ended a token is good: %q, %v", id, err)
			}
		}
	}
	return nil
}

// A replica that is stopped in the middle of a transaction holds up its user on
// the others for no longer than the server lets it: the test holds the user's
// lock until a request of the replica waits for it, stops the replica, and lets
// go.
func TestReplicas_OneStopsInATransaction(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	c := newCluster(t, database)
	stopped, other := c.replicas[0], c.replicas[1]
	opened := c.open(other, "user_1")
	conn := pgtest.Open(t, database)
	tx, err := conn.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it has ended
	if _, err := tx.ExecContext(t.Context(), "SELECT 1 FROM chatkit_sessions WHERE id = $1 FOR UPDATE", opened.Session.ID); err != nil {
		t.Fatal(err)
	}
	revoke := func(ctx context.Context, r *replica) (int, error) {
		status, _, err := ask(ctx, http.MethodDelete, r.url+"/api/chatkit/sessions/"+opened.Session.ID, c.credential("user_1", "sess_1"), "", "")
		return status, err
	}
	left, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _, _ = revoke(left, stopped) })
	defer group.Wait()
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		var waiting int
		if err := conn.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits for the session")
		}
	}
	if err := stopped.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer stopped.command.Process.Signal(syscall.SIGCONT) //nolint:errcheck // it ends with the test
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	served, late := context.WithTimeout(t.Context(), 10*time.Second)
	defer late()
	for status := 0; status != http.StatusNoContent; {
		if status, err = revoke(served, other); err != nil || (status != http.StatusNoContent && status != http.StatusServiceUnavailable) {
			t.Fatalf("on another replica the answer is %d, %v", status, err)
		}
	}
}

// balancer sends requests to replicas that say they are ready, and none again.
type balancer struct {
	mu    sync.Mutex
	ready []backend
	next  int
}

// backend is a replica as a balancer sees it.
type backend struct {
	address string
	proxy   *httputil.ReverseProxy
}

// pick returns the replica whose turn it is.
func (b *balancer) pick() backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return b.ready[b.next%len(b.ready)]
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.pick().proxy.ServeHTTP(w, r) }

// watch probes replicas until ctx ends; probed hears when some are ready.
func (b *balancer) watch(ctx context.Context, probed func(), replicas func() []*replica) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	backends := map[string]backend{}
	for ctx.Err() == nil {
		var ready []backend
		for _, r := range replicas() {
			target, err := url.Parse(r.url)
			if err != nil {
				continue
			}
			if backends[r.url].proxy == nil {
				backends[r.url] = backend{target.Host, httputil.NewSingleHostReverseProxy(target)}
			}
			if status, _, err := ask(ctx, http.MethodGet, r.url+"/readyz", "", "", ""); err == nil && status == http.StatusOK {
				ready = append(ready, backends[r.url])
			}
		}
		if len(ready) > 0 { // else the last ones are as good as any
			b.mu.Lock()
			b.ready = ready
			b.mu.Unlock()
			probed()
		}
		<-tick.C
	}
}

// stay asks over one connection until it is told that it closes, then over one
// to a replica that is ready, as clients do whose connections nobody moves. It
// returns how often it had to move.
func (c *cluster) stay(ctx context.Context, b *balancer, user string) (moved int) {
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(c.t.Context(), "tcp", b.pick().address) //nolint:contextcheck // the last request is not cut off
		if err == nil {
			err = errors.Join(c.askOver(ctx, conn, user), conn.Close())
		}
		if err != nil {
			c.t.Errorf("after %d moves: %v", moved, err)
			return moved
		}
		moved++
	}
	return moved - 1
}

// askOver opens a session again and again, with a pause between in which the
// connection is idle, until ctx ends or the answer says that it is the last.
func (c *cluster) askOver(ctx context.Context, conn net.Conn, user string) error {
	answers := bufio.NewReader(conn)
	pause := time.NewTicker(25 * time.Millisecond)
	defer pause.Stop()
	for last := false; !last && ctx.Err() == nil; <-pause.C {
		const body = `{"deviceId":"phone"}`
		request := fmt.Sprintf("POST /api/chatkit/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", c.credential(user, "sess_1"), len(body), body)
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		answered, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("got %s %s", response.Status, answered)
		}
		if err != nil {
			return err
		}
		last = response.Close
	}
	return nil
}

// A rolling restart fails not one request, neither behind a balancer that sends
// each where it is ready, nor on connections that nobody moves.
func TestReplicas_RollingRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.New(t), "CHATKIT_DRAIN_DELAY=2s") // a busy machine notices late
	var mu sync.Mutex
	current := func() []*replica { mu.Lock(); defer mu.Unlock(); return slices.Clone(c.replicas) }
	ctx, stop := contextWithStop(t)
	var group sync.WaitGroup
	b, once, probed := &balancer{}, sync.Once{}, make(chan struct{})
	group.Go(func() { b.watch(ctx, func() { once.Do(func() { close(probed) }) }, current) })
	<-probed
	front := httptest.NewServer(b)
	t.Cleanup(front.Close)

	var requests, moves atomic.Int32
	for n := range 8 {
		group.Go(func() { moves.Add(int32(c.stay(ctx, b, fmt.Sprint("user_of_one_connection_", n)))) }) //nolint:gosec // a few
	}
	for worker := range 4 {
		group.Go(func() {
			user := fmt.Sprint("user_", worker)
			for ctx.Err() == nil {
				status, body, err := ask(t.Context(), http.MethodPost, front.URL+"/api/chatkit/session", c.credential(user, "sess_1"), "application/json", `{"deviceId":"phone"}`) //nolint:contextcheck // the last request is not cut off
				if err != nil || status != http.StatusOK {
					t.Errorf("got %d %s, %v", status, body, err)
				}
				requests.Add(1)
			}
		})
	}
	for n := range c.replicas {
		fresh := startReplica(t, c.environ).serving(t)
		mu.Lock()
		old := c.replicas[n]
		c.replicas = append(c.replicas, fresh)
		mu.Unlock()
		old.stop(t)
		mu.Lock()
		c.replicas[n] = fresh
		c.replicas = c.replicas[:len(c.replicas)-1]
		mu.Unlock()
	}
	stop()
	group.Wait()
	if requests.Load() < 20 {
		t.Errorf("only %d requests were made", requests.Load())
	}
	if moves.Load() < 8 {
		t.Errorf("8 connections were moved %d times, and all replicas stopped", moves.Load())
	}
	t.Logf("%d requests, %d moves", requests.Load(), moves.Load())
}

// Replicas that start at once on an empty database agree on who makes the
// schema; one that is older than the schema does all that it is there for.
func TestReplicas_Schema(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.Empty(t), "CHATKIT_CLEANUP_INTERVAL=0") // the command cleans up
	conn := pgtest.Open(t, c.database)
	do := func(statement string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"chatkit_sessions", "chatkit_activity", "chatkit_usage"} {
		do("ALTER TABLE " + table + " ADD COLUMN of_the_future text NOT NULL DEFAULT 'x'")
	}
	do("INSERT INTO chatkit_session_migrations (version_id, is_applied) VALUES (999, true)")
	c.replicas = append(c.replicas, startReplica(t, c.environ).serving(t))
	var token string
	for n, r := range c.replicas {
		got := c.open(r, "user_1")
		if n > 0 && got.Session.ChatKitSessionID != token {
			t.Fatalf("replica %d opened %+v", n, got)
		}
		token = got.Session.ChatKitSessionID
		user := fmt.Sprint("user_of_replica_", n)
		opened := c.open(r, user)
		do("UPDATE chatkit_sessions SET expires_at = now() + interval '30 minutes' WHERE id = $1", opened.Session.ID)
		c.expectLife(r, user, opened)
	}
	do(`UPDATE chatkit_sessions SET ended_at = now() - interval '1 year', blocks_sign_in = false WHERE status <> 'active'`)
	do(`UPDATE chatkit_activity SET at = now() - interval '1 year' WHERE type = 'created'`)
	do(`UPDATE chatkit_sessions SET expires_at = now() WHERE status = 'active'`)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"cleanup"}, c.environ, &out, io.Discard); err != nil || out.String() != "expired 1, purged 4, activity purged 5, sign-ins purged 0\n" {
		t.Errorf("cleanup = %q, %v", out.String(), err)
	}
	for _, r := range c.replicas {
		r.stop(t) // it writes down what was used
	}
	var used bool
	if err := conn.QueryRowContext(t.Context(), "SELECT sum(opens) >= 4 AND sum(checks) >= 4 FROM chatkit_usage").Scan(&used); err != nil || !used {
		t.Errorf("the use was written down: %t, %v", used, err)
	}
}

// expectLife takes a session that is about to expire from there to its end on
// one replica.
func (c *cluster) expectLife(r *replica, user string, opened answer) {
	sessions := r.url + "/api/chatkit/sessions"
	me, one := c.credential(user, "sess_1"), sessions+"/"+opened.Session.ID
	type told struct {
		answer
		shown
	}
	asked := func(want int, who, method, address, body string) (got told) {
		status, text, err := ask(c.t.Context(), method, address, who, "application/json", body)
		if err == nil && len(text) > 0 {
			err = json.Unmarshal(text, &got)
		}
		if err != nil || status != want {
			c.t.Errorf("%s %s = %d %s, %v", method, address, status, text, err)
		}
		return got
	}
	if got := c.open(r, user); got.Outcome != "refreshed" {
		c.t.Errorf("opened is %+v", got)
	}
	code := asked(http.StatusCreated, me, http.MethodPost, one+"/transfer", "").Code
	moved := asked(http.StatusOK, me, http.MethodPost, r.url+"/api/chatkit/session/transfer", fmt.Sprintf(`{"code":%q,"deviceId":"laptop"}`, code))
	c.expectGood(opened.Session.ID, &acknowledged{user: user, last: moved.Session.ChatKitSessionID})
	asked(http.StatusNoContent, moved.Session.ChatKitSessionID, http.MethodGet, r.url+"/api/chatkit/session/verify", "")
	if got := asked(http.StatusOK, me, http.MethodGet, sessions, "").statuses(); got != "laptop active" {
		c.t.Errorf("listed are %s", got)
	}
	asked(http.StatusOK, me, http.MethodGet, one, "")
	asked(http.StatusNoContent, me, http.MethodDelete, one, "")
	if got := asked(http.StatusOK, me, http.MethodGet, r.url+"/api/chatkit/activity", "").types(); got != "revoked transferred refreshed created" {
		c.t.Errorf("there happened %s", got)
	}
	boss, err := c.identity.Mint(fakeclerk.Claims{Subject: "user_boss", SignIn: "sess_boss", Role: "admin"})
	if err != nil {
		c.t.Error(err)
	}
	if status, body, err := ask(c.t.Context(), http.MethodGet, r.url+"/api/chatkit/admin/stats", boss, "", ""); err != nil || status != http.StatusOK {
		c.t.Errorf("the totals are %d %s, %v", status, body, err)
	}
}
