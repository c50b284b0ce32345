package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// refuses expects that a request is refused with a code, and that the answer
// holds no token.
func (s *service) refuses(t testing.TB, code, method, path, credential, body string, headers ...string) {
	t.Helper()
	status, answered := s.send(t, method, path, credential, body, headers...)
	var got answer
	if err := json.Unmarshal([]byte(answered), &got); err != nil || status < http.StatusBadRequest || got.Code != code {
		t.Errorf("%s %s = %d %s, want %s", method, path, status, answered, code)
	}
}

// opens expects an outcome of opening, with headers as send has them.
func (s *service) opens(t testing.TB, outcome, credential, body string, headers ...string) answer {
	t.Helper()
	got := as[answer](t, s, http.StatusOK, http.MethodPost, "/session", credential, body, headers...)
	if got.Outcome != outcome {
		t.Errorf("opening is %s of %s, want %s", got.Outcome, got.Session.ID, outcome)
	}
	return got
}

// signsOut expects that a DELETE ends so many sessions.
func (s *service) signsOut(t testing.TB, n int, path, credential string) {
	t.Helper()
	if got := as[struct{ Revoked int }](t, s, http.StatusOK, http.MethodDelete, path, credential, ""); got.Revoked != n {
		t.Errorf("DELETE %s ended %d, want %d", path, got.Revoked, n)
	}
}

// everyCall is what a sign-in may ask for.
func everyCall(session string) [][3]string {
	return [][3]string{
		{http.MethodPost, "/session", ""},
		{http.MethodPost, "/session", `{"deviceId":"phone"}`},
		{http.MethodPost, "/session", `{"deviceId":"elsewhere"}`},
		{http.MethodGet, "/session/events?sessionId=" + session, ""},
		{http.MethodGet, "/sessions", ""},
		{http.MethodGet, "/sessions/" + session, ""},
		{http.MethodGet, "/sessions/" + session + "/activity", ""},
		{http.MethodGet, "/activity", ""},
		{http.MethodDelete, "/sessions/" + session, ""},
		{http.MethodDelete, "/sessions", ""},
		{http.MethodPost, "/sessions/" + session + "/transfer", ""},
		{http.MethodPost, "/session/transfer", `{"code":"AAAAAAAAAAAAAAAAAAAAAAAAAA","deviceId":"phone"}`},
		{http.MethodGet, "/admin/users/user_1/sessions", ""},
		{http.MethodGet, "/admin/stats", ""},
		{http.MethodDelete, "/admin/users/user_1/sessions", ""},
		{http.MethodDelete, "/admin/sessions/" + session, ""},
	}
}

// refusesAll expects that a sign-in is refused everything, as an admin, too.
func (s *service) refusesAll(t testing.TB, who bearer, session string) {
	t.Helper()
	who.role = "admin"
	for _, call := range everyCall(session) {
		s.refuses(t, "session_revoked", call[0], call[1], s.bearing(t, who), call[2])
	}
}

