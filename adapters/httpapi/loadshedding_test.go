package httpapi_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

// Too much in flight is refused before anything is done: nobody is verified, no
// body is read, and no limit is spent; the mocks would fail. A page may read
// the answer. The log has a line at level debug alone.
func TestInFlight_Refused(t *testing.T) {
	t.Parallel()
	const id = "0194214b-3a00-7cc3-98c4-dc0c0c07398f"
	for call, work := range map[string]ports.Work{
		"POST /session":                       ports.WorkUsers,
		"POST /session/transfer":              ports.WorkUsers,
		"GET /session/events":                 ports.WorkUsers,
		"GET /sessions":                       ports.WorkUsers,
		"DELETE /sessions":                    ports.WorkUsers,
		"GET /sessions/" + id:                 ports.WorkUsers,
		"DELETE /sessions/" + id:              ports.WorkUsers,
		"POST /sessions/" + id + "/transfer":  ports.WorkUsers,
		"GET /sessions/" + id + "/activity":   ports.WorkUsers,
		"GET /activity":                       ports.WorkUsers,
		"GET /admin/users/user_1/sessions":    ports.WorkUsers,
		"DELETE /admin/users/user_1/sessions": ports.WorkUsers,
		"DELETE /admin/sessions/" + id:        ports.WorkUsers,
		"GET /admin/stats":                    ports.WorkUsers,
		"GET /session/verify":                 ports.WorkChecks,
		"POST /session/introspect":            ports.WorkChecks,
	} {
		method, path, _ := strings.Cut(call, " ")
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			s := newLimited(t, httpapi.Config{})
			s.work.refuses[work] = session.Wrap(session.KindOverloaded, errors.New(secret))
			r := request(t, method, "/api/chatkit"+path, "", "Authorization", "Bearer jwt", "Origin", page)
			r.Body = io.NopCloser(unread{t})
			got := s.do(t, r)
			if got.status != http.StatusServiceUnavailable || got.Code != "overloaded" || got.header.Get("Retry-After") != "2" {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if got.header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
				t.Errorf("pages may not read it: %v", got.header)
			}
			if strings.Contains(s.log.String(), `"level":"INFO"`) || strings.Contains(s.log.String(), `"level":"ERROR"`) {
				t.Errorf("the log has\n%s", s.log)
			}
		})
	}
}

// A client that has closed its sending side, which looks like one that is gone,
// waits for its place in flight like any other.
func TestInFlight_HalfClosed(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.opens(session.KindCreateFailed)
	closed, cancel := context.WithCancel(t.Context())
	cancel()
	if got := s.do(t, request(t, http.MethodPost, openPath, "", "Authorization", "Bearer jwt").WithContext(closed)); got.status != http.StatusInternalServerError { // the core was asked
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// A request that is refused before the router gets the headers that the router's
// answers have.
func TestInFlight_RefusedHeaders(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{
		"NoPage":  {},
		"Page":    {"Origin", page},
		"Foreign": {"Origin", "https://elsewhere.example.org"},
		"TLS":     {"X-Forwarded-Proto", "https"},
		"ID":      {"X-Request-ID", "mine"},
		"Drains":  {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{TrustedProxies: prefixes("192.0.2.0/24")})
			s.draining.Store(name == "Drains")
			s.admits().opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Opened{}, session.KindOverloaded)
			late := s.do(t, request(t, http.MethodPost, openPath, "", append(headers, "Authorization", "Bearer jwt")...))
			s.work.refuses[ports.WorkUsers] = session.KindOverloaded
			early := s.do(t, request(t, http.MethodPost, openPath, "", append(headers, "Authorization", "Bearer jwt")...))
			if late.status != early.status || late.Code != early.Code || late.Message != early.Message {
				t.Errorf("%d %s and %d %s", late.status, late.body, early.status, early.body)
			}
			if name != "ID" && early.RequestID == "" || early.RequestID != early.header.Get("X-Request-ID") {
				t.Errorf("the request id is %q, the header's %q", early.RequestID, early.header.Get("X-Request-ID"))
			}
			for _, only := range []string{"Cache-Control", "Ratelimit", "Ratelimit-Policy"} {
				late.header.Del(only) // an answer to a caller who is known
			}
			if name != "ID" {
				late.header.Del("X-Request-Id")
				early.header.Del("X-Request-Id")
			}
			if !maps.EqualFunc(late.header, early.header, slices.Equal) {
				t.Errorf("got\n%v, want\n%v", early.header, late.header)
			}
		})
	}
}

