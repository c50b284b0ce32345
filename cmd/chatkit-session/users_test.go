package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// shown is what a user sees of their sessions and of what happened to them.
type shown struct {
	Sessions []struct {
		ID, DeviceID, Status, IP, EndReason, Warning string
		Client                                       struct{ Browser, OS, Kind string }
		Current, RememberMe                          bool
		Opens, Checks, ExpiresIn                     int
	}
	Activity []struct {
		SessionID, Type, At, IP string
		Client                  struct{ Browser, OS, Kind string }
		Detail                  map[string]string
	}
}

// statuses says of the sessions, newest first, where they are and how they are.
func (s shown) statuses() string {
	words := make([]string, len(s.Sessions))
	for i, one := range s.Sessions {
		words[i] = strings.TrimSuffix(one.DeviceID+" "+one.Status+" "+one.EndReason, " ")
	}
	return strings.Join(words, ", ")
}

// types says what happened, newest first.
func (s shown) types() string {
	words := make([]string, len(s.Activity))
	for i, one := range s.Activity {
		words[i] = one.Type
	}
	return strings.Join(words, " ")
}

func (s *service) list(t testing.TB, credential string, headers ...string) shown {
	t.Helper()
	return as[shown](t, s, http.StatusOK, http.MethodGet, "/sessions?limit=100", credential, "", headers...)
}

func (s *service) timeline(t testing.TB, credential string) shown {
	t.Helper()
	return as[shown](t, s, http.StatusOK, http.MethodGet, "/activity?limit=100", credential, "")
}

// A session that is remembered lives by terms of its own, from when its user
// reports it until they take it back.
func TestRememberMe(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		open := func(body string) answer { t.Helper(); return s.open(t, "user_1", body) }
		first := open(`{"deviceId":"phone","rememberMe":true}`)
		if first.Session.ExpiresAt != "2025-01-31T12:00:00.000Z" || !first.Session.RememberMe || first.Session.ExpiresIn != 30*24*3600 {
			t.Errorf("remembered is %s", first.raw)
		}
		s.clock.advance(24 * time.Hour)
		if again := open(`{"deviceId":"phone"}`); again.Outcome != "reused" || again.Session.ExpiresAt != first.Session.ExpiresAt || !again.Session.RememberMe {
			t.Errorf("a request that does not say is %s", again.raw)
		}
		forgotten := open(`{"deviceId":"phone","rememberMe":false}`)
		if forgotten.Outcome != "reused" || forgotten.Session.ExpiresAt != "2025-01-03T12:00:00.000Z" || forgotten.Session.ChatKitSessionID != first.Session.ChatKitSessionID {
			t.Errorf("taken back is %s", forgotten.raw)
		}
		if back := open(`{"deviceId":"phone","rememberMe":true}`); back.Session.ExpiresAt != "2025-02-01T12:00:00.000Z" {
			t.Errorf("remembered anew is %s", back.raw)
		}
		s.clock.advance(7*24*time.Hour - time.Microsecond)
		if idle := open(`{"deviceId":"phone"}`); idle.Outcome != "reused" {
			t.Errorf("before it is idle it is %s", idle.raw)
		}
		if err := s.app.usage.FlushAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.clock.advance(7 * 24 * time.Hour)
		if s.good(t, first.Session.ChatKitSessionID) {
			t.Error("the token of an idle session is good")
		}
		if got := s.list(t, s.credential(t, "user_1", "member")).statuses(); got != "phone expired" {
			t.Errorf("listed is %s", got)
		}
		if idle := open(`{"deviceId":"phone"}`); idle.Outcome != "created" || idle.Session.RememberMe {
			t.Errorf("once it is idle it is %s", idle.raw)
		}
	}, "INTROSPECTION_KEYS="+backendKey)
}

// With one device too many the session that was not used for longest ends, also
// when all were used within the minute after which that is written.
func TestLimit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		open := func(device string) string {
			t.Helper()
			s.clock.advance(time.Second)
			return s.open(t, "user_1", `{"deviceId":"`+device+`"}`).Session.ChatKitSessionID
		}
		first, second := open("a"), open("b")
		open("c")
		s.clock.advance(time.Second)
		s.good(t, first) // which is use, and not written yet
		open("d")
		mine := s.credential(t, "user_1", "member")
		if got := s.list(t, mine).statuses(); got != "d active, c active, b revoked limit, a active" {
			t.Errorf("listed are %s", got)
		}
		if s.good(t, second) || !s.good(t, first) {
			t.Error("the wrong token is good")
		}
		if got := s.timeline(t, mine); got.types() != "created limit created created created" && got.types() != "limit created created created created" {
			t.Errorf("there happened %s", got.types())
		}
	}, "INTROSPECTION_KEYS="+backendKey, "CHATKIT_MAX_SESSIONS=3")
}

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
	iphone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
)