// A thief and the user open the same device, or none is named, and the user
// opens last: a call that signs the user out then signs the thief out, too.
func TestSignOut_ReachesWhoWasReplaced(t *testing.T) {
	t.Parallel()
	for name, device := range map[string]string{"OnTheDevice": `{"deviceId":"phone"}`, "NoneNamed": "{}"} {
		for by, signOut := range map[string]func(t *testing.T, s *service, user string){
			"Admin": func(t *testing.T, s *service, _ string) {
				t.Helper()
				s.signsOut(t, 2, "/admin/users/user_1/sessions", s.credential(t, "user_boss", "admin"))
			},
			"User": func(t *testing.T, s *service, user string) { t.Helper(); s.signsOut(t, 1, "/sessions", user) },
		} {
			t.Run(name+"/"+by, func(t *testing.T) {
				t.Parallel()
				onBoth(t, func(t *testing.T, s *service) {
					thief, user := bearer{user: "user_1", signIn: "sess_thief"}, bearer{user: "user_1", signIn: "sess_user"}
					stolen := s.opens(t, "created", s.bearing(t, thief), device)
					if by == "Admin" { // has another one, on another device
						s.opens(t, "created", s.bearing(t, thief), `{"deviceId":"thiefs"}`)
					}
					s.clock.advance(time.Minute)
					mine := s.opens(t, "created", s.bearing(t, user), device)
					if by == "Admin" && name == "NoneNamed" {
						s.send(t, http.MethodDelete, "/sessions/"+stolen.Session.ID, s.bearing(t, thief), "") // its own
					}
					if by == "User" {
						s.send(t, http.MethodDelete, "/sessions/"+stolen.Session.ID, s.bearing(t, thief), "") // its own
						s.opens(t, "reused", s.bearing(t, user), device)
					}
					signOut(t, s, s.bearing(t, user))
					thief.ago = 1
					s.refusesAll(t, thief, mine.Session.ID)
					if by == "Admin" {
						s.refusesAll(t, user, mine.Session.ID)
					}
					s.clock.advance(10 * time.Second)
					anew := s.opens(t, "created", s.bearing(t, bearer{user: "user_1", signIn: "sess_anew"}), device)
					for _, old := range []answer{stolen, mine} {
						if s.good(t, old.Session.ChatKitSessionID) || old.Session.ChatKitSessionID == anew.Session.ChatKitSessionID {
							t.Error("the token of a session that was signed out is good, or given again")
						}
					}
				}, "INTROSPECTION_KEYS="+backendKey)
			})
		}
	}
}

// A sign-in that ended its own session is signed out with all others, and one
// that never opened anything here, too.
func TestSignOut_ReachesWhoHoldsNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		thief, lurks := bearer{user: "user_1", signIn: "sess_thief"}, bearer{user: "user_1", signIn: "sess_lurks", ago: 60}
		stolen := s.opens(t, "created", s.bearing(t, thief), `{"deviceId":"phone"}`)
		as204(t, s, "/sessions/"+stolen.Session.ID, s.bearing(t, thief))
		s.clock.advance(time.Minute)
		user := bearer{user: "user_1", signIn: "sess_user"}
		mine := s.opens(t, "created", s.bearing(t, user), `{"deviceId":"phone"}`)
		s.signsOut(t, 0, "/sessions?keep="+mine.Session.ID, s.bearing(t, user))
		thief.ago = 1
		s.refusesAll(t, thief, mine.Session.ID)
		s.refusesAll(t, lurks, mine.Session.ID)
		s.opens(t, "reused", s.bearing(t, user), `{"deviceId":"phone"}`)
		lurks.ago = 0 // verifying a factor passes: it was not recorded
		s.opens(t, "created", s.bearing(t, lurks), "")
		thief.ago = 0 // a recorded block stays
		s.refusesAll(t, thief, mine.Session.ID)
	}, "INTROSPECTION_KEYS="+backendKey)
}

// as204 expects that a DELETE does what it says.
func as204(t testing.TB, s *service, path, credential string) {
	t.Helper()
	if status, body := s.send(t, http.MethodDelete, path, credential, ""); status != http.StatusNoContent {
		t.Errorf("DELETE %s = %d %s", path, status, body)
	}
}

