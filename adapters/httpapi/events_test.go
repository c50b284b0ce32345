package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/api/apitest"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

const eventsPath = "/api/chatkit/session/events"

var byID = ports.WatchRequest{Session: anID}

// play is a ports.Watch that tells what the test says.
type play struct {
	events chan ports.Event
	known  int
	fails  error
	closed chan struct{}
}

func newPlay() *play {
	return &play{events: make(chan ports.Event, 10), closed: make(chan struct{})}
}

func (p *play) Known() string { return fmt.Sprint("known-", p.known) }
func (p *play) Close()        { close(p.closed) }

func (p *play) Next(ctx context.Context) (ports.Event, error) {
	select {
	case <-ctx.Done():
		return ports.Event{}, ctx.Err()
	case event, more := <-p.events:
		if !more {
			return ports.Event{}, p.fails
		}
		p.known++
		return event, nil
	}
}

func (p *play) isClosed() bool {
	synctest.Wait()
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// event is one of the session that is used.
func event(what session.Event, reason session.EndReason) ports.Event {
	return ports.Event{Type: what, Session: used(), Reason: reason, RefreshAfter: midnight.Add(23 * time.Hour), ExpiresIn: time.Minute - time.Microsecond}
}

// wire is a connection in memory to a server whose own times are short, in a
// bubble.
type wire struct {
	net.Conn
	answer *bufio.Reader
	server *http.Server
}

// pipes is a listener of connections in memory.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// isMember is whom the gate lets in, wherever they call from: connections in
// memory come from nowhere.
var isMember = gomock.Cond(func(caller access.Caller) bool { return caller.Bearer == member.Bearer })

// watches lets the watch that is asked for be this one.
func (s *subject) watches(request ports.WatchRequest, watch ports.Watch, err error) *subject {
	s.permits(access.ReadOwn).watcher.EXPECT().Watch(gomock.Any(), isMember, request).Return(watch, err)
	return s
}

// dial serves the subject's handler and sends it a request.
func (s *subject) dial(t *testing.T, target string, headers ...string) *wire {
	t.Helper()
	w := &wire{server: httpapi.NewServer(s.handler, 10*time.Second, 0, slog.New(slog.DiscardHandler))}
	w.server.RegisterOnShutdown(s.handler.EndStreams)
	listener := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(listener) }()
	near, far := net.Pipe()
	listener.conns <- far
	w.Conn, w.answer = near, bufio.NewReader(near)
	t.Cleanup(func() {
		_ = near.Close()
		_ = w.server.Close()
		<-served
		synctest.Wait()
	})
	lines := "GET " + target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer jwt\r\n"
	for i := 0; i < len(headers); i += 2 {
		lines += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(w, lines+"\r\n"); err != nil {
		t.Fatal(err)
	}
	return w
}

// begins reads the head of an answer that is a success.
func (w *wire) begins(t *testing.T) (http.Header, io.Reader) {
	t.Helper()
	response, err := http.ReadResponse(w.answer, nil) //nolint:bodyclose // its connection is
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", response, err)
	}
	return response.Header, response.Body
}

// stream is the body of begins.
func (w *wire) stream(t *testing.T) *bufio.Reader {
	t.Helper()
	_, body := w.begins(t)
	return bufio.NewReader(body)
}

// reads reads one block of the stream.
func reads(t *testing.T, body *bufio.Reader) string {
	t.Helper()
	var block strings.Builder
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", &block, err)
		}
		if line == "\n" {
			return block.String()
		}
		block.WriteString(line)
	}
}

var opening = regexp.MustCompile(`^retry: [2-7][0-9]{3}\nid: known-0\n$`)

// As the stream is on the wire, from its first byte to its last, and in the
// log.
func TestWatchSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
		w := s.dial(t, eventsPath+"?sessionId="+anID.String())
		header, answered := w.begins(t)
		for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
			if got := header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		var whole bytes.Buffer
		body := bufio.NewReader(io.TeeReader(answered, &whole))
		if first := reads(t, body); !opening.MatchString(first) {
			t.Errorf("it begins with %q", first)
		}
		for _, step := range []struct {
			event ports.Event
			want  string
		}{
			{event(session.EventExpiring, ""), "event: expiring\nid: known-1\ndata: {\"expiresAt\":\"2025-01-02T00:00:00.000Z\",\"expiresIn\":59,\"sessionId\":\"0194214b-3a00-7cc3-98c4-dc0c0c07398f\"}\n"},
			{event(session.EventRefreshed, ""), "event: refreshed\nid: known-2\ndata: {\"expiresAt\":\"2025-01-02T00:00:00.000Z\",\"refreshAfter\":\"2025-01-01T23:00:00.000Z\",\"sessionId\":\"0194214b-3a00-7cc3-98c4-dc0c0c07398f\"}\n"},
			{event(session.EventRevoked, session.EndReplaced), "event: revoked\nid: known-3\ndata: {\"reason\":\"replaced\",\"sessionId\":\"0194214b-3a00-7cc3-98c4-dc0c0c07398f\"}\n"},
		} {
			watch.events <- step.event
			if got := reads(t, body); got != step.want {
				t.Errorf("got %q, want %q", got, step.want)
			}
		}
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
			t.Errorf("it ends with %q, %v", rest, err)
		}
		if !watch.isClosed() {
			t.Error("the watch is not closed")
		}
		apitest.Conforms(t, request(t, http.MethodGet, eventsPath, ""), &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(&whole)})
		line := s.lines(t, "request")
		if len(line) != 1 || line[0]["status"] != float64(http.StatusOK) || line[0]["outcome"] != "revoked" || line[0]["user"] != "user_123" || strings.Contains(fmt.Sprint(line), "known") {
			t.Errorf("the log has %v", line)
		}
	})
}

