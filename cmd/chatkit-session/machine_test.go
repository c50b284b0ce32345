package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"chatkit-session/adapters/clerk/fakeclerk"
)

// machine drives the service and the model side by side.
type machine struct {
	t      *testing.T
	s      *service
	model  model
	prefix string // of the users of this run
	tokens []string
	codes  []string
}

func (m *machine) user(t *rapid.T) string {
	return m.prefix + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "user")
}

func (m *machine) signIn(t *rapid.T) string {
	return rapid.SampledFrom([]string{"sess_1", "sess_2", "sess_3"}).Draw(t, "signIn")
}

func (m *machine) session(t *rapid.T) *modelSession {
	if len(m.model.sessions) == 0 {
		t.Skip("there is none")
	}
	return rapid.SampledFrom(m.model.sessions).Draw(t, "session")
}

// send asks the service as somebody and returns what it says.
func (m *machine) send(method, path, credential, body string) (int, string) {
	return m.s.send(m.t, method, path, credential, body)
}

// wireTime is a time as answers have it.
func wireTime(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// Open opens, and compares everything that the answer says.
func (m *machine) Open(t *rapid.T) {
	user, signIn, now := m.user(t), m.signIn(t), m.s.clock.Now()
	device := rapid.SampledFrom([]string{"", "phone", "laptop", "tablet", "generated"}).Draw(t, "device")
	if device == "generated" { // the shared session's device sent back
		s := m.model.active(user, "")
		if s == nil {
			t.Skip("there is none")
		}
		device = s.device
	}
	request := map[string]any{}
	if device != "" {
		request["deviceId"] = device
	}
	remember := rapid.SampledFrom([]*bool{nil, nil, new(bool), &yes}).Draw(t, "remember")
	if remember != nil {
		request["rememberMe"] = *remember
	}
	body, _ := json.Marshal(request)
	want, s := m.model.open(now, user, signIn, device, remember)
	got := m.s.post(m.t, m.s.from(m.t, user, signIn), string(body))
	if want == "blocked" {
		if got.Status != http.StatusForbidden || got.Code != "session_revoked" {
			t.Fatalf("a blocked sign-in got %d %s", got.Status, got.raw)
		}
		return
	}
	if got.Outcome != want || got.Session.UserID != user || (device != "" && got.Session.DeviceID != device) {
		t.Fatalf("got %s, want %s for %s on %q", got.raw, want, user, device)
	}
	if want == "created" {
		s.id, s.device = got.Session.ID, got.Session.DeviceID
	}
	if rotated := got.Session.ChatKitSessionID != s.token; rotated != (want != "reused") {
		t.Fatalf("%s, and the token rotated: %v", want, rotated)
	}
	m.holds(t, s, got)
}

var yes = true

// holds checks that an answer is the session, and takes its token.
func (m *machine) holds(t *rapid.T, s *modelSession, got answer) {
	now := m.s.clock.Now()
	if got.Session.ID != s.id || got.Session.DeviceID != s.device || got.Session.ExpiresAt != wireTime(s.expiresAt) || got.Session.CreatedAt != wireTime(s.createdAt) ||
		got.Session.RememberMe != s.remembered || got.Session.ExpiresIn != int(s.expiresAt.Sub(now)/time.Second) {
		t.Fatalf("got %s, want session %s on %s until %s, remembered %v", got.raw, s.id, s.device, s.expiresAt, s.remembered)
	}
	s.token = got.Session.ChatKitSessionID
	m.tokens = append(m.tokens, s.token)
}

// Revoke signs out one session, of whomever.
func (m *machine) Revoke(t *rapid.T) {
	user, signIn, s := m.user(t), m.signIn(t), m.session(t)
	want := http.StatusNoContent
	if s.user != user {
		want = http.StatusNotFound
	} else {
		m.model.signOut(s, signIn, m.s.clock.Now())
	}
	if status, body := m.send(http.MethodDelete, "/sessions/"+s.id, m.s.from(m.t, user, signIn), ""); status != want {
		t.Fatalf("DELETE = %d %s, want %d", status, body, want)
	}
}

// signOutAll is what the model does for all of a user's sessions but one.
func (m *machine) signOutAll(user, by, keep string) string {
	ends := 0
	for _, s := range m.model.sessions {
		if s.user == user && s.id != keep && m.model.signOut(s, by, m.s.clock.Now()) {
			ends++
		}
	}
	return fmt.Sprintf("{\"revoked\":%d}\n", ends)
}

// RevokeAll signs out all sessions of a user, or all but one.
func (m *machine) RevokeAll(t *rapid.T) {
	user, signIn, path, keep := m.user(t), m.signIn(t), "/sessions", ""
	if rapid.Bool().Draw(t, "keep") {
		s := m.model.active(user, rapid.SampledFrom([]string{"", "phone"}).Draw(t, "kept"))
		if s == nil || !s.live(m.s.clock.Now()) {
			t.Skip("there is none to keep")
		}
		keep = s.id
		path += "?keep=" + keep
	}
	want := m.signOutAll(user, signIn, keep)
	if status, body := m.send(http.MethodDelete, path, m.s.from(m.t, user, signIn), ""); status != http.StatusOK || body != want {
		t.Fatalf("DELETE = %d %s, want %s", status, body, want)
	}
}

func (m *machine) admin() string {
	token, err := m.s.identity.Mint(fakeclerk.Claims{Subject: "user_admin", SignIn: "sess_admin", Role: "admin", IssuedAt: m.s.clock.Now()})
	if err != nil {
		m.t.Fatal(err)
	}
	return token
}

// AdminRevokes signs out one session of anybody, or all of somebody.
func (m *machine) AdminRevokes(t *rapid.T) {
	if rapid.Bool().Draw(t, "all") {
		user := m.user(t)
		want := m.signOutAll(user, "sess_admin", "")
		if status, body := m.send(http.MethodDelete, "/admin/users/"+user+"/sessions", m.admin(), ""); status != http.StatusOK || body != want {
			t.Fatalf("DELETE = %d %s, want %s", status, body, want)
		}
		return
	}
	s := m.session(t)
	m.model.signOut(s, "sess_admin", m.s.clock.Now())
	if status, body := m.send(http.MethodDelete, "/admin/sessions/"+s.id, m.admin(), ""); status != http.StatusNoContent {
		t.Fatalf("DELETE = %d %s", status, body)
	}
}

// Offer makes a code for a session, of whomever.
func (m *machine) Offer(t *rapid.T) {
	user, signIn, s, now := m.user(t), m.signIn(t), m.session(t), m.s.clock.Now()
	status, body := m.send(http.MethodPost, "/sessions/"+s.id+"/transfer", m.s.from(m.t, user, signIn), "")
	if s.user != user || !s.live(now) {
		if status != http.StatusNotFound {
			t.Fatalf("POST = %d %s, want 404", status, body)
		}
		return
	}
	var got struct{ Code, ExpiresAt string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusCreated || got.ExpiresAt != wireTime(now.Add(modelOffer)) {
		t.Fatalf("POST = %d %s", status, body)
	}
	s.code, s.codeUntil, s.codeTried = got.Code, now.Add(modelOffer), false
	m.codes = append(m.codes, got.Code)
}

// Claim tries a code, of whomever.
func (m *machine) Claim(t *rapid.T) {
	if len(m.codes) == 0 {
		t.Skip("there is none")
	}
	user, signIn, now := m.user(t), m.signIn(t), m.s.clock.Now()
	code := rapid.SampledFrom(m.codes[max(0, len(m.codes)-3):]).Draw(t, "code")
	device := rapid.SampledFrom([]string{"phone", "laptop", "tv"}).Draw(t, "device")
	want, s := m.model.claim(now, user, signIn, code, device)
	status, body := m.send(http.MethodPost, "/session/transfer", m.s.from(m.t, user, signIn), fmt.Sprintf(`{"code":%q,"deviceId":%q}`, code, device))
	if status != want {
		t.Fatalf("POST = %d %s, want %d", status, body, want)
	}
	if s == nil {
		return
	}
	got := answer{raw: body}
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Outcome != "transferred" || got.Session.ChatKitSessionID == s.token {
		t.Fatalf("POST = %s", body)
	}
	m.holds(t, s, got)
}

// Wait lets time pass.
func (m *machine) Wait(t *rapid.T) {
	m.s.clock.advance(rapid.SampledFrom([]time.Duration{
		time.Microsecond, modelGrace - time.Microsecond, modelGrace, modelOffer, time.Hour, 19 * time.Hour, 23 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour, modelRetention,
	}).Draw(t, "pause"))
}

// CleanUp ends what is due and forgets what ended long ago, but for what
// blocks a sign-in.
func (m *machine) CleanUp(t *rapid.T) {
	if _, err := m.s.cleaner().Clean(m.t.Context()); err != nil {
		t.Fatalf("Clean = %v", err)
	}
	m.model.cleanUp(m.s.clock.Now())
}

// Flush writes use.
func (m *machine) Flush(t *rapid.T) {
	if err := m.s.app.usage.FlushAll(m.t.Context()); err != nil {
		t.Fatalf("FlushAll = %v", err)
	}
	m.model.flush()
}

// List compares all that a user sees of their sessions, and of what happened
// to them.
func (m *machine) List(t *rapid.T) {
	user, now := m.user(t), m.s.clock.Now()
	want := map[string]string{}
	for _, s := range m.model.sessions {
		if s.user == user {
			want[s.id] = fmt.Sprint(s.device, " ", s.statusAt(now), " ", s.remembered, " ", s.opens, " ", s.checks, " ", wireTime(s.lastActivity))
		}
	}
	got := map[string]string{}
	m.pages(t, user, "/sessions", func(page listed) {
		for _, s := range page.Sessions {
			got[s.ID] = fmt.Sprint(s.DeviceID, " ", s.Status, " ", s.RememberMe, " ", s.Opens, " ", s.Checks, " ", s.LastActivityAt)
		}
	})
	if !maps.Equal(got, want) {
		t.Fatalf("listed are\n%v\nwant\n%v", got, want)
	}
	happened := map[string]int{}
	m.pages(t, user, "/activity", func(page listed) {
		for _, a := range page.Activity {
			happened[a.Type]++
		}
	})
	if want := m.model.timeline(user); !maps.Equal(happened, want) {
		t.Fatalf("there happened %v, want %v", happened, want)
	}
}

// listed is a page of sessions or of activity.
type listed struct {
	Sessions []struct {
		ID, DeviceID, Status, LastActivityAt string
		RememberMe                           bool
		Opens, Checks                        int
	}
	Activity   []struct{ Type string }
	NextCursor string
}

func (m *machine) pages(t *rapid.T, user, path string, each func(listed)) {
	for cursor := ""; ; {
		query := "?limit=7"
		if cursor != "" {
			query += "&cursor=" + cursor
		}
		status, body := m.send(http.MethodGet, path+query, m.s.from(m.t, user, "sess_1"), "")
		var page listed
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK {
			t.Fatalf("GET = %d %s", status, body)
		}
		each(page)
		if cursor = page.NextCursor; cursor == "" {
			return
		}
	}
}

// Check is what holds after every step: exactly the right tokens are good.
func (m *machine) Check(t *rapid.T) {
	now := m.s.clock.Now()
	for _, token := range m.tokens[max(0, len(m.tokens)-6):] {
		if got, want := m.s.good(m.t, token), m.model.accepts(now, token, 2); got != want {
			t.Fatalf("a token is good: %v, want %v", got, want)
		}
	}
}

// Whatever users and admins do, in whatever order and at whatever time, the
// service does what the model does.
func TestModel(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			m := &machine{t: t, s: s, prefix: fmt.Sprintf("user_%d_", run)}
			rt.Repeat(map[string]func(*rapid.T){
				"Open": m.Open, "OpenAgain": m.Open, "Revoke": m.Revoke, "RevokeAll": m.RevokeAll, "AdminRevokes": m.AdminRevokes,
				"Offer": m.Offer, "Claim": m.Claim, "Wait": m.Wait, "CleanUp": m.CleanUp, "Flush": m.Flush, "List": m.List, "": m.Check,
			})
			m.List(rt)
		})
	}, modelSettings...)
}
