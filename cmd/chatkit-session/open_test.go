package main

import (
	"errors"
	"flag"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/session"
)

// onBoth runs a test on the production wiring with each store.
func onBoth(t *testing.T, test func(t *testing.T, s *service), settings ...string) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, onSQLite(t, settings...))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, onPostgres(t, settings...))
	})
}

// replicaVariable makes this test's binary the service itself.
const replicaVariable = "TEST_REPLICA"

// programVariable makes this test's binary the program, with its arguments.
const programVariable = "TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		main()
		return
	}
	if os.Getenv(replicaVariable) != "" {
		os.Args = []string{"chatkit-session", "serve"}
		main()
		return
	}
	_ = flag.Set("rapid.checks", "50") // of each kind of random run; -rapid.checks overrides it
	pgtest.Main(m)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("NoActiveSessionIsCreated", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, s *service) {
			got := s.open(t, "user_1", `{"metadata":{"source":"web","version":"1.0.0"}}`)
			if got.Outcome != "created" || got.Session.UserID != "user_1" || got.Session.WorkflowID != "workflow_1" {
				t.Errorf("got %s", got.raw)
			}
			if got.Session.CreatedAt != "2025-01-01T12:00:00.000Z" || got.Session.ExpiresAt != "2025-01-02T12:00:00.000Z" || got.Session.RefreshAfter != "2025-01-02T11:00:00.000Z" {
				t.Errorf("times in %s", got.raw)
			}
			if got.Session.DeviceID != "device_user_1_1735732800000" || got.Session.Metadata["version"] != "1.0.0" {
				t.Errorf("got %s", got.raw)
			}
		})
	})
	t.Run("TheClientsOwnDevice", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, s *service) {
			mine := s.open(t, "user_1", `{"deviceId":"phone"}`)
			if mine.Outcome != "created" || mine.Session.DeviceID != "phone" {
				t.Errorf("got %s", mine.raw)
			}
			other := s.open(t, "user_1", ``)
			if other.Outcome != "created" || other.Session.ID == mine.Session.ID {
				t.Errorf("a named device's session went to a request that names none: %s", other.raw)
			}
			back := s.open(t, "user_1", `{"deviceId":"`+other.Session.DeviceID+`"}`)
			if back.Outcome != "reused" || back.Session.ID != other.Session.ID {
				t.Errorf("the generated device sent back got %s", back.raw)
			}
			stranger := s.open(t, "user_2", `{"deviceId":"phone"}`)
			if stranger.Outcome != "created" || stranger.Session.ID == mine.Session.ID {
				t.Errorf("another user got %s", stranger.raw)
			}
		})
	})
	t.Run("AnEmptyBody", func(t *testing.T) {
		t.Parallel()
		s := onSQLite(t)
		for _, body := range []string{"", " \n", "null", "{}", `{"deviceId":null,"metadata":null,"unknown":1}`} {
			if got := s.open(t, "user_1", body); got.Session.Metadata == nil || len(got.Session.Metadata) != 0 {
				t.Errorf("%q got %s", body, got.raw)
			}
		}
	})
	t.Run("ReusedWhileMoreThanAnHourIsLeft", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, s *service) {
			first := s.open(t, "user_1", `{"deviceId":"phone","metadata":{"v":"1"}}`)
			s.clock.advance(23*time.Hour - time.Microsecond)
			again := s.open(t, "user_1", `{"deviceId":"phone"}`)
			if again.Outcome != "reused" || again.Session.ChatKitSessionID != first.Session.ChatKitSessionID || again.Session.ID != first.Session.ID || again.Session.ExpiresAt != first.Session.ExpiresAt {
				t.Errorf("first %s, then %s", first.raw, again.raw)
			}
			replaced := s.open(t, "user_1", `{"deviceId":"phone","metadata":{"v":"2"}}`)
			if replaced.Outcome != "reused" || replaced.Session.Metadata["v"] != "2" || s.open(t, "user_1", `{"deviceId":"phone"}`).Session.Metadata["v"] != "2" {
				t.Errorf("new metadata got %s", replaced.raw)
			}
		})
	})
	t.Run("RefreshedWithinTheLastHour", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, s *service) {
			first := s.open(t, "user_1", `{"deviceId":"phone"}`)
			s.clock.advance(23 * time.Hour)
			again := s.open(t, "user_1", `{"deviceId":"phone"}`)
			if again.Outcome != "refreshed" || again.Session.ID != first.Session.ID || again.Session.ChatKitSessionID == first.Session.ChatKitSessionID {
				t.Errorf("first %s, then %s", first.raw, again.raw)
			}
			if again.Session.ExpiresAt != "2025-01-03T11:00:00.000Z" || again.Session.CreatedAt != first.Session.CreatedAt {
				t.Errorf("times in %s", again.raw)
			}
			s.clock.advance(24 * time.Hour)
			if late := s.open(t, "user_1", `{"deviceId":"phone"}`); late.Outcome != "created" || late.Session.ID == first.Session.ID {
				t.Errorf("after its expiry got %s", late.raw)
			}
		})
	})
	t.Run("RefreshedWhenItsKeyIsGone", func(t *testing.T) {
		t.Parallel()
		opened := openSQLite(t)
		first := onStore(t, opened).open(t, "user_1", "")
		again := onStore(t, opened).open(t, "user_1", "") // its own new key
		if again.Outcome != "refreshed" || again.Session.ID != first.Session.ID || again.Session.ChatKitSessionID == first.Session.ChatKitSessionID {
			t.Errorf("first %s, then %s", first.raw, again.raw)
		}
	})
}