func TestWatchSession_Expired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		watch.events <- event(session.EventExpired, "")
		s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
		body, err := io.ReadAll(s.dial(t, eventsPath+"?sessionId="+anID.String()).stream(t))
		if want := "event: expired\nid: known-1\ndata: {\"sessionId\":\"0194214b-3a00-7cc3-98c4-dc0c0c07398f\"}\n\n"; err != nil || !strings.HasSuffix(string(body), "\n\n"+want) {
			t.Errorf("got %q, %v", body, err)
		}
	})
}

// Which session, and from where on, is what the client says.
func TestWatchSession_SelectsSession(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		target  string
		headers []string
		want    ports.WatchRequest
	}{
		"ByID":          {"?sessionId=" + anID.String(), nil, byID},
		"ByToken":       {"", []string{"X-ChatKit-Token", token.Reveal()}, ports.WatchRequest{Token: token.Reveal()}},
		"ByBoth":        {"?sessionId=other", []string{"X-ChatKit-Token", token.Reveal()}, ports.WatchRequest{Token: token.Reveal()}},
		"GoesOn":        {"?sessionId=" + anID.String(), []string{"Last-Event-ID", "1.2.3.x"}, ports.WatchRequest{Session: anID, Last: "1.2.3.x"}},
		"GoesOnByToken": {"", []string{"Last-Event-ID", "<nonsense>", "X-ChatKit-Token", token.Reveal()}, ports.WatchRequest{Token: token.Reveal(), Last: "<nonsense>"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				watch := newPlay()
				watch.events <- event(session.EventExpired, "")
				s := newSubject(t, httpapi.Config{}).watches(test.want, watch, nil)
				if _, err := io.ReadAll(s.dial(t, eventsPath+test.target, test.headers...).stream(t)); err != nil {
					t.Error(err)
				}
				if strings.Contains(s.log.String(), token.Reveal()) {
					t.Error("the token is logged")
				}
			})
		})
	}
}

// Who asks comes first, then what is missing, then whether there is such a
// session, or room.
func TestWatchSession_Refuses(t *testing.T) {
	t.Parallel()
	for kind, want := range map[session.Kind]int{session.KindUnauthenticated: 401, session.KindForbidden: 403, session.KindNoRole: 403, session.KindUnavailable: 503} {
		for _, query := range []string{"", "?sessionId=", "?sessionId=a&sessionId=b", "?sessionId=" + anID.String()} {
			s := newSubject(t, httpapi.Config{})
			s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", access.ReadOwn).Return(access.Caller{}, kind)
			if got := s.read(t, eventsPath+query); got.status != want {
				t.Errorf("%s got %d %s", query, got.status, got.body)
			}
		}
	}
	for query, headers := range map[string][]string{
		"": nil, "?sessionId=": nil, "?sessionId=a&sessionId=b": nil, "?sessionid=x": {"X-ChatKit-Token", ""},
	} {
		s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
		if got := s.read(t, eventsPath+query, headers...); got.status != http.StatusBadRequest || got.Field != "sessionId" {
			t.Errorf("%s got %d %s", query, got.status, got.body)
		}
	}
	for kind, want := range map[session.Kind]int{session.KindNotFound: 404, session.KindSignedOut: 403, session.KindRateLimited: 429, session.KindUnavailable: 503, session.KindInternal: 500} {
		s := newSubject(t, httpapi.Config{}).watches(byID, nil, kind)
		got := s.read(t, eventsPath+"?sessionId="+anID.String())
		if got.status != want || (got.header.Get("Retry-After") != "") != (want == 429 || want == 503) || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v got %d %s %v", kind, got.status, got.body, got.header)
		}
	}
	s := newSubject(t, httpapi.Config{})
	if got := s.do(t, request(t, http.MethodHead, eventsPath, "")); got.status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD got %d", got.status)
	}
	limited := newLimited(t, httpapi.Config{}).permits(access.ReadOwn)
	limited.limits.EXPECT().Spend(gomock.Any(), ports.LimitReads, member.Holder).Return(nil, session.KindRateLimited)
	if got := limited.read(t, eventsPath+"?sessionId=x"); got.status != http.StatusTooManyRequests {
		t.Errorf("beyond the limit of reads got %d", got.status)
	}
}

