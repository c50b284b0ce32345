package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// modelSession is what a test believes of a session.
type modelSession struct {
	id, user, device, signIn string
	generated                bool
	token, previous          string
	previousUntil            time.Time
	createdAt, expiresAt     time.Time
	ended, blocks            bool
	endedAt                  time.Time
}

func (s *modelSession) end(now time.Time) { s.ended, s.endedAt = true, now }

// model is the service as the specification has it: no database, no races.
type model struct {
	sessions []*modelSession
}

const (
	modelDuration  = 24 * time.Hour
	modelThreshold = time.Hour
	modelLongest   = 30 * 24 * time.Hour
	modelGrace     = 30 * time.Second
	modelRetention = 30 * 24 * time.Hour
)

// active returns the session that a request of user for device continues.
func (m *model) active(user, device string) *modelSession {
	for _, s := range m.sessions {
		if s.user == user && !s.ended && ((device == "" && s.generated) || (device != "" && s.device == device)) {
			return s
		}
	}
	return nil
}

func (m *model) blocked(user, signIn string) bool {
	return slices.ContainsFunc(m.sessions, func(s *modelSession) bool { return s.user == user && s.signIn == signIn && s.blocks })
}

// open says what opening must do: an outcome, or "blocked". It ends what is
// stale.
func (m *model) open(now time.Time, user, signIn, device string) (string, *modelSession) {
	s := m.active(user, device)
	if s != nil && now.Before(s.expiresAt) {
		if s.expiresAt.Sub(now) > modelThreshold {
			return "reused", s
		}
		extended := now.Add(modelDuration)
		if end := s.createdAt.Add(modelLongest); end.Before(extended) {
			extended = end
		}
		if extended.Sub(now) > modelThreshold {
			s.previous, s.previousUntil, s.expiresAt = s.token, now.Add(modelGrace), extended
			return "refreshed", s
		}
	}
	if m.blocked(user, signIn) {
		return "blocked", nil
	}
	if s != nil {
		s.end(now)
	}
	return "created", nil
}

// accepts says whether a token is good.
func (m *model) accepts(now time.Time, token string) bool {
	return slices.ContainsFunc(m.sessions, func(s *modelSession) bool {
		return !s.ended && now.Before(s.expiresAt) && (s.token == token || (s.previous == token && now.Before(s.previousUntil)))
	})
}

// machine drives the service and the model side by side.
type machine struct {
	t      *testing.T
	s      *service
	model  model
	prefix string // of the users of this run
	tokens []string
}

func (m *machine) user(t *rapid.T) string {
	return m.prefix + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "user")
}

func (m *machine) signIn(t *rapid.T) string {
	return rapid.SampledFrom([]string{"sess_1", "sess_2", "sess_3"}).Draw(t, "signIn")
}

// Open opens, and compares everything that the answer says.
func (m *machine) Open(t *rapid.T) {
	user, signIn, now := m.user(t), m.signIn(t), m.s.clock.Now()
	device := rapid.SampledFrom([]string{"", "phone", "laptop", "generated"}).Draw(t, "device")
	if device == "generated" { // the shared session's device sent back
		s := m.model.active(user, "")
		if s == nil {
			t.Skip("there is none")
		}
		device = s.device
	}
	want, s := m.model.open(now, user, signIn, device)
	body := "{}"
	if device != "" {
		body = fmt.Sprintf(`{"deviceId":%q}`, device)
	}
	got := m.s.post(m.t, m.s.from(m.t, user, signIn), body)
	if want == "blocked" {
		if got.Status != http.StatusForbidden || got.Code != "session_revoked" {
			t.Fatalf("a blocked sign-in got %d %s", got.Status, got.raw)
		}
		return
	}
	if got.Outcome != want || got.Session.UserID != user || (device != "" && got.Session.DeviceID != device) {
		t.Fatalf("got %s, want %s for %s on %q", got.raw, want, user, device)
	}
	switch want {
	case "created":
		s = &modelSession{id: got.Session.ID, user: user, device: got.Session.DeviceID, generated: device == "", createdAt: now, expiresAt: now.Add(modelDuration)}
		m.model.sessions = append(m.model.sessions, s)
	case "reused":
		if got.Session.ChatKitSessionID != s.token {
			t.Fatal("reusing changed the token")
		}
	case "refreshed":
		if got.Session.ChatKitSessionID == s.token {
			t.Fatal("refreshing kept the token")
		}
	}
	if got.Session.ID != s.id || got.Session.ExpiresAt != s.expiresAt.Format("2006-01-02T15:04:05.000Z") {
		t.Fatalf("got %s, want session %s until %s", got.raw, s.id, s.expiresAt)
	}
	s.token, s.signIn = got.Session.ChatKitSessionID, signIn
	m.tokens = append(m.tokens, s.token)
}