func TestOpen_Refused(t *testing.T) {
	t.Parallel()
	is := func(t *testing.T, got answer, status int, title, message string) {
		t.Helper()
		if got.Status != status || got.Error != title || got.Message != message || got.Code == "" || got.RequestID == "" {
			t.Errorf("got %d %s", got.Status, got.raw)
		}
	}
	t.Run("WithoutAToken", func(t *testing.T) {
		t.Parallel()
		is(t, onSQLite(t).post(t, "", "not json"), http.StatusUnauthorized, "Unauthorized", "Authentication required")
	})
	t.Run("WithAnExpiredToken", func(t *testing.T) {
		t.Parallel()
		s := onSQLite(t)
		old := s.credential(t, "user_1", "member")
		s.clock.advance(time.Hour)
		is(t, s.post(t, old, ""), http.StatusUnauthorized, "Unauthorized", "Authentication required")
	})
	t.Run("WithoutARole", func(t *testing.T) {
		t.Parallel()
		s := onSQLite(t)
		is(t, s.post(t, s.credential(t, "user_1", ""), "not json"), http.StatusForbidden, "Forbidden", "User role not found")
	})
	t.Run("WithoutAWorkflow", func(t *testing.T) {
		t.Parallel()
		s := onSQLite(t, "CHATKIT_WORKFLOW_ID=")
		is(t, s.post(t, s.credential(t, "user_1", "member"), "not json"), http.StatusInternalServerError, "Configuration Error", "ChatKit workflow ID not configured")
	})
	t.Run("WithABadBody", func(t *testing.T) {
		t.Parallel()
		s := onSQLite(t)
		got := s.post(t, s.credential(t, "user_1", "member"), `{"deviceId":"no spaces"}`)
		if got.Status != http.StatusBadRequest || !strings.Contains(got.Message, "deviceId") {
			t.Errorf("got %d %s", got.Status, got.raw)
		}
	})
	cause := errors.New("disk on fire")
	t.Run("WhenTheStoreFailsOnCreate", func(t *testing.T) {
		t.Parallel()
		s := onStore(t, &faultyStore{store: openSQLite(t), updateFails: cause})
		got := s.post(t, s.credential(t, "user_1", "member"), "")
		is(t, got, http.StatusInternalServerError, "Internal Server Error", "Failed to create session")
		if strings.Contains(got.raw, cause.Error()) {
			t.Errorf("the answer carries the cause: %s", got.raw)
		}
		if n := strings.Count(s.logs.String(), cause.Error()); n != 1 {
			t.Errorf("the cause is logged %d times:\n%s", n, s.logs)
		}
	})
	t.Run("WhenTheStoreFailsOnRefresh", func(t *testing.T) {
		t.Parallel()
		faulty := &faultyStore{store: openSQLite(t)}
		s := onStore(t, faulty)
		s.open(t, "user_1", "")
		faulty.updateFails = cause
		s.clock.advance(23 * time.Hour)
		is(t, s.post(t, s.credential(t, "user_1", "member"), ""), http.StatusInternalServerError, "Internal Server Error", "Failed to refresh session")
	})
}