// A session moves to another device by a code: its old tokens are refused at
// once, what was there ends, the code is used up, and both devices are in the
// timeline. Nobody else can use the code.
func TestTransfer(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		moves := s.post(t, s.from(t, "user_1", "sess_here"), `{"deviceId":"laptop","metadata":{"v":"1"}}`)
		s.clock.advance(23 * time.Hour)
		here, there, stranger := s.from(t, "user_1", "sess_here"), s.from(t, "user_1", "sess_there"), s.from(t, "user_2", "sess_x")
		refreshed := s.post(t, here, `{"deviceId":"laptop"}`)
		gives := s.post(t, there, `{"deviceId":"phone"}`)
		offer := as[struct{ Code, ExpiresAt, URL string }](t, s, http.StatusCreated, http.MethodPost, "/sessions/"+moves.Session.ID+"/transfer", here, "")
		if offer.ExpiresAt != "2025-01-02T11:02:00.000Z" || offer.URL != "https://app.example.com/move#chatkit-transfer="+offer.Code || len(offer.Code) < 26 {
			t.Errorf("offered is %+v", offer)
		}
		claim := func(who, device string, want int) string {
			t.Helper()
			status, body := s.send(t, http.MethodPost, "/session/transfer", who, fmt.Sprintf(`{"code":%q,"deviceId":%q}`, offer.Code, device), "User-Agent", iphone)
			if status != want {
				t.Errorf("POST = %d %s, want %d", status, body, want)
			}
			return body
		}
		claim(stranger, "phone", http.StatusNotFound)
		claim(there, "laptop", http.StatusBadRequest)
		moved := claim(there, "phone", http.StatusOK)
		if !strings.Contains(moved, `"outcome":"transferred"`) || !strings.Contains(moved, `"id":"`+moves.Session.ID+`"`) || !strings.Contains(moved, `"deviceId":"phone"`) || !strings.Contains(moved, `"v":"1"`) {
			t.Errorf("moved is %s", moved)
		}
		for _, token := range []string{moves.Session.ChatKitSessionID, refreshed.Session.ChatKitSessionID, gives.Session.ChatKitSessionID} {
			if s.good(t, token) || strings.Contains(moved, token) {
				t.Error("a token that a device had before is good, or given again")
			}
		}
		claim(there, "phone", http.StatusNotFound)
		if got := s.post(t, there, `{"deviceId":"phone"}`); got.Outcome != "reused" || got.Session.ID != moves.Session.ID || strings.Contains(got.raw, refreshed.Session.ChatKitSessionID) {
			t.Errorf("opened there is %s", got.raw)
		}
		timeline := s.timeline(t, here)
		kinds := []string{"created", "refreshed", "created", "anomaly", "transferred", "transferred"}
		slices.Sort(kinds)
		if got := strings.Fields(timeline.types()); !slices.Equal(slices.Sorted(slices.Values(got)), kinds) {
			t.Errorf("there happened %v", got)
		}
		for _, a := range timeline.Activity {
			if a.Type != "transferred" || a.SessionID != moves.Session.ID {
				continue
			}
			if a.Detail["fromDeviceId"] != "laptop" || a.Detail["deviceId"] != "phone" || a.Client.OS == "" || a.Client.Kind != "mobile" || a.IP != "192.0.2.1" {
				t.Errorf("the move is %+v", a)
			}
		}
		if strings.Contains(s.logs.String(), offer.Code) {
			t.Error("the log shows the code")
		}
	}, "INTROSPECTION_KEYS="+backendKey, "CHATKIT_TRANSFER_URL=https://app.example.com/move")
}