// Signing out one session signs out the sign-in that holds it, or held it when
// it ended: all that it holds ends.
func TestSignOut_OneSession(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		other, user := bearer{user: "user_1", signIn: "sess_other"}, bearer{user: "user_1", signIn: "sess_user"}
		phone := s.opens(t, "created", s.bearing(t, other), `{"deviceId":"phone"}`)
		laptop := s.opens(t, "created", s.bearing(t, other), `{"deviceId":"laptop"}`)
		unnamed := s.opens(t, "created", s.bearing(t, other), "")
		s.clock.advance(time.Minute)
		mine := s.opens(t, "created", s.bearing(t, user), "")
		as204(t, s, "/sessions/"+mine.Session.ID, s.bearing(t, user)) // leaves the device
		mine = s.opens(t, "created", s.bearing(t, user), "")
		as204(t, s, "/sessions/"+phone.Session.ID, s.bearing(t, user))
		as204(t, s, "/sessions/"+phone.Session.ID, s.bearing(t, user)) // again
		for _, ended := range []answer{phone, laptop, unnamed} {
			if s.good(t, ended.Session.ChatKitSessionID) {
				t.Errorf("the session on %s goes on", ended.Session.DeviceID)
			}
		}
		if !s.good(t, mine.Session.ChatKitSessionID) {
			t.Error("the user's own session ended")
		}
		s.refusesAll(t, other, mine.Session.ID)
		held := s.opens(t, "created", s.bearing(t, bearer{user: "user_1", signIn: "sess_left"}), `{"deviceId":"desk"}`)
		as204(t, s, "/sessions/"+held.Session.ID, s.bearing(t, bearer{user: "user_1", signIn: "sess_left"}))
		as204(t, s, "/sessions/"+held.Session.ID, s.bearing(t, user)) // it ended by itself, and its sign-in is still about
		s.refusesAll(t, bearer{user: "user_1", signIn: "sess_left"}, mine.Session.ID)
	}, "INTROSPECTION_KEYS="+backendKey)
}

// A sign-in on a device gets a session of its own there: no token, metadata or
// code of the one before, which ends, and which was remembered if this is.
func TestNewSignIn(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(old answer) (body string, headers []string){
		"Named":    func(answer) (string, []string) { return `{"deviceId":"phone"}`, nil },
		"SentBack": func(old answer) (string, []string) { return `{"deviceId":"` + old.Session.DeviceID + `"}`, nil },
		"TokenOnly": func(old answer) (string, []string) {
			return "", []string{"X-ChatKit-Token", old.Session.ChatKitSessionID}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *service) {
				first := `{"rememberMe":true,"metadata":{"v":"1"}}`
				if name == "Named" {
					first = `{"deviceId":"phone","rememberMe":true,"metadata":{"v":"1"}}`
				}
				before := s.from(t, "user_1", "sess_before")
				old := s.opens(t, "created", before, first)
				code := as[struct{ Code string }](t, s, http.StatusCreated, http.MethodPost, "/sessions/"+old.Session.ID+"/transfer", before, "").Code
				s.clock.advance(time.Minute)
				after := s.from(t, "user_1", "sess_after")
				body, headers := ask(old)
				fresh := s.opens(t, "created", after, body, headers...)
				if fresh.Session.ID == old.Session.ID || fresh.Session.ChatKitSessionID == old.Session.ChatKitSessionID || !fresh.Session.RememberMe || len(fresh.Session.Metadata) != 0 {
					t.Errorf("the new sign-in has %+v", fresh.Session)
				}
				if s.good(t, old.Session.ChatKitSessionID) || !s.good(t, fresh.Session.ChatKitSessionID) {
					t.Error("the wrong token is good")
				}
				s.refuses(t, "not_found", http.MethodPost, "/session/transfer", after, fmt.Sprintf(`{"code":%q,"deviceId":"tv"}`, code))
				for _, one := range s.list(t, after).Sessions {
					if one.ID == old.Session.ID && (one.Status != "revoked" || one.EndReason != "replaced") {
						t.Errorf("the session before is %+v", one)
					}
				}
				s.opens(t, "reused", after, body, headers...)
				s.opens(t, "created", s.from(t, "user_1", "sess_before"), "") // it is older, and not blocked
			}, "INTROSPECTION_KEYS="+backendKey)
		})
	}
}