// Revoke signs out one session, of whomever.
func (m *machine) Revoke(t *rapid.T) {
	if len(m.model.sessions) == 0 {
		t.Skip("there is none")
	}
	user, signIn := m.user(t), m.signIn(t)
	s := rapid.SampledFrom(m.model.sessions).Draw(t, "session")
	status, body := m.s.ask(m.t, http.MethodDelete, "/api/chatkit/sessions/"+s.id, m.s.from(m.t, user, signIn), "")
	want := http.StatusNoContent
	if s.user != user {
		want = http.StatusNotFound
	} else {
		s.signOut(signIn, m.s.clock.Now())
	}
	if status != want {
		t.Fatalf("DELETE = %d %s, want %d", status, body, want)
	}
}

func (s *modelSession) signOut(by string, now time.Time) {
	if !s.ended {
		s.end(now)
		s.blocks = by != s.signIn
	}
}

// RevokeAll signs out all sessions of a user, or all but one.
func (m *machine) RevokeAll(t *rapid.T) {
	user, signIn, keep := m.user(t), m.signIn(t), ""
	ends := 0
	if rapid.Bool().Draw(t, "keep") {
		s := m.model.active(user, rapid.SampledFrom([]string{"", "phone"}).Draw(t, "kept"))
		if s == nil {
			t.Skip("there is none to keep")
		}
		keep = s.id
	}
	for _, s := range m.model.sessions {
		if s.user == user && !s.ended && s.id != keep {
			s.signOut(signIn, m.s.clock.Now())
			ends++
		}
	}
	path := "/api/chatkit/sessions"
	if keep != "" {
		path += "?keep=" + keep
	}
	status, body := m.s.ask(m.t, http.MethodDelete, path, m.s.from(m.t, user, signIn), "")
	if want := fmt.Sprintf("{\"revoked\":%d}\n", ends); status != http.StatusOK || body != want {
		t.Fatalf("DELETE = %d %s, want %s", status, body, want)
	}
}

// Wait lets time pass.
func (m *machine) Wait(t *rapid.T) {
	m.s.clock.advance(rapid.SampledFrom([]time.Duration{
		time.Microsecond, modelGrace - time.Microsecond, modelGrace, time.Hour, modelDuration - modelThreshold, modelDuration, 3 * 24 * time.Hour, modelRetention,
	}).Draw(t, "pause"))
}

// CleanUp ends what is due and forgets what ended long ago, but for what
// blocks a sign-in.
func (m *machine) CleanUp(t *rapid.T) {
	if _, err := m.s.app.cleaner.Clean(m.t.Context()); err != nil {
		t.Fatalf("Clean = %v", err)
	}
	now := m.s.clock.Now()
	for _, s := range m.model.sessions {
		if !s.ended && !now.Before(s.expiresAt) {
			s.end(now)
		}
	}
	m.model.sessions = slices.DeleteFunc(m.model.sessions, func(s *modelSession) bool {
		return s.ended && !s.blocks && s.endedAt.Before(now.Add(-modelRetention))
	})
}

// Check is what holds after every step: exactly the right tokens are good.
func (m *machine) Check(t *rapid.T) {
	now := m.s.clock.Now()
	for _, token := range m.tokens[max(0, len(m.tokens)-6):] {
		if got, want := m.s.good(m.t, token), m.model.accepts(now, token); got != want {
			t.Fatalf("a token is good: %v, want %v", got, want)
		}
	}
}

// Whatever users do, in whatever order and at whatever time, the service does
// what the model does.
func TestModel(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			m := &machine{t: t, s: s, prefix: fmt.Sprintf("user_%d_", run)}
			rt.Repeat(map[string]func(*rapid.T){
				"Open": m.Open, "OpenAgain": m.Open, "Revoke": m.Revoke, "RevokeAll": m.RevokeAll, "Wait": m.Wait, "CleanUp": m.CleanUp, "": m.Check,
			})
		})
	}, "INTROSPECTION_KEYS="+backendKey)
}