// While it serves, sessions whose time is up end by themselves, and are
// forgotten 30 days later.
func TestApp_Serve_CleansUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		s.app.config.CleanupInterval, s.app.cleaner = time.Millisecond, s.cleaner()
		s.open(t, "user_1", "")
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := contextWithStop(t)
		stopped := make(chan error, 1)
		go func() { stopped <- s.app.serve(ctx, listeners{service: listener}) }()
		s.clock.advance(24 * time.Hour)
		s.logs.await(t, regexp.MustCompile(`"msg":"cleaned up","expired":1,"purged":0,"activity":0`))
		s.clock.advance(30*24*time.Hour + time.Microsecond)
		s.logs.await(t, regexp.MustCompile(`"msg":"cleaned up","expired":0,"purged":1,"activity":0`))
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("serve = %v", err)
		}
		if _, err := s.app.store.Now(t.Context()); err == nil {
			t.Error("the store is still open")
		}
	})
}

// unclosed is a store that can be looked into after its service stopped.
type unclosed struct{ store }

func (unclosed) Close() error { return nil }

// How a session is used is kept to the minute, whether it was opened again or
// its token checked, and is not lost when the service stops.
func TestApp_Serve_WritesUse(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		s.app.store = unclosed{s.app.store}
		token := s.open(t, "user_1", "").Session.ChatKitSessionID
		written := s.clock.Now()
		for name, use := range map[string]func(){
			"opened":  func() { s.open(t, "user_1", "") },
			"checked": func() { s.good(t, token) },
		} {
			s.clock.advance(time.Minute - time.Microsecond)
			use()
			used := s.clock.Now()
			s.app.flush(t.Context())
			s.lastActive(t, name+" within the minute", written)
			s.clock.advance(time.Microsecond)
			s.app.flush(t.Context())
			s.lastActive(t, name+", a minute after it was written", used)
			s.clock.advance(time.Second)
			use()
			s.app.flush(t.Context())
			s.lastActive(t, name+", within the next minute", used)
			s.serveAndStop(t)
			written = s.clock.Now()
			s.lastActive(t, name+", once it stopped", written)
		}
	}, "INTROSPECTION_KEYS="+backendKey)
}

func (s *service) serveAndStop(t *testing.T) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextWithStop(t)
	stop()
	s.app.server = httpapi.NewServer(s.app.server.Handler, time.Second, 0, s.app.logger) // one serves once
	if err := s.app.serve(ctx, listeners{service: listener}); err != nil {
		t.Errorf("serve = %v", err)
	}
}

func (s *service) lastActive(t *testing.T, when string, want time.Time) {
	t.Helper()
	slot := session.Slot{User: session.Must(session.ParseUserID("user_1")), Workflow: session.Must(session.ParseWorkflowID("workflow_1"))}
	found, err := s.app.store.Find(t.Context(), slot, session.Must(session.ParseSignInID("sess_user_1")))
	if err != nil || !found.LastActivityAt().Equal(want) {
		t.Errorf("%s: last active at %s, want %s (%v)", when, found.LastActivityAt(), want, err)
	}
}

// Stopping finishes what is in flight before it closes the store.
func TestApp_Serve_StopsGracefully(t *testing.T) {
	t.Parallel()
	faulty := &faultyStore{store: openSQLite(t), entered: make(chan struct{}), release: make(chan struct{})}
	s := onStore(t, faulty)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextWithStop(t)
	stopped := make(chan error, 1)
	go func() { stopped <- s.app.serve(ctx, listeners{service: listener}) }()

	answers := make(chan int, 1)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String()+"/api/chatkit/session", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.credential(t, "user_1", "member"))
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			answers <- 0
			return
		}
		_ = response.Body.Close()
		answers <- response.StatusCode
	}()
	<-faulty.entered
	stop()
	for { // until the port refuses
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request in flight: %v", err)
	default:
	}
	close(faulty.release)
	if status := <-answers; status != http.StatusOK {
		t.Errorf("the request in flight got %d", status)
	}
	if err := <-stopped; err != nil {
		t.Errorf("serve = %v", err)
	}
}