// While two sign-ins use one device, the newer has it, and the older is told.
func TestContestedDevice(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		older, newer := bearer{user: "user_1", signIn: "sess_older", ago: 30}, bearer{user: "user_1", signIn: "sess_newer", ago: 20}
		mine := s.opens(t, "created", s.bearing(t, newer), `{"deviceId":"phone"}`)
		status, body := s.send(t, http.MethodPost, "/session", s.bearing(t, older), `{"deviceId":"phone"}`)
		if status != http.StatusForbidden || !strings.Contains(body, `"code":"contested_device"`) || !strings.Contains(body, `"clerk_error"`) {
			t.Errorf("the older sign-in got %d %s", status, body)
		}
		s.refuses(t, "contested_device", http.MethodPost, "/session", s.bearing(t, older), "", "X-ChatKit-Token", mine.Session.ChatKitSessionID)
		if !s.good(t, mine.Session.ChatKitSessionID) {
			t.Error("the newer sign-in's session ended")
		}
		if got := s.anomaliesOf(t, "user_1"); got != "contested_device record, contested_device record" {
			t.Errorf("recorded are %q", got)
		}
		s.opens(t, "created", s.bearing(t, older), "") // without a device
		older.ago = 5
		took := s.opens(t, "created", s.bearing(t, older), `{"deviceId":"phone"}`) // verified that it is them
		if s.good(t, mine.Session.ChatKitSessionID) || !s.good(t, took.Session.ChatKitSessionID) {
			t.Error("who verified a factor later does not have the device")
		}
		s.refuses(t, "contested_device", http.MethodPost, "/session", s.bearing(t, newer), `{"deviceId":"phone"}`)
	}, "INTROSPECTION_KEYS="+backendKey)
}

// A contested device takes step-up, where that is set.
func TestContestedDevice_StepUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		mine := s.opens(t, "created", s.bearing(t, bearer{user: "user_1", signIn: "sess_1", ago: 20}), `{"deviceId":"phone"}`)
		s.refuses(t, "reverification_required", http.MethodPost, "/session", s.bearing(t, bearer{user: "user_1", signIn: "sess_2", ago: 15}), `{"deviceId":"phone"}`)
		if !s.good(t, mine.Session.ChatKitSessionID) {
			t.Error("the session ended")
		}
		s.opens(t, "created", s.bearing(t, bearer{user: "user_1", signIn: "sess_2", ago: 5}), `{"deviceId":"phone"}`)
	}, "INTROSPECTION_KEYS="+backendKey, "CHATKIT_STEP_UP_WITHIN=10m")
}

// Ten new devices end nobody else's sessions, unless a factor was verified: by
// the limit first end unused ones, then the sign-in's own.
func TestLimit_OfOtherSignIns(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		var theirs []answer
		for n := range 4 {
			theirs = append(theirs, s.opens(t, "created", s.from(t, "user_1", "sess_user"), fmt.Sprintf(`{"deviceId":"mine-%d"}`, n)))
		}
		thief := bearer{user: "user_1", signIn: "sess_thief", ago: 60}
		for n := range 10 {
			s.clock.advance(time.Second)
			s.opens(t, "created", s.bearing(t, thief), fmt.Sprintf(`{"deviceId":"stolen-%d"}`, n))
		}
		for _, one := range theirs {
			if !s.good(t, one.Session.ChatKitSessionID) {
				t.Errorf("the user's session on %s ended", one.Session.DeviceID)
			}
		}
		for n := range 6 { // the user's own make room, and then the thief has all ten places
			s.opens(t, "created", s.from(t, "user_2", "sess_full"), fmt.Sprintf(`{"deviceId":"d%d"}`, n))
		}
		for n := range 4 {
			s.opens(t, "created", s.from(t, "user_2", "sess_full"), fmt.Sprintf(`{"deviceId":"e%d"}`, n))
		}
		other := bearer{user: "user_2", signIn: "sess_other", ago: 60}
		s.refuses(t, "reverification_required", http.MethodPost, "/session", s.bearing(t, other), "")
		if got := len(as[shown](t, s, http.StatusOK, http.MethodGet, "/sessions?status=active&limit=100", s.from(t, "user_2", "sess_full"), "").Sessions); got != 10 {
			t.Errorf("%d sessions are left", got)
		}
		other.ago = 1
		s.opens(t, "created", s.bearing(t, other), "")
	}, "INTROSPECTION_KEYS="+backendKey, "CHATKIT_STEP_UP_WITHIN=10m", "CHATKIT_ANOMALY_NEW_DEVICES=off")
}

