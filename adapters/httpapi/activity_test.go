package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const activityPath = "/api/chatkit/activity"

func TestListActivity(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path string
		of   session.ID
	}{
		"Everything":   {activityPath, session.ID{}},
		"OfOneSession": {sessionsPath + "/" + anID.String() + "/activity", anID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
			next := ports.Position{At: midnight.Add(7 * time.Microsecond), ID: session.Must(session.ParseID("record_2"))}
			s.lister.EXPECT().Activity(gomock.Any(), calling, ports.ActivityRequest{Session: test.of, Limit: 20}).Return(ports.ActivityPage{
				Activity: []session.Activity{
					{
						ID: session.Must(session.ParseID("record_1")), User: member.User, Session: anID, Type: session.ActivityTransferred, At: midnight.Add(time.Hour),
						Source: used().Source(), Detail: map[string]string{session.DetailFromDevice: "laptop", session.DetailDevice: "phone"},
					},
					{ID: next.ID, User: member.User, Session: anID, Type: session.ActivityExpired, At: next.At}, // nobody did it
				},
				Next: next,
			}, nil)
			got := s.read(t, test.path)
			var answered struct{ NextCursor string }
			if err := json.Unmarshal([]byte(got.body), &answered); err != nil || answered.NextCursor == "" {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			want := `{"activity":[` +
				`{"at":"2025-01-01T01:00:00.000Z","client":{"browser":"Firefox 133","kind":"mobile","os":"Android 14"},"detail":{"deviceId":"phone","fromDeviceId":"laptop"},` +
				`"id":"record_1","ip":"203.0.113.9","sessionId":"0194214b-3a00-7cc3-98c4-dc0c0c07398f","type":"transferred"},` +
				`{"at":"2025-01-01T00:00:00.000Z","client":null,"detail":{},` +
				`"id":"record_2","ip":null,"sessionId":"0194214b-3a00-7cc3-98c4-dc0c0c07398f","type":"expired"}],` +
				`"nextCursor":"` + answered.NextCursor + `"}`
			if got.status != http.StatusOK || strings.TrimSpace(got.body) != want || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %d %s\nwant %s", got.status, got.body, want)
			}

			// The cursor that was given leads on from there, to the microsecond.
			s.lister.EXPECT().Activity(gomock.Any(), calling, ports.ActivityRequest{Session: test.of, Limit: 100, After: next}).Return(ports.ActivityPage{}, nil)
			if got := s.read(t, test.path+"?limit=100&cursor="+answered.NextCursor); strings.TrimSpace(got.body) != `{"activity":[],"nextCursor":null}` {
				t.Errorf("the last page is %d %s", got.status, got.body)
			}
			for kind, want := range map[session.Kind]int{session.KindUnavailable: 503, session.KindInternal: 500} {
				s.lister.EXPECT().Activity(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.ActivityPage{}, kind)
				if got := s.read(t, test.path); got.status != want {
					t.Errorf("%v got %d %s", kind, got.status, got.body)
				}
			}
		})
	}
}

// Of a session that is not theirs, a user learns nothing.
func TestListActivity_OfAStranger(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).permits(access.ReadOwn)
	s.lister.EXPECT().Activity(gomock.Any(), calling, ports.ActivityRequest{Session: anID, Limit: 1}).Return(ports.ActivityPage{}, session.KindNotFound)
	if got := s.read(t, sessionsPath+"/"+anID.String()+"/activity?limit=1"); got.status != http.StatusNotFound || got.Code != "not_found" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