// Pages of other origins may send all that a stream is asked with.
func TestWatchSession_CORS(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	got := s.do(t, request(t, http.MethodOptions, eventsPath, "", "Origin", page, "Access-Control-Request-Method", "GET"))
	for _, name := range []string{"Authorization", "X-ChatKit-Token", "Last-Event-ID"} {
		if !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("%s is not allowed: %v", name, got.header)
		}
	}
}

// Neither the time of a request nor that of a connection cuts a stream: it goes
// on, with comments, for most of an hour, and ends in order.
func TestWatchSession_Heartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		s := newSubject(t, httpapi.Config{RequestTimeout: time.Second}).watches(byID, watch, nil)
		w, began := s.dial(t, eventsPath+"?sessionId="+anID.String()), time.Now()
		body := w.stream(t)
		reads(t, body)
		for n := range 3 * 40 {
			if got := reads(t, body); got != ":\n" {
				t.Fatalf("the %d. beat is %q", n, got)
			}
		}
		if took := time.Since(began); took != 40*time.Minute {
			t.Errorf("120 beats take %s", took)
		}
		watch.events <- event(session.EventRefreshed, "")
		if got := reads(t, body); !strings.HasPrefix(got, "event: refreshed\n") {
			t.Errorf("got %q", got)
		}
		if _, err := io.ReadAll(body); err != nil {
			t.Errorf("it ends with %v", err)
		}
		if took := time.Since(began); took < 45*time.Minute || took > time.Hour {
			t.Errorf("it ends after %s", took)
		}
		if !watch.isClosed() {
			t.Error("the watch is not closed")
		}
		// The connection serves the next request with its usual timeouts.
		if _, err := io.WriteString(w, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		w.begins(t)
	})
}

// A client that does not read is dropped, and so is one that is gone: their
// watches end.
func TestWatchSession_Dropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
		w := s.dial(t, eventsPath+"?sessionId="+anID.String())
		reads(t, w.stream(t))
		watch.events <- event(session.EventRefreshed, "") // it is not read
		pass(10*time.Second - time.Microsecond)
		if watch.isClosed() {
			t.Error("it is dropped in less than its time")
		}
		pass(time.Microsecond)
		if !watch.isClosed() {
			t.Error("it is not dropped")
		}
		if _, err := io.ReadAll(w); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the connection: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
		w := s.dial(t, eventsPath+"?sessionId="+anID.String())
		reads(t, w.stream(t))
		if watch.isClosed() {
			t.Error("the stream ended without a reason")
		}
		_ = w.Close()
		if !watch.isClosed() {
			t.Error("the client is gone, and the watch goes on")
		}
	})
}

// A shutdown ends streams at once, in order, and those that come too late.
func TestWatchSession_Shutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
		w := s.dial(t, eventsPath+"?sessionId="+anID.String())
		body := w.stream(t)
		reads(t, body)
		pass(15 * time.Second) // the time of what was written last is over
		began := time.Now()
		stopped := make(chan error, 1)
		go func() { stopped <- w.server.Shutdown(t.Context()) }()
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
			t.Errorf("it ends with %q, %v", rest, err)
		}
		if err := <-stopped; err != nil || time.Since(began) > time.Second {
			t.Errorf("after %s Shutdown = %v", time.Since(began), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
		s.handler.EndStreams()
		if body, err := io.ReadAll(s.dial(t, eventsPath+"?sessionId="+anID.String()).stream(t)); err != nil || !opening.MatchString(strings.TrimSuffix(string(body), "\n")) {
			t.Errorf("got %q, %v", body, err)
		}
	})
}

// Streams of a replica that drains end one after the other.
func TestWatchSession_Drains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const streams, within = 64, 8 * time.Second
		var ended []time.Duration
		var mu sync.Mutex
		var began time.Time
		s := newSubject(t, httpapi.Config{})
		var all sync.WaitGroup
		for range streams {
			body := s.watches(byID, newPlay(), nil).dial(t, eventsPath+"?sessionId="+anID.String()).stream(t)
			reads(t, body)
			all.Go(func() {
				_, _ = io.ReadAll(body)
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, time.Since(began))
			})
		}
		began = time.Now()
		s.handler.DrainStreams(within)
		all.Wait()
		slices.Sort(ended)
		if last := ended[streams-1]; last > within || ended[streams/2] < within/8 || ended[streams/2] > within-within/8 {
			t.Errorf("half have ended after %v, all after %v", ended[streams/2], last)
		}
	})
}