// Only who holds a session makes a code for it.
func TestTransfer_ByAnotherSignIn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		mine := s.opens(t, "created", s.from(t, "user_1", "sess_user"), `{"deviceId":"laptop"}`)
		s.refuses(t, "other_sign_in", http.MethodPost, "/sessions/"+mine.Session.ID+"/transfer", s.from(t, "user_1", "sess_thief"), "")
		s.refuses(t, "not_found", http.MethodPost, "/sessions/"+mine.Session.ID+"/transfer", s.from(t, "user_2", "sess_x"), "")
		code := as[struct{ Code string }](t, s, http.StatusCreated, http.MethodPost, "/sessions/"+mine.Session.ID+"/transfer", s.from(t, "user_1", "sess_user"), "").Code
		there := s.from(t, "user_1", "sess_there")
		moved := as[answer](t, s, http.StatusOK, http.MethodPost, "/session/transfer", there, fmt.Sprintf(`{"code":%q,"deviceId":"phone"}`, code))
		s.opens(t, "reused", there, `{"deviceId":"phone"}`)
		s.refuses(t, "other_sign_in", http.MethodPost, "/sessions/"+mine.Session.ID+"/transfer", s.from(t, "user_1", "sess_user"), "")
		// Signing it out now signs out who has it.
		as204(t, s, "/sessions/"+moved.Session.ID, s.from(t, "user_1", "sess_user"))
		s.refuses(t, "session_revoked", http.MethodGet, "/sessions", s.from(t, "user_1", "sess_there"), "")
	}, "INTROSPECTION_KEYS="+backendKey)
}

// What an actor opens is the actor's own, for an hour, and marked; the user sees
// it and can end it, and the actor sees and ends nothing else.
func TestActors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		act  any
		mark string
		sub  string
	}{
		"Impersonator": {impersonator, `{"sub":"user_boss","type":"impersonator"}`, "user_boss"},
		"Agent":        {agent, `{"sub":"agent_1","type":"agent"}`, "agent_1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *service) {
				user := func() string { return s.from(t, "user_1", "sess_user") }
				actor := func() string {
					return s.bearing(t, bearer{user: "user_1", signIn: "sess_user", role: "admin", act: test.act})
				}
				phone, unnamed := s.opens(t, "created", user(), `{"deviceId":"phone"}`), s.opens(t, "created", user(), "")
				theirs := s.opens(t, "created", actor(), `{"deviceId":"phone","rememberMe":true}`)
				if theirs.Session.ID == phone.Session.ID || theirs.Session.RememberMe || theirs.Session.ExpiresIn != 3600 || theirs.Session.RefreshAfter != theirs.Session.ExpiresAt {
					t.Errorf("the actor has %+v", theirs.Session)
				}
				also := s.opens(t, "created", actor(), "", "X-ChatKit-Token", unnamed.Session.ChatKitSessionID)
				if !s.good(t, phone.Session.ChatKitSessionID) || !s.good(t, unnamed.Session.ChatKitSessionID) {
					t.Error("the actor ended what the user has")
				}
				s.actsAlone(t, actor(), phone.Session.ID, theirs.Session.ID)
				if got := s.list(t, user()); len(got.Sessions) != 4 {
					t.Errorf("the user sees %s", got.statuses())
				}
				if _, body := s.send(t, http.MethodGet, "/sessions/"+theirs.Session.ID, user(), ""); !strings.Contains(body, `"actor":`+test.mark) {
					t.Errorf("the user sees %s", body)
				}
				if _, body := s.ask(t, http.MethodPost, "/api/chatkit/session/introspect", backendKey, "token="+theirs.Session.ChatKitSessionID); !strings.Contains(body, `"act":`+test.mark) {
					t.Errorf("introspected is %s", body)
				}
				if header := s.verify(t, theirs.Session.ChatKitSessionID); header.Get("X-ChatKit-Actor") != strings.ToLower(name)+":"+test.sub {
					t.Errorf("forward-auth says %v", header)
				}
				if header := s.verify(t, phone.Session.ChatKitSessionID); header.Get("X-ChatKit-Actor") != "" {
					t.Errorf("of the user forward-auth says %v", header)
				}
				as204(t, s, "/sessions/"+theirs.Session.ID, user()) // never protected by being newer
				if s.good(t, theirs.Session.ChatKitSessionID) || s.good(t, also.Session.ChatKitSessionID) {
					t.Error("the actor's sessions go on")
				}
				s.refuses(t, "session_revoked", http.MethodPost, "/session", actor(), "")
				s.opens(t, "reused", user(), `{"deviceId":"phone"}`) // of the same sign-in
			}, "INTROSPECTION_KEYS="+backendKey)
		})
	}
}

