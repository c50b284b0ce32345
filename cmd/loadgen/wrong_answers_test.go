package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/adapters/postgres/seed"
)

// fakeService answers as the service would if everybody held a session on every
// device, and their own name were its token; or with what lie makes of that.
type fakeService struct {
	lies atomic.Bool
	lie  func(*fakeAnswer)
}

// fakeAnswer is what it says, whatever it is asked.
type fakeAnswer struct {
	outcome, user, device, id, token, workflow string
	ended                                      bool
}

func (p *fakeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, said := strings.TrimPrefix(r.URL.Path, below), fakeAnswer{outcome: "reused", device: seed.DeviceFresh, workflow: "w"}
	switch path {
	case "/session/verify":
		said.user = bearer(r)
	case "/session/introspect":
		said.user = r.PostFormValue("token")
	case "/session":
		said.device = deviceOf(r)
		fallthrough
	default:
		said.user, _ = (&floor{}).authenticate(r) // nobody's answer is a wrong one
	}
	said.id, said.token = "id of "+said.user, said.user
	switch {
	case strings.HasPrefix(said.user, creatingUsers):
		said.outcome = "created"
	case strings.HasPrefix(said.device, seed.DeviceDue):
		said.outcome = "refreshed"
	}
	if p.lies.Load() {
		p.lie(&said)
	}
	said.tell(w, path)
}

func deviceOf(r *http.Request) string {
	var body struct {
		Device string `json:"deviceId"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body) // no device's answer is a wrong one
	return body.Device
}

// tell answers with the status of a good answer.
func (p fakeAnswer) tell(w http.ResponseWriter, path string) {
	switch path {
	case "/session":
		answerJSON(w, floorOpened{p.outcome, floorSession{ID: p.id, Token: p.token, Device: p.device, User: p.user, Workflow: p.workflow}})
	case "/session/verify":
		for name, value := range map[string]string{"User": p.user, "Session": p.id, "Device": p.device, "Workflow": p.workflow} {
			w.Header().Set("X-ChatKit-"+name+"-Id", value)
		}
		w.WriteHeader(http.StatusNoContent)
	case "/session/introspect":
		answerJSON(w, floorIntrospected{Active: !p.ended, User: p.user, ID: p.id, Device: p.device, Workflow: p.workflow})
	case "/sessions":
		answerJSON(w, map[string]any{"sessions": []map[string]string{{"id": p.id, "userId": p.user}}})
	}
}

// A service that gives somebody another one's session, or does something else
// than it is measured at, is fast and wrong: the run reports it, for every kind.
func TestRun_CountsWrongAnswers(t *testing.T) {
	t.Parallel()
	keys := testKeys(t)
	user := func(p *fakeAnswer) { p.user = userName(measuredUsers, 7) }
	device := func(p *fakeAnswer) { p.device = "other" }
	id := func(p *fakeAnswer) { p.id = "other" }
	token := func(p *fakeAnswer) { p.token = "other" }
	workflow := func(p *fakeAnswer) { p.workflow = "" }
	ended := func(p *fakeAnswer) { p.ended = true }
	outcome := func(p *fakeAnswer) {
		p.outcome = map[string]string{"reused": "created", "created": "refreshed", "refreshed": "reused"}[p.outcome]
	}
	for name, test := range map[string]struct {
		kind string
		lie  func(*fakeAnswer)
		want string // empty where answers are wrong in many ways
	}{
		"ReusedUser":        {kindReused, user, "open: another user's session"},
		"ReusedDevice":      {kindReused, device, "open: another device's session"},
		"ReusedToken":       {kindReused, token, "open: another token than the one held"},
		"ReusedOutcome":     {kindReused, outcome, "open: created instead of reused"},
		"ReusedWorkflow":    {kindReused, workflow, "open: a field is missing"},
		"CreatedUser":       {kindCreated, user, "open: another user's session"},
		"CreatedDevice":     {kindCreated, device, "open: another device's session"},
		"CreatedOutcome":    {kindCreated, outcome, "open: refreshed instead of created"},
		"RefreshedUser":     {kindRefreshed, user, "open: another user's session"},
		"RefreshedDevice":   {kindRefreshed, device, "open: another device's session"},
		"RefreshedOutcome":  {kindRefreshed, outcome, "open: reused instead of refreshed"},
		"VerifyUser":        {kindVerify, user, "verify: wrong identity headers"},
		"VerifyDevice":      {kindVerify, device, "verify: wrong identity headers"},
		"VerifySession":     {kindVerify, id, "verify: wrong identity headers"},
		"IntrospectUser":    {kindIntrospect, user, "introspect: another session's answer"},
		"IntrospectDevice":  {kindIntrospect, device, "introspect: another session's answer"},
		"IntrospectSession": {kindIntrospect, id, "introspect: another session's answer"},
		"IntrospectEnded":   {kindIntrospect, ended, "introspect: not active"},
		"ListUser":          {kindList, user, "list: another user's session"},
		"ListSession":       {kindList, id, "list: the session that is held is missing"},
		"MixedUser":         {kindMixed, user, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeService{lie: test.lie}
			server := httptest.NewServer(fake)
			t.Cleanup(server.Close)
			u, err := parseTarget(server.URL, false)
			if err != nil {
				t.Fatal(err)
			}
			r := runCommand{Keys: keys, Kind: test.kind, Users: 2, Connections: 1, Requests: 10, Duration: time.Minute, TokenLifetime: time.Hour, IntrospectionKey: "any"}
			s, err := r.workload(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			good := r.measure(t.Context(), s, progress{to: io.Discard})
			fake.lies.Store(true)
			bad := r.measure(t.Context(), s, progress{to: io.Discard})
			if good.Good != 10 || bad.Good != 0 || bad.Requests != 10 || (test.want != "" && bad.Errors[test.want] != 10) {
				t.Errorf("good: %d, %v; bad: %d of %d, %v", good.Good, good.Errors, bad.Good, bad.Requests, bad.Errors)
			}
		})
	}
}
