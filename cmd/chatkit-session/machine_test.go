package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// machine drives the service and the model side by side.
type machine struct {
	t      *testing.T
	s      *service
	model  model
	prefix string // of the users of this run
	people []*signedIn
	tokens []string
	// given says whose sign-in, and actor, was given a token.
	given map[string]modelHolder
	codes []string
}

// signedIn is a sign-in of a user as Clerk knows it.
type signedIn struct {
	modelHolder
	act any // the claim
	// verifiedAt is when the user last verified a factor.
	verifiedAt time.Time
	// silent ones have tokens without that claim.
	silent bool
	// stolen ones are an attacker's, who never verifies a factor.
	stolen bool
}

func newMachine(t *testing.T, s *service, prefix string, stepUp time.Duration) *machine {
	t.Helper()
	m := &machine{
		t: t, s: s, prefix: prefix, given: map[string]modelHolder{},
		model: model{stepUp: stepUp, signIns: map[modelHolder]modelSignIn{}, moments: map[string]time.Time{}},
	}
	now := s.clock.Now()
	for _, user := range []string{prefix + "a", prefix + "b"} {
		m.people = append(m.people,
			&signedIn{modelHolder: modelHolder{user, "sess_stolen", ""}, verifiedAt: now.Add(-time.Hour), stolen: true},
			&signedIn{modelHolder: modelHolder{user, "sess_silent", ""}, verifiedAt: now, silent: true},
			&signedIn{modelHolder: modelHolder{user, "sess_1", ""}, verifiedAt: now},
			&signedIn{modelHolder: modelHolder{user, "sess_boss", "impersonator:user_boss"}, act: impersonator, verifiedAt: now},
			&signedIn{modelHolder: modelHolder{user, "sess_1", "agent:agent_1"}, act: agent, verifiedAt: now},
		)
	}
	return m
}

// caller is somebody, as the model and as the service are told who that is.
func (m *machine) caller(t *rapid.T, of ...func(*signedIn) bool) (modelCaller, string) {
	people := slices.DeleteFunc(slices.Clone(m.people), func(p *signedIn) bool {
		return slices.ContainsFunc(of, func(is func(*signedIn) bool) bool { return !is(p) })
	})
	p := people[rapid.IntRange(0, len(people)-1).Draw(t, "who")]
	by, credential := m.presents(p)
	t.Logf("%s's %s %s, verified at %s", by.user, by.signIn, by.actor, by.verified)
	return by, credential
}

// presents says who somebody is: a token counts how long ago a factor was
// verified in whole minutes, from the second in which it was issued.
func (m *machine) presents(p *signedIn) (modelCaller, string) {
	now := m.s.clock.Now()
	ago := int(now.Sub(p.verifiedAt) / time.Minute)
	by := modelCaller{modelHolder: p.modelHolder, verified: now.Truncate(time.Second).Add(-time.Duration(ago) * time.Minute)}
	if p.silent {
		by.verified, ago = time.Time{}, -1
	}
	return by, m.s.bearing(m.t, bearer{user: p.user, signIn: p.signIn, ago: ago, act: p.act})
}

// session is one of those there are; of the one who asks in most cases.
func (m *machine) session(t *rapid.T, by modelHolder) *modelSession {
	sessions := m.model.sessions
	if rapid.IntRange(0, 4).Draw(t, "whose") > 0 {
		sessions = slices.DeleteFunc(slices.Clone(sessions), func(s *modelSession) bool { return s.holder.user != by.user })
	}
	if len(sessions) == 0 {
		t.Skip("there is none")
	}
	return rapid.SampledFrom(sessions).Draw(t, "session")
}

// GoString names a session in what a failed run says.
func (s *modelSession) GoString() string { return fmt.Sprint(s.id, " of ", s.holder, " on ", s.device) }