// verify asks forward-auth about a token.
func (s *service) verify(t testing.TB, token string) http.Header {
	t.Helper()
	return s.say(t, http.MethodGet, verifyPath, "", "192.0.2.1", "Authorization", "Bearer "+token).header
}

// actsAlone lets an actor try what is the user's: nothing of it is there, or the
// actor may not.
func (s *service) actsAlone(t testing.TB, actor, users, own string) {
	t.Helper()
	for _, call := range [][2]string{
		{http.MethodGet, "/sessions/" + users},
		{http.MethodDelete, "/sessions/" + users},
		{http.MethodGet, "/sessions/" + users + "/activity"},
		{http.MethodGet, "/session/events?sessionId=" + users},
		{http.MethodDelete, "/sessions?keep=" + users},
	} {
		s.refuses(t, "not_found", call[0], call[1], actor, "")
	}
	for _, call := range [][3]string{
		{http.MethodGet, "/activity", ""},
		{http.MethodPost, "/sessions/" + own + "/transfer", ""},
		{http.MethodPost, "/session/transfer", `{"code":"AAAAAAAAAAAAAAAAAAAAAAAAAA","deviceId":"phone"}`},
		{http.MethodGet, "/admin/stats", ""},
		{http.MethodGet, "/admin/users/user_2/sessions", ""},
		{http.MethodDelete, "/admin/users/user_2/sessions", ""},
		{http.MethodDelete, "/admin/sessions/" + users, ""},
	} {
		s.refuses(t, "actor_denied", call[0], call[1], actor, call[2])
	}
	if got := s.list(t, actor); len(got.Sessions) != 2 {
		t.Errorf("the actor sees %s", got.statuses())
	}
	if status, body := s.send(t, http.MethodGet, "/sessions/"+own+"/activity", actor, ""); status != http.StatusOK {
		t.Errorf("of its own the actor sees %d %s", status, body)
	}
}

// An actor's signing out of all ends the actor's own, and actors have places of
// their own.
func TestActors_SignOutAndLimit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		mine := s.opens(t, "created", s.from(t, "user_1", "sess_user"), `{"deviceId":"phone"}`)
		boss := s.opens(t, "created", s.bearing(t, bearer{user: "user_1", signIn: "sess_boss", act: impersonator}), "")
		robot := func() string { return s.bearing(t, bearer{user: "user_1", signIn: "sess_robot", act: agent}) }
		for n := range 11 {
			s.clock.advance(time.Second)
			s.opens(t, "created", robot(), fmt.Sprintf(`{"deviceId":"d%d"}`, n))
		}
		if got := len(as[shown](t, s, http.StatusOK, http.MethodGet, "/sessions?status=active&limit=100", robot(), "").Sessions); got != 10 {
			t.Errorf("an actor has %d sessions", got)
		}
		s.signsOut(t, 10, "/sessions", robot())
		for _, other := range []answer{mine, boss} {
			if !s.good(t, other.Session.ChatKitSessionID) {
				t.Errorf("an actor ended %+v", other.Session)
			}
		}
	}, "INTROSPECTION_KEYS="+backendKey, "CHATKIT_MAX_SESSIONS=2", "CHATKIT_ANOMALY_NEW_DEVICES=off")
}