// A code is good for two minutes, and for the last time it was asked for.
func TestTransfer_OldCodes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		opened := s.open(t, "user_1", `{"deviceId":"laptop"}`)
		offer := func() string {
			t.Helper()
			return as[struct{ Code string }](t, s, http.StatusCreated, http.MethodPost, "/sessions/"+opened.Session.ID+"/transfer", s.credential(t, "user_1", "member"), "").Code
		}
		first, second := offer(), offer()
		s.clock.advance(2 * time.Minute)
		third := offer()
		for _, code := range []string{first, second, "AAAAAAAAAAAAAAAAAAAAAAAAAA", opened.Session.ChatKitSessionID} {
			status, body := s.send(t, http.MethodPost, "/session/transfer", s.credential(t, "user_1", "member"), fmt.Sprintf(`{"code":%q,"deviceId":"phone"}`, code))
			if status != http.StatusNotFound {
				t.Errorf("POST = %d %s", status, body)
			}
		}
		s.clock.advance(2*time.Minute - time.Microsecond)
		status, body := s.send(t, http.MethodPost, "/session/transfer", s.credential(t, "user_1", "member"), fmt.Sprintf(`{"code":%q,"deviceId":"phone"}`, strings.ToLower(third)))
		if status != http.StatusOK {
			t.Errorf("POST = %d %s", status, body)
		}
	})
}

// Users see what happened, when, from which address and client, by whom and
// why; and how their sessions are used.
func TestTimeline(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		mine := s.credential(t, "user_1", "member")
		from := func(address, agent string) []string { return []string{"X-Forwarded-For", address, "User-Agent", agent} }
		opened := as[answer](t, s, http.StatusOK, http.MethodPost, "/session", mine, `{"deviceId":"laptop"}`, from("198.51.100.7", firefox)...)
		as[answer](t, s, http.StatusOK, http.MethodPost, "/session", mine, `{"deviceId":"laptop"}`, from("198.51.100.7", firefox)...)
		// A proxy tells from where a token is used, a back end may.
		if status, _ := s.send(t, http.MethodGet, "/session/verify", opened.Session.ChatKitSessionID, "", from("198.51.100.8", firefox)...); status != http.StatusNoContent {
			t.Errorf("verify = %d", status)
		}
		s.send(t, http.MethodPost, "/session/introspect", backendKey, "token="+opened.Session.ChatKitSessionID, "Content-Type", "application/x-www-form-urlencoded")
		if err := s.app.usage.FlushAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen := s.list(t, mine, "X-ChatKit-Token", opened.Session.ChatKitSessionID).Sessions[0]
		if seen.IP != "198.51.100.8" || seen.Client.Browser != "Firefox 133" || seen.Client.OS != "Linux" || seen.Client.Kind != "desktop" || !seen.Current || seen.Opens != 2 || seen.Checks != 2 {
			t.Errorf("listed is %+v", seen)
		}
		as[struct{ Revoked int }](t, s, http.StatusOK, http.MethodDelete, "/sessions", mine, "", from("198.51.100.9", iphone)...)

		happened := s.timeline(t, mine).Activity
		if len(happened) != 2 {
			t.Fatalf("there happened %+v", happened)
		}
		revoked, created := happened[0], happened[1]
		if revoked.Type == "created" { // all at one time
			revoked, created = created, revoked
		}
		if created.IP != "198.51.100.7" || created.Client.Browser != "Firefox 133" || created.At != "2025-01-01T12:00:00.000Z" || created.SessionID != opened.Session.ID || created.Detail["deviceId"] != "laptop" {
			t.Errorf("created is %+v", created)
		}
		if revoked.Type != "revoked" || revoked.IP != "198.51.100.9" || revoked.Client.Kind != "mobile" || revoked.Detail["by"] != "user" || revoked.Detail["reason"] != "sign_out_all" {
			t.Errorf("revoked is %+v", revoked)
		}
		one := as[shown](t, s, http.StatusOK, http.MethodGet, "/sessions/"+opened.Session.ID+"/activity", mine, "")
		if len(one.Activity) != 2 {
			t.Errorf("of the session there happened %+v", one.Activity)
		}
		if status, body := s.send(t, http.MethodGet, "/sessions/"+opened.Session.ID+"/activity", s.credential(t, "user_2", "member"), ""); status != http.StatusNotFound {
			t.Errorf("another user sees %d %s", status, body)
		}
		if got := s.timeline(t, s.credential(t, "user_2", "member")); len(got.Activity) != 0 {
			t.Errorf("another user sees %+v", got)
		}
	}, "INTROSPECTION_KEYS="+backendKey, "TRUSTED_PROXIES=192.0.2.0/24")
}

// An administrator who impersonates a user is named in their timeline.
func TestTimeline_Impersonation(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	s.post(t, s.bearing(t, bearer{user: "user_1", signIn: "sess_1", act: impersonator}), "")
	if got := s.timeline(t, s.credential(t, "user_1", "member")).Activity; len(got) != 1 || got[0].Detail["actor"] != "user_boss" {
		t.Errorf("there happened %+v", got)
	}
}