// ask asks the service as somebody and compares how it refuses with what the
// model says; the body is that of what was not refused.
func (m *machine) ask(t *rapid.T, refused string, want int, method, path, credential, body string, headers ...string) string {
	status, answered := m.s.send(m.t, method, path, credential, body, headers...)
	var got struct{ Code string }
	if status >= http.StatusBadRequest {
		_ = json.Unmarshal([]byte(answered), &got) // another code otherwise
	}
	if got.Code != refused && !(refused == "" && got.Code == "") || (refused == "" && status != want) {
		t.Fatalf("%s %s = %d %s, want %d %s", method, path, status, answered, want, refused)
	}
	return answered
}

// SignIn lets a user sign in anew, or verify a factor once more.
func (m *machine) SignIn(t *rapid.T) {
	i := rapid.IntRange(0, len(m.people)-1).Draw(t, "who")
	switch p := m.people[i]; {
	case p.stolen || p.act != nil:
		t.Skip("an attacker cannot, and an actor does not")
	case rapid.Bool().Draw(t, "anew"):
		fresh := &signedIn{modelHolder: modelHolder{p.user, fmt.Sprint("sess_", len(m.given), "_", m.s.clock.Now().UnixMicro()), ""}, verifiedAt: m.s.clock.Now(), silent: p.silent}
		if rapid.Bool().Draw(t, "instead") {
			m.people[i] = fresh
		} else {
			m.people = append(m.people, fresh)
		}
	default:
		p.verifiedAt = m.s.clock.Now()
	}
}