// Actors that are not wanted are refused everything.
func TestActors_Denied(t *testing.T) {
	t.Parallel()
	s := onSQLite(t, "CHATKIT_DENY_ACTORS=agent")
	for _, call := range everyCall("0194214b-3a00-7cc3-98c4-dc0c0c07398f") {
		s.refuses(t, "actor_denied", call[0], call[1], s.bearing(t, bearer{user: "user_1", signIn: "sess_1", role: "admin", act: agent}), call[2])
	}
	s.opens(t, "created", s.bearing(t, bearer{user: "user_1", signIn: "sess_1", act: impersonator}), "")
}

// An attacker who has an old sign-in of a user signs all others out once a
// second, and opens wherever the user is. The user does what a person would:
// opens, signs in anew when told to, and signs all others out. From then on the
// attacker has nothing, and the user is never signed out again.
func TestSignOut_AgainstAnAttacker(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		began := s.clock.Now()
		thief := bearer{user: "user_1", signIn: "sess_stolen"}
		attack := func() (refused bool) {
			thief.ago = int(s.clock.Now().Sub(began)/time.Minute) + 60
			for _, call := range [][3]string{{http.MethodPost, "/session", `{"deviceId":"phone"}`}, {http.MethodPost, "/session", ""}, {http.MethodDelete, "/sessions", ""}} {
				_, body := s.send(t, call[0], call[1], s.bearing(t, thief), call[2])
				refused = strings.Contains(body, "session_revoked")
			}
			return refused
		}
		attack()
		var verified time.Time
		signIns, token := 0, ""
		for second := range 120 {
			s.clock.advance(time.Second)
			attack()
			user := func() string {
				return s.bearing(t, bearer{user: "user_1", signIn: fmt.Sprint("sess_", signIns), ago: int(s.clock.Now().Sub(verified) / time.Minute)})
			}
			got := s.post(t, user(), `{"deviceId":"phone"}`)
			if got.Code == "session_revoked" || got.Code == "contested_device" {
				signIns++
				verified = s.clock.Now()
				got = s.post(t, user(), `{"deviceId":"phone"}`)
			}
			if got.Status != http.StatusOK || (token != "" && got.Session.ChatKitSessionID != token && second > 2) {
				t.Fatalf("after %d seconds the user gets %s", second, got.raw)
			}
			token = got.Session.ChatKitSessionID
			if second == 60 {
				s.send(t, http.MethodDelete, "/sessions?keep="+got.Session.ID, user(), "")
			}
			if second > 60 && !attack() {
				t.Fatal("the attacker is still let in")
			}
			if !s.good(t, token) {
				t.Fatalf("after %d seconds the user is signed out", second)
			}
		}
		if signIns > 2 {
			t.Errorf("the user had to sign in %d times", signIns)
		}
	}, "INTROSPECTION_KEYS="+backendKey)
}

// A block outlives the sessions that it came from, their metadata, addresses and
// clients, and is forgotten in its own time.
func TestBlocks_OutliveSessions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *service) {
		thief := bearer{user: "user_1", signIn: "sess_thief"}
		taken := s.opens(t, "created", s.bearing(t, thief), `{"deviceId":"phone","metadata":{"name":"Alice"}}`)
		s.clock.advance(time.Minute)
		as204(t, s, "/sessions/"+taken.Session.ID, s.from(t, "user_1", "sess_user"))
		cleans := func(after time.Duration, want string) {
			t.Helper()
			s.clock.advance(after)
			done, err := s.cleaner().Clean(t.Context())
			if got := fmt.Sprintf("%d sessions, %d sign-ins", done.Purged, done.SignIns); err != nil || got != want {
				t.Errorf("cleaned up are %s, %v, want %s", got, err, want)
			}
		}
		cleans(31*24*time.Hour, "1 sessions, 0 sign-ins")
		s.refusesAll(t, thief, taken.Session.ID)
		if got := s.list(t, s.from(t, "user_1", "sess_user")); len(got.Sessions) != 0 {
			t.Errorf("kept are %s", got.statuses())
		}
		cleans(368*24*time.Hour, "0 sessions, 0 sign-ins")
		s.refusesAll(t, thief, taken.Session.ID)
		cleans(2*24*time.Hour, "0 sessions, 2 sign-ins")
	}, "INTROSPECTION_KEYS="+backendKey)
}
