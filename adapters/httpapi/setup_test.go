package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/api/apitest"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

const (
	openPath = "/api/chatkit/session"
	page     = "https://app.example.com"
	secret   = "a cause with a secret"
)

var (
	workflow = session.Must(session.ParseWorkflowID("workflow_1"))
	token    = session.Must(session.ParseToken("550e8400-e29b-41d4-a716-446655440000"))
	// member is who the gate lets in, and calling what the core hears of them:
	// where they are is httptest's own.
	member = access.Caller{Bearer: session.Bearer{
		User:     session.Must(session.ParseUserID("user_123")),
		Holder:   session.Holder{SignIn: session.Must(session.ParseSignInID("sess_1"))},
		Verified: midnight.Add(-3 * time.Minute),
	}}
	calling  = from(member, address("192.0.2.1"))
	midnight = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
)

func from(caller access.Caller, source session.Source) access.Caller {
	caller.Source = source
	return caller
}

// address is a source of which only the address is known.
func address(text string) session.Source { return session.Source{Address: netip.MustParseAddr(text)} }

// subject is the real router before a core that is mocked.
type subject struct {
	handler    *httpapi.Handler
	authorizer *portmock.MockAuthorizer
	opener     *portmock.MockOpener
	transfer   *portmock.MockTransferrer
	lister     *portmock.MockLister
	watcher    *portmock.MockWatcher
	checker    *portmock.MockChecker
	revoker    *portmock.MockRevoker
	admin      *portmock.MockAdministrator
	ready      *portmock.MockReadiness
	limits     *portmock.MockLimits
	// work is what is in flight; suspects are whom Limits suspect.
	work     *admission
	suspects atomic.Bool
	draining atomic.Bool
	log      *logBuffer
}

// logBuffer keeps what is logged, also by timers.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// admission lets work in that it does not refuse, and counts it.
type admission struct {
	mu      sync.Mutex
	refuses map[ports.Work]error
	entered []ports.Work
	inside  int
}

func (a *admission) Enter(ctx context.Context, work ports.Work) (func(), error) {
	if err := ctx.Err(); err != nil { // as for one that has to wait
		return nil, session.Wrap(session.KindUnavailable, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refuses[work]; err != nil {
		return nil, err
	}
	a.entered, a.inside = append(a.entered, work), a.inside+1
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.inside--
	}), nil
}

func (a *admission) Suspected(ctx context.Context, check func() error) error {
	ports.ReleaseInFlight(ctx)
	leave, err := a.Enter(ctx, ports.WorkSuspects)
	if err != nil {
		return err
	}
	defer leave()
	return check()
}

// inFlight is how much is inside.
func (a *admission) inFlight() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inside
}

// newSubject has no limits.
func newSubject(t testing.TB, config httpapi.Config) *subject {
	t.Helper()
	s := newLimited(t, config)
	s.limits.EXPECT().Spend(gomock.Any(), gomock.Any(), gomock.Any()).Return(nil, nil).AnyTimes()
	s.limits.EXPECT().SpendFailure(gomock.Any(), gomock.Any()).Return(nil, nil).AnyTimes()
	return s
}