// wireTime is a time as answers have it.
func wireTime(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// Open opens, and compares everything that the answer says.
func (m *machine) Open(t *rapid.T) {
	by, credential := m.caller(t)
	defer m.guard(t, by)()
	now := m.s.clock.Now()
	device := rapid.SampledFrom([]string{"", "", "phone", "laptop", "tablet", "sent back"}).Draw(t, "device")
	if device == "sent back" { // that of a generated session, by whomever
		device = m.session(t, by.modelHolder).device
	}
	request := map[string]any{}
	if device != "" {
		request["deviceId"] = device
	}
	remember := rapid.SampledFrom([]*bool{nil, nil, new(bool), &yes}).Draw(t, "remember")
	if remember != nil {
		request["rememberMe"] = *remember
	}
	var headers []string
	shown := ""
	if rapid.Bool().Draw(t, "shows") && len(m.tokens) > 0 {
		shown = rapid.SampledFrom(m.tokens[max(0, len(m.tokens)-6):]).Draw(t, "shown")
		headers = []string{"X-ChatKit-Token", shown}
	}
	body, _ := json.Marshal(request)
	want, s, refused := m.model.open(now, by, device, shown, remember)
	answered := m.ask(t, refused, http.StatusOK, http.MethodPost, "/session", credential, string(body), headers...)
	if refused != "" {
		return
	}
	got := answer{raw: answered}
	if err := json.Unmarshal([]byte(answered), &got); err != nil || got.Outcome != want || got.Session.UserID != by.user || (device != "" && got.Session.DeviceID != device) {
		t.Fatalf("got %s, want %s for %s on %q", got.raw, want, by.user, device)
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

// holds checks that an answer is the session, and takes its token, which no
// other sign-in, and no other actor, was ever given.
func (m *machine) holds(t *rapid.T, s *modelSession, got answer) {
	now := m.s.clock.Now()
	if got.Session.ID != s.id || got.Session.DeviceID != s.device || got.Session.ExpiresAt != wireTime(s.expiresAt) || got.Session.CreatedAt != wireTime(s.createdAt) ||
		got.Session.RememberMe != s.remembered || got.Session.ExpiresIn != int(s.expiresAt.Sub(now)/time.Second) {
		t.Fatalf("got %s, want session %s on %s until %s, remembered %v", got.raw, s.id, s.device, s.expiresAt, s.remembered)
	}
	s.token = got.Session.ChatKitSessionID
	if before, known := m.given[s.token]; known && before != s.holder {
		t.Fatalf("%v is given the token of %v", s.holder, before)
	}
	m.given[s.token] = s.holder
	m.tokens = append(m.tokens, s.token)
}

// Revoke signs out one session, of whomever.
func (m *machine) Revoke(t *rapid.T) {
	by, credential := m.caller(t)
	defer m.guard(t, by)()
	s := m.session(t, by.modelHolder)
	refused := m.model.revoke(m.s.clock.Now(), by, s)
	m.ask(t, refused, http.StatusNoContent, http.MethodDelete, "/sessions/"+s.id, credential, "")
}

// RevokeAll signs out all sessions of a user, or all but one.
func (m *machine) RevokeAll(t *rapid.T) {
	by, credential := m.caller(t)
	defer m.guard(t, by)()
	path, keep := "/sessions", (*modelSession)(nil)
	if rapid.Bool().Draw(t, "keep") {
		keep = m.session(t, by.modelHolder)
		path += "?keep=" + keep.id
	}
	ended, refused := m.model.revokeAll(m.s.clock.Now(), by, keep)
	body := m.ask(t, refused, http.StatusOK, http.MethodDelete, path, credential, "")
	if want := fmt.Sprintf("{\"revoked\":%d}\n", ended); refused == "" && body != want {
		t.Fatalf("DELETE = %s, want %s", body, want)
	}
}

func (m *machine) admin() (modelCaller, string) {
	by := modelCaller{modelHolder{"user_admin", "sess_admin", ""}, m.s.clock.Now()}
	return by, m.s.bearing(m.t, bearer{user: by.user, signIn: by.signIn, role: "admin"})
}

// AdminRevokes signs out one session of anybody, or all of somebody.
func (m *machine) AdminRevokes(t *rapid.T) {
	admin, credential := m.admin()
	if rapid.Bool().Draw(t, "all") {
		user := m.prefix + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "user")
		want := fmt.Sprintf("{\"revoked\":%d}\n", m.model.adminRevokeAll(m.s.clock.Now(), admin, user))
		if body := m.ask(t, "", http.StatusOK, http.MethodDelete, "/admin/users/"+user+"/sessions", credential, ""); body != want {
			t.Fatalf("DELETE = %s, want %s", body, want)
		}
		return
	}
	s := m.session(t, modelHolder{})
	m.model.adminRevoke(m.s.clock.Now(), admin, s)
	m.ask(t, "", http.StatusNoContent, http.MethodDelete, "/admin/sessions/"+s.id, credential, "")
}

// Offer makes a code for a session, of whomever.
func (m *machine) Offer(t *rapid.T) {
	by, credential := m.caller(t)
	s, now := m.session(t, by.modelHolder), m.s.clock.Now()
	refused := m.model.offer(now, by, s)
	body := m.ask(t, refused, http.StatusCreated, http.MethodPost, "/sessions/"+s.id+"/transfer", credential, "")
	if refused != "" {
		return
	}
	var got struct{ Code, ExpiresAt string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.ExpiresAt != wireTime(now.Add(modelOffer)) {
		t.Fatalf("POST = %s", body)
	}
	s.code, s.codeUntil, s.codeTried = got.Code, now.Add(modelOffer), false
	m.codes = append(m.codes, got.Code)
}

// Claim tries a code, of whomever.
func (m *machine) Claim(t *rapid.T) {
	if len(m.codes) == 0 {
		t.Skip("there is none")
	}
	by, credential := m.caller(t)
	defer m.guard(t, by)()
	code := rapid.SampledFrom(m.codes[max(0, len(m.codes)-3):]).Draw(t, "code")
	device := rapid.SampledFrom([]string{"phone", "laptop", "tv"}).Draw(t, "device")
	s, refused := m.model.claim(m.s.clock.Now(), by, code, device)
	body := m.ask(t, refused, http.StatusOK, http.MethodPost, "/session/transfer", credential, fmt.Sprintf(`{"code":%q,"deviceId":%q}`, code, device))
	if refused != "" {
		return
	}
	got := answer{raw: body}
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Outcome != "transferred" || got.Session.ChatKitSessionID == s.token {
		t.Fatalf("POST = %s", body)
	}
	m.holds(t, s, got)
}

// Wait lets time pass. Use is written before a longer pause, as the service
// does each minute.
func (m *machine) Wait(t *rapid.T) {
	pause := rapid.SampledFrom([]time.Duration{
		time.Microsecond, time.Second, modelGrace - time.Microsecond, modelGrace, modelOffer, modelProtection, time.Hour, 19 * time.Hour, 23 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour, modelRetention, 2 * modelRetention,
	}).Draw(t, "pause")
	if pause > time.Minute {
		m.Flush(t)
	}
	m.s.clock.advance(pause)
}

// CleanUp ends what is due and forgets what is long ago.
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

// List compares all that somebody sees of a user's sessions, and of what
// happened to them: an actor sees the actor's own.
func (m *machine) List(t *rapid.T) {
	by, credential := m.caller(t)
	if m.model.blocked(by) {
		t.Skip("it sees nothing, see Refused")
	}
	now := m.s.clock.Now()
	want := map[string]string{}
	for _, s := range m.model.sessions {
		if sees(by.modelHolder, s) {
			want[s.id] = fmt.Sprint(s.device, " ", s.statusAt(now), " ", s.remembered, " ", s.opens, " ", s.checks, " ", wireTime(s.lastActivity), " ", s.holder.actor)
		}
	}
	got := map[string]string{}
	m.pages(t, credential, "/sessions", func(page listed) {
		for _, s := range page.Sessions {
			got[s.ID] = fmt.Sprint(s.DeviceID, " ", s.Status, " ", s.RememberMe, " ", s.Opens, " ", s.Checks, " ", s.LastActivityAt, " ", s.actor())
		}
	})
	if !maps.Equal(got, want) {
		t.Fatalf("listed are\n%v\nwant\n%v", got, want)
	}
	if by.actor != "" {
		m.ask(t, refusedActor, 0, http.MethodGet, "/activity", credential, "")
		return
	}
	happened := map[string]int{}
	m.pages(t, credential, "/activity", func(page listed) {
		for _, a := range page.Activity {
			happened[a.Type]++
		}
	})
	if want := m.model.timeline(by.user); !maps.Equal(happened, want) {
		t.Fatalf("there happened %v, want %v", happened, want)
	}
}

// listed is a page of sessions or of activity.
type listed struct {
	Sessions []struct {
		ID, DeviceID, Status, LastActivityAt string
		RememberMe                           bool
		Opens, Checks                        int
		actedOn
	}
	Activity   []struct{ Type string }
	NextCursor string
}

// actedOn is the mark of an actor's session.
type actedOn struct {
	Actor *struct{ Sub, Type string }
}

func (a actedOn) actor() string {
	if a.Actor == nil {
		return ""
	}
	return a.Actor.Type + ":" + a.Actor.Sub
}

func (m *machine) pages(t *rapid.T, credential, path string, each func(listed)) {
	for cursor := ""; ; {
		query := "?limit=7"
		if cursor != "" {
			query += "&cursor=" + cursor
		}
		status, body := m.s.send(m.t, http.MethodGet, path+query, credential, "")
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

// Refused lets a sign-in that was signed out try everything.
func (m *machine) Refused(t *rapid.T) {
	blocked := func(p *signedIn) bool { by, _ := m.presents(p); return m.model.blocked(by) }
	if !slices.ContainsFunc(m.people, blocked) {
		t.Skip("nobody was signed out")
	}
	by, credential := m.caller(t, blocked)
	session := "0194214b-3a00-7cc3-98c4-dc0c0c07398f"
	if len(m.model.sessions) > 0 {
		session = cmp.Or(rapid.SampledFrom(m.model.sessions).Draw(t, "session").id, session)
	}
	asks := [][3]string{
		{http.MethodPost, "/session", `{"deviceId":"phone"}`},
		{http.MethodPost, "/session", ""},
		{http.MethodGet, "/sessions", ""},
		{http.MethodGet, "/sessions/" + session, ""},
		{http.MethodGet, "/sessions/" + session + "/activity", ""},
		{http.MethodDelete, "/sessions/" + session, ""},
		{http.MethodDelete, "/sessions", ""},
		{http.MethodDelete, "/sessions?keep=" + session, ""},
		{http.MethodGet, "/session/events?sessionId=" + session, ""},
	}
	if by.actor == "" { // an actor may do none of these anyway
		asks = append(asks, [3]string{http.MethodGet, "/activity", ""},
			[3]string{http.MethodPost, "/sessions/" + session + "/transfer", ""},
			[3]string{http.MethodPost, "/session/transfer", `{"code":"AAAAAAAAAAAAAAAAAAAAAAAAAA","deviceId":"phone"}`})
	}
	ask := rapid.SampledFrom(asks).Draw(t, "ask")
	m.ask(t, refusedBlocked, 0, ask[0], ask[1], credential, ask[2])
}

// guard remembers whom a caller must not reach, and its result checks that
// nothing came over them: whose sign-in is newer and was verified in the last ten
// minutes. Only the limit may end a session of theirs, where no step-up is
// wanted.
func (m *machine) guard(t *rapid.T, by modelCaller) (check func()) {
	now := m.s.clock.Now()
	verified := m.model.verifiedBy(now, by)
	safe := map[modelHolder][]*modelSession{}
	for holder := range m.model.signIns {
		if holder.user == by.user && holder != by.modelHolder && m.model.protected(now, holder, verified) {
			safe[holder] = m.live(holder)
		}
	}
	before := m.model.timeline(by.user)["limit"]
	return func() {
		limited := m.model.stepUp == 0 && m.model.timeline(by.user)["limit"] > before
		for holder, sessions := range safe {
			if m.model.signIns[holder].blocked() || (!limited && slices.ContainsFunc(sessions, func(s *modelSession) bool { return s.ended })) {
				t.Fatalf("%v ended or blocked %v, which is newer", by, holder)
			}
		}
	}
}

// live are the sessions of a sign-in whose time is not up.
func (m *machine) live(holder modelHolder) []*modelSession {
	return slices.DeleteFunc(m.model.of(holder.user), func(s *modelSession) bool { return s.holder != holder || !s.live(m.s.clock.Now()) })
}

// Check is what holds after every step: exactly the right tokens are good, and
// nobody has more sessions than there are places for.
func (m *machine) Check(t *rapid.T) {
	now := m.s.clock.Now()
	for _, token := range m.tokens[max(0, len(m.tokens)-6):] {
		if got, want := m.s.good(m.t, token), m.model.accepts(now, token, 2); got != want {
			t.Fatalf("a token is good: %v, want %v", got, want)
		}
	}
	places := map[string]*modelSession{}
	for _, s := range m.model.sessions {
		if s.ended {
			continue
		}
		taken := []string{fmt.Sprint(s.holder.user, s.device, s.holder.actor)}
		if s.generated {
			taken = append(taken, fmt.Sprint(s.holder, "generated"))
		}
		for _, place := range taken {
			if places[place] != nil {
				t.Fatalf("two active sessions in one place: %#v and %#v", places[place], s)
			}
			places[place] = s
		}
		if known := m.model.signIns[s.holder]; known.blocked() || known.firstSeen.IsZero() {
			t.Fatalf("%#v is held by a sign-in that is blocked or not remembered", s)
		}
	}
}

// Whatever users, actors, admins and a thief do, in whatever order and at
// whatever time, the service does what the model does.
func TestModel(t *testing.T) {
	t.Parallel()
	for name, stepUp := range map[string]time.Duration{"NoStepUp": 0, "StepUp": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *service) {
				run := 0
				rapid.Check(t, func(rt *rapid.T) {
					run++
					m := newMachine(t, s, fmt.Sprintf("user_%d_", run), stepUp)
					rt.Repeat(map[string]func(*rapid.T){
						"SignIn": m.SignIn, "Open": m.Open, "OpenAgain": m.Open, "OpenOnceMore": m.Open, "Revoke": m.Revoke, "RevokeAll": m.RevokeAll, "AdminRevokes": m.AdminRevokes,
						"Offer": m.Offer, "Claim": m.Claim, "Wait": m.Wait, "WaitAgain": m.Wait, "CleanUp": m.CleanUp, "Flush": m.Flush, "List": m.List, "Refused": m.Refused, "": m.Check,
					})
					m.List(rt)
				})
			}, append(slices.Clone(modelSettings), "CHATKIT_STEP_UP_WITHIN="+stepUp.String())...)
		})
	}
}