// Probes, preflights and what is no route are no work: they are answered
// whatever is in flight.
func TestInFlight_NoWork(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	for _, work := range ports.Works() {
		s.work.refuses[work] = session.KindOverloaded
	}
	s.ready.EXPECT().Ready(gomock.Any()).Return(nil, nil)
	preflight := []string{"Origin", page, "Access-Control-Request-Method", "POST"}
	for call, want := range map[string]int{
		"GET /healthz": 200, "GET /readyz": 200, "GET /nothing": 404, "OPTIONS " + openPath: 204,
	} {
		method, path, _ := strings.Cut(call, " ")
		var headers []string
		if method == http.MethodOptions {
			headers = preflight
		}
		if got := s.do(t, request(t, method, path, "", headers...)); got.status != want {
			t.Errorf("%s got %d %s", call, got.status, got.body)
		}
	}
}

// Work counts until its answer is there, however it goes.
func TestInFlight_Counts(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.admits().opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(context.Context, access.Caller, ports.OpenRequest) (ports.Opened, error) {
			if n := s.work.inFlight(); n != 1 {
				t.Errorf("%d are in flight", n)
			}
			return ports.Opened{}, errors.New(secret)
		})
	if got := s.post(t, ""); got.status != http.StatusInternalServerError {
		t.Errorf("got %d", got.status)
	}
	s.opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(context.Context, access.Caller, ports.OpenRequest) (ports.Opened, error) { panic("a bug") })
	s.post(t, "")
	if n := s.work.inFlight(); n != 0 {
		t.Errorf("%d are still in flight", n)
	}
}

// slowBody is a body that begins, and goes on only once it may.
type slowBody struct{ goOn <-chan struct{} }

func (b slowBody) Read([]byte) (int, error) {
	<-b.goOn
	return 0, io.EOF
}

// A client that sends its body slowly takes no capacity: one user may send many at once,
// and the server waits for them for seconds.
func TestInFlight_SlowBody(t *testing.T) {
	t.Parallel()
	config := httpapi.Config{IntrospectionKeys: []string{backendKey}}
	for _, call := range []string{"POST /session", "POST /session/transfer", "POST /session/introspect"} {
		method, path, _ := strings.Cut(call, " ")
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t, config)
				s.authorizer.EXPECT().Authorize(gomock.Any(), gomock.Any(), gomock.Any()).Return(member, nil).AnyTimes()
				s.opener.EXPECT().Workflow().Return(workflow, nil).AnyTimes()
				s.opener.EXPECT().Open(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Opened{}, session.KindUnavailable).AnyTimes()
				goOn, answered := make(chan struct{}), make(chan struct{})
				r := request(t, method, "/api/chatkit"+path, "", "Authorization", "Bearer "+backendKey, "Content-Type", formType)
				r.Body, r.ContentLength = io.NopCloser(slowBody{goOn}), 2
				go func() {
					defer close(answered)
					s.handler.ServeHTTP(httptest.NewRecorder(), r)
				}()
				synctest.Wait()
				if n := s.work.inFlight(); n != 1 {
					t.Errorf("%d are in flight when it has come", n)
				}
				pass(time.Second)
				if n := s.work.inFlight(); n != 0 {
					t.Errorf("%d are in flight a second later", n)
				}
				close(goOn)
				<-answered
			})
		})
	}
}

// slowReader takes none of its answer.
type slowReader struct {
	*httptest.ResponseRecorder

	t    *testing.T
	work *admission
}