// newLimited expects the caller to say what the limits are.
func newLimited(t testing.TB, config httpapi.Config) *subject {
	t.Helper()
	control := gomock.NewController(t)
	s := &subject{
		authorizer: portmock.NewMockAuthorizer(control), opener: portmock.NewMockOpener(control), transfer: portmock.NewMockTransferrer(control),
		lister: portmock.NewMockLister(control), watcher: portmock.NewMockWatcher(control), checker: portmock.NewMockChecker(control), revoker: portmock.NewMockRevoker(control),
		admin: portmock.NewMockAdministrator(control), ready: portmock.NewMockReadiness(control),
		limits: portmock.NewMockLimits(control), work: &admission{refuses: map[ports.Work]error{}}, log: &logBuffer{},
	}
	s.limits.EXPECT().Suspects(gomock.Any()).DoAndReturn(func(session.Source) bool { return s.suspects.Load() }).AnyTimes()
	s.ready.EXPECT().Draining().DoAndReturn(s.draining.Load).AnyTimes()
	config.Logger = slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if config.AllowedOrigins == nil {
		config.AllowedOrigins = []string{page}
	}
	var err error
	if s.handler, err = httpapi.New(config, httpapi.Core{
		Authorizer: s.authorizer, Opener: s.opener, Transferrer: s.transfer, Lister: s.lister, Watcher: s.watcher, Checker: s.checker,
		Revoker: s.revoker, Administrator: s.admin, Readiness: s.ready, Limits: s.limits, Admission: s.work,
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// admits authorizes every caller and configures a workflow.
func (s *subject) admits() *subject {
	s.authorizer.EXPECT().Authorize(gomock.Any(), gomock.Any(), access.ReadOwn).Return(member, nil).AnyTimes()
	s.opener.EXPECT().Workflow().Return(workflow, nil).AnyTimes()
	return s
}

// asked lets everybody in, opens a session for all, and returns where the
// last request to open can be seen.
func (s *subject) asked() *ports.OpenRequest {
	var last ports.OpenRequest
	s.admits().opener.EXPECT().Open(gomock.Any(), calling, gomock.Any()).
		DoAndReturn(func(_ context.Context, _ access.Caller, request ports.OpenRequest) (ports.Opened, error) {
			last = request
			return opened(request), nil
		}).AnyTimes()
	return &last
}

// impersonator and agent act in the member's name.
var (
	impersonator = session.Must(session.NewActor(session.ActorImpersonator, "user_support"))
	agent        = session.Must(session.NewActor(session.ActorAgent, "agent_1"))
)

// actorsSession is an actor's session in the member's name.
func actorsSession(actor session.Actor) session.Session {
	return session.New(session.Draft{
		ID:        anID,
		Slot:      session.Slot{User: member.User, Workflow: workflow, Device: phone, Actor: actor},
		SignIn:    member.SignIn,
		ExpiresAt: midnight.Add(time.Hour),
	}, midnight)
}

// opened is a session as request would create it, a moment ago.
func opened(request ports.OpenRequest) ports.Opened {
	draft := session.Draft{
		ID:        session.Must(session.ParseID("0194214b-3a00-7cc3-98c4-dc0c0c07398f")),
		Slot:      session.Slot{User: member.User, Workflow: workflow, Device: request.Device},
		ExpiresAt: midnight.Add(24 * time.Hour),
	}
	if request.Device.IsZero() {
		draft.Slot.Device = session.GenerateDeviceID(member.User, midnight)
	}
	if request.Metadata != nil {
		draft.Metadata = *request.Metadata
	}
	draft.Remembered = request.Remember != nil && *request.Remember
	return ports.Opened{
		Session: session.New(draft, midnight), Token: token,
		Outcome: session.OutcomeCreated, RefreshAfter: midnight.Add(23 * time.Hour), ExpiresIn: 24*time.Hour - time.Microsecond,
	}
}

// request returns a request with headers given as name, value, name, value …
func request(t testing.TB, method, path, body string, headers ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// answer is what the router said.
type answer struct {
	status int
	header http.Header
	body   string
	// The fields of an Error.
	Error, Message, Code, Field, RequestID string
}

// do sends r through the router and holds the answer against the contract.
func (s *subject) do(t testing.TB, r *http.Request) answer {
	t.Helper()
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, r)
	apitest.Conforms(t, r, recorder.Result())
	return parse(t, recorder)
}

func parse(t testing.TB, recorder *httptest.ResponseRecorder) answer {
	t.Helper()
	got := answer{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
	if got.status >= http.StatusBadRequest && got.body != "" {
		if err := json.Unmarshal([]byte(got.body), &got); err != nil {
			t.Fatalf("%d %q: %v", got.status, got.body, err)
		}
	}
	return got
}

// send sends a request of a signed-in user.
func (s *subject) send(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	return s.do(t, request(t, method, path, body, append([]string{"Authorization", "Bearer jwt"}, headers...)...))
}

// post opens a session with a body.
func (s *subject) post(t testing.TB, body string, headers ...string) answer {
	t.Helper()
	return s.send(t, http.MethodPost, openPath, body, headers...)
}

// permits authorizes signed-in callers for one permission.
func (s *subject) permits(wants access.Permission) *subject {
	s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", wants).Return(member, nil).AnyTimes()
	return s
}

// lines returns the log's entries with a message.
func (s *subject) lines(t testing.TB, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(s.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if entry["msg"] == message {
			found = append(found, entry)
		}
	}
	return found
}

const (
	verifyPath     = "/api/chatkit/session/verify"
	introspectPath = "/api/chatkit/session/introspect"
	backendKey     = "0123456789abcdef0123456789abcdef"
	formType       = "application/x-www-form-urlencoded"
)

// checks makes every token check return err.
func (s *subject) checks(err error) *subject {
	s.checker.EXPECT().Check(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Checked{}, err).AnyTimes()
	return s
}

// good is the result of checking a valid token.
func good(expiring bool) ports.Checked {
	return ports.Checked{Session: opened(ports.OpenRequest{}).Session, Expiring: expiring}
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// get fetches what is beside the contract.
func (s *subject) get(t testing.TB, path string) answer {
	t.Helper()
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, request(t, http.MethodGet, path, ""))
	return answer{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
}