// What goes wrong in the middle ends the stream and is in the log.
func TestWatchSession_Fails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		watch.fails = errors.New("a bug")
		close(watch.events)
		s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
		if body, err := io.ReadAll(s.dial(t, eventsPath+"?sessionId="+anID.String()).stream(t)); err != nil || strings.Contains(string(body), "bug") {
			t.Errorf("got %q, %v", body, err)
		}
		synctest.Wait()
		if lines := s.lines(t, "request failed"); len(lines) != 1 || lines[0]["error"] != "a bug" || lines[0]["level"] != "ERROR" {
			t.Errorf("the log has %v", lines)
		}
	})
}

// A sign-in that is signed out hears nothing more of another's session, and is
// told why when it comes back.
func TestWatchSession_SignedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watch := newPlay()
		watch.fails = session.Wrap(session.KindSignedOut, errors.New(secret))
		watch.events <- event(session.EventRefreshed, "")
		close(watch.events)
		s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
		body := s.dial(t, eventsPath+"?sessionId="+anID.String()).stream(t)
		reads(t, body)
		if got := reads(t, body); !strings.HasPrefix(got, "event: refreshed\n") {
			t.Errorf("got %q", got)
		}
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
			t.Errorf("it ends with %q, %v", rest, err)
		}
		if !watch.isClosed() {
			t.Error("the watch is not closed")
		}
		for message, level := range map[string]string{"request failed": "DEBUG", turnedAway: "WARN", "request": "INFO"} {
			if lines := s.lines(t, message); len(lines) != 1 || lines[0]["code"] != "session_revoked" || lines[0]["level"] != level {
				t.Errorf("%s: the log has %v", message, lines)
			}
		}
	})
}

// Events of an actor's session say whose it is.
func TestWatchSession_Actor(t *testing.T) {
	t.Parallel()
	for what, want := range map[session.Event]string{
		session.EventExpiring:  `{"actor":{"sub":"agent_1","type":"agent"},"expiresAt":"2025-01-01T01:00:00.000Z","expiresIn":59,"sessionId":"0194214b-3a00-7cc3-98c4-dc0c0c07398f"}`,
		session.EventRefreshed: `{"actor":{"sub":"agent_1","type":"agent"},"expiresAt":"2025-01-01T01:00:00.000Z","refreshAfter":"2025-01-01T23:00:00.000Z","sessionId":"0194214b-3a00-7cc3-98c4-dc0c0c07398f"}`,
		session.EventRevoked:   `{"actor":{"sub":"agent_1","type":"agent"},"reason":"user","sessionId":"0194214b-3a00-7cc3-98c4-dc0c0c07398f"}`,
		session.EventExpired:   `{"actor":{"sub":"agent_1","type":"agent"},"sessionId":"0194214b-3a00-7cc3-98c4-dc0c0c07398f"}`,
	} {
		t.Run(string(what), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				watch := newPlay()
				told := event(what, "")
				if what == session.EventRevoked {
					told.Reason = session.EndUser
				}
				told.Session = actorsSession(agent)
				watch.events <- told
				s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
				r, target := request(t, http.MethodGet, eventsPath, ""), eventsPath+"?sessionId="+anID.String()
				header, answered := s.dial(t, target).begins(t)
				var whole bytes.Buffer
				body := bufio.NewReader(io.TeeReader(answered, &whole))
				reads(t, body)
				if got := reads(t, body); !strings.HasSuffix(got, "\ndata: "+want+"\n") {
					t.Errorf("got %q", got)
				}
				apitest.Conforms(t, r, &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(&whole)})
			})
		})
	}
}

// A store that does not answer bounds how long a stream may take to begin.
func TestWatchSession_BeginsInTime(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{RequestTimeout: time.Hour}).permits(access.ReadOwn)
	s.watcher.EXPECT().Watch(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(func(ctx context.Context, _ access.Caller, _ ports.WatchRequest) (ports.Watch, error) {
		if _, bound := ctx.Deadline(); !bound {
			t.Error("it may take for ever")
		}
		return nil, session.KindUnavailable
	})
	s.read(t, eventsPath+"?sessionId="+anID.String())
}

// A writer on which a slow client cannot be dropped begins no stream.
func TestWatchSession_NeedsDeadlines(t *testing.T) {
	t.Parallel()
	watch := portmock.NewMockWatch(gomock.NewController(t))
	watch.EXPECT().Close()
	s := newSubject(t, httpapi.Config{}).watches(byID, watch, nil)
	if got := s.read(t, eventsPath+"?sessionId="+anID.String()); got.status != http.StatusInternalServerError {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // no time passes for the test