func (r slowReader) Write(p []byte) (int, error) {
	if n := r.work.inFlight(); n != 0 {
		r.t.Errorf("%d are in flight while the answer is sent", n)
	}
	return r.ResponseRecorder.Write(p)
}

// Neither does a client that reads its answer slowly.
func TestInFlight_SlowReader(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
	s.lister.EXPECT().List(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Page{}, nil)
	s.lister.EXPECT().List(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Page{}, session.KindUnavailable)
	for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		w := slowReader{httptest.NewRecorder(), t, s.work}
		s.handler.ServeHTTP(w, request(t, http.MethodGet, "/api/chatkit/sessions", "", "Authorization", "Bearer jwt"))
		if w.Code != want || w.Body.Len() == 0 {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
}

// A stream of events is no work once it has begun.
func TestInFlight_Streams(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
	watch := portmock.NewMockWatch(gomock.NewController(t))
	watch.EXPECT().Known().Return("known").AnyTimes()
	watch.EXPECT().Close()
	watch.EXPECT().Next(gomock.Any()).DoAndReturn(func(context.Context) (ports.Event, error) {
		if n := s.work.inFlight(); n != 0 {
			t.Errorf("%d are in flight", n)
		}
		return ports.Event{}, session.KindNotFound
	}).MinTimes(1)
	s.watcher.EXPECT().Watch(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(context.Context, access.Caller, ports.WatchRequest) (ports.Watch, error) {
			if n := s.work.inFlight(); n != 1 {
				t.Errorf("%d are in flight before it has begun", n)
			}
			return watch, nil
		})
	server := httptest.NewServer(s.handler) // a stream sets deadlines of its connection
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/chatkit/session/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer jwt")
	r.Header.Set("X-ChatKit-Token", token.Reveal())
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // nothing was written
	_, _ = io.Copy(io.Discard, response.Body)
}

// Checks for a network that failed too often wait for their own turn, and hold
// no other. What was not checked is not said to be inactive.
func TestInFlight_Suspects(t *testing.T) {
	t.Parallel()
	config := httpapi.Config{IntrospectionKeys: []string{backendKey}}
	as := []string{"Authorization", "Bearer " + backendKey, "Content-Type", formType}
	s := newSubject(t, config)
	s.suspects.Store(true)
	s.checker.EXPECT().Check(gomock.Any(), "x", gomock.Any()).DoAndReturn(func(context.Context, string, session.Source) (ports.Checked, error) {
		if n := s.work.inFlight(); n != 1 {
			t.Errorf("%d are in flight", n)
		}
		return good(false), nil
	}).Times(2)
	verified, introspected := s.do(t, request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer x")), introspect(t, s, "token=x", as...)
	if verified.status != http.StatusNoContent || introspected.status != http.StatusOK || !strings.Contains(introspected.body, `"active":true`) {
		t.Errorf("valid tokens got %d and %d %s", verified.status, introspected.status, introspected.body)
	}
	if want := []ports.Work{ports.WorkChecks, ports.WorkSuspects, ports.WorkChecks, ports.WorkSuspects}; !slices.Equal(s.work.entered, want) {
		t.Errorf("they entered as %v", s.work.entered)
	}
	s.work.refuses[ports.WorkSuspects] = session.KindOverloaded
	for _, got := range []answer{s.do(t, request(t, http.MethodGet, verifyPath, "", "Authorization", "Bearer x")), introspect(t, s, "token=x", as...)} {
		if got.status != http.StatusServiceUnavailable || got.Code != "overloaded" {
			t.Errorf("without a turn it got %d %s", got.status, got.body)
		}
	}
}

// full is an Admission that has no room.
type full struct{ roomy }

func (full) Enter(context.Context, ports.Work) (func(), error) { return nil, session.KindOverloaded }

func BenchmarkHandler_Overloaded(b *testing.B) {
	handler, err := httpapi.New(httpapi.Config{AllowedOrigins: []string{page}}, httpapi.Core{Readiness: staying{}, Admission: full{}})
	if err != nil {
		b.Fatal(err)
	}
	r := request(b, http.MethodPost, openPath, "", "Origin", page)
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
}