// Clients are warned of a session's end in every answer about it.
func TestWarning(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		opened := s.open(t, "user_1", "")
		const warning = `"warning":"expires_soon"`
		warned := func() (in []string) {
			t.Helper()
			mine := s.credential(t, "user_1", "member")
			for name, path := range map[string]string{"list": "/sessions", "show": "/sessions/" + opened.Session.ID} {
				if status, body := s.send(t, http.MethodGet, path, mine, ""); status != http.StatusOK || strings.Contains(body, warning) {
					in = append(in, name)
				}
			}
			if _, body := s.ask(t, http.MethodPost, "/api/chatkit/session/introspect", backendKey, "token="+opened.Session.ChatKitSessionID); strings.Contains(body, warning) {
				in = append(in, "introspect")
			}
			if s.verifyWarns(t, opened.Session.ChatKitSessionID) {
				in = append(in, "verify")
			}
			slices.Sort(in)
			return in
		}
		s.clock.advance(24*time.Hour - 5*time.Minute)
		if got := warned(); len(got) != 0 {
			t.Errorf("with five minutes left %v warn", got)
		}
		s.clock.advance(time.Microsecond)
		if got := fmt.Sprint(warned()); got != "[introspect list show verify]" {
			t.Errorf("with less left %s warn", got)
		}
		s.clock.advance(5 * time.Minute)
		if got := warned(); len(got) != 0 {
			t.Errorf("with none left %v warn", got)
		}
	}, "INTROSPECTION_KEYS="+backendKey)
}

// With a time for step-up, what is sensitive needs a factor that was verified
// within it; what is not does not.
func TestStepUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		verified := func(signIn, role string, minutes int) string {
			t.Helper()
			return s.bearing(t, bearer{user: "user_1", signIn: signIn, role: role, ago: minutes})
		}
		mine := s.post(t, verified("sess_1", "member", 600), `{"deviceId":"laptop"}`)
		other := s.post(t, verified("sess_2", "member", 600), `{"deviceId":"phone"}`)
		s.post(t, verified("sess_1", "member", 600), `{"deviceId":"tablet"}`)
		for _, test := range []struct {
			method, path, role, body string
			want                     int // once verified
		}{
			{http.MethodPost, "/sessions/" + mine.Session.ID + "/transfer", "member", "", http.StatusCreated},
			{http.MethodPost, "/session/transfer", "member", `{"code":"x","deviceId":"phone"}`, http.StatusNotFound},
			{http.MethodDelete, "/sessions/" + other.Session.ID, "member", "", http.StatusNoContent},
			{http.MethodDelete, "/sessions?keep=" + mine.Session.ID, "member", "", http.StatusOK},
			{http.MethodDelete, "/admin/sessions/" + mine.Session.ID, "admin", "", http.StatusNoContent},
			{http.MethodDelete, "/admin/users/user_1/sessions", "admin", "", http.StatusOK},
		} {
			if test.path == "/sessions?keep="+mine.Session.ID { // with another sign-in's session there
				s.post(t, verified("sess_3", "member", 600), `{"deviceId":"phone"}`)
			}
			status, body := s.send(t, test.method, test.path, verified("sess_1", test.role, 10), test.body)
			const clerk = `"clerk_error":{"metadata":{"reverification":{"afterMinutes":10,"level":"first_factor"}},"reason":"reverification-error","type":"forbidden"}`
			if status != http.StatusForbidden || !strings.Contains(body, clerk) || !strings.Contains(body, "reverification_required") {
				t.Errorf("%s %s = %d %s", test.method, test.path, status, body)
			}
			if status, body := s.send(t, test.method, test.path, verified("sess_1", test.role, 9), test.body); status != test.want {
				t.Errorf("once verified %s %s = %d %s", test.method, test.path, status, body)
			}
		}
		own := bearer{user: "user_2", signIn: "sess_4", ago: 600}
		desk := s.post(t, s.bearing(t, own), `{"deviceId":"desk"}`)
		own.ago = -1
		if status, body := s.send(t, http.MethodDelete, "/sessions/"+desk.Session.ID, s.bearing(t, own), ""); status != http.StatusNoContent {
			t.Errorf("one's own DELETE = %d %s", status, body)
		}
	}, "CHATKIT_STEP_UP_WITHIN=10m")
}
