package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// checkedFrom introspects a token used from an address and a client.
func (s *service) checkedFrom(t testing.TB, token, address, agent string) bool {
	t.Helper()
	form := url.Values{"token": {token}, "client_ip": {address}, "user_agent": {agent}}
	status, body := s.ask(t, http.MethodPost, "/api/chatkit/session/introspect", backendKey, form.Encode())
	if status != http.StatusOK {
		t.Fatalf("introspect = %d %s", status, body)
	}
	return strings.Contains(body, `"active":true`)
}

// anomaliesOf are a user's anomalies, as "rule action".
func (s *service) anomaliesOf(t testing.TB, user string) string {
	t.Helper()
	var all []string
	for _, a := range s.timeline(t, s.from(t, user, "sess_looks")).Activity {
		if a.Type == "anomaly" {
			all = append(all, a.Detail["rule"]+" "+a.Detail["action"])
		}
	}
	return strings.Join(all, ", ")
}

// stolen lets a thief show up in each way there is a rule for, and returns the
// token that is then to be looked at and whether opening again is refused.
var stolen = map[string]func(t *testing.T, s *service) (token string, refused bool){
	"new_devices": func(t *testing.T, s *service) (string, bool) {
		t.Helper()
		token := s.open(t, "user_1", `{"deviceId":"d0"}`).Session.ChatKitSessionID
		for n := 1; n < 4; n++ {
			s.post(t, s.credential(t, "user_1", "member"), fmt.Sprintf(`{"deviceId":"d%d"}`, n))
		}
		return token, s.post(t, s.credential(t, "user_1", "member"), `{"deviceId":"d9"}`).Code == "session_revoked"
	},
	"opens": func(t *testing.T, s *service) (string, bool) {
		t.Helper()
		token := s.open(t, "user_1", "").Session.ChatKitSessionID
		for range 9 {
			s.post(t, s.credential(t, "user_1", "member"), "")
		}
		return token, s.post(t, s.credential(t, "user_1", "member"), "").Code == "session_revoked"
	},
	"superseded_token": func(t *testing.T, s *service) (string, bool) {
		t.Helper()
		old := s.open(t, "user_1", `{"deviceId":"phone"}`).Session.ChatKitSessionID
		s.checkedFrom(t, old, "198.51.100.1", firefox)
		if err := s.app.usage.FlushAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.clock.advance(23 * time.Hour)
		fresh := s.open(t, "user_1", `{"deviceId":"phone"}`).Session.ChatKitSessionID
		s.clock.advance(30 * time.Second)
		s.checkedFrom(t, old, "203.0.113.1", iphone)
		s.checkedFrom(t, old, "203.0.113.1", iphone)
		return fresh, false
	},
	"addresses": func(t *testing.T, s *service) (string, bool) {
		t.Helper()
		token := s.open(t, "user_1", "").Session.ChatKitSessionID
		for n := range 4 {
			s.checkedFrom(t, token, fmt.Sprint("198.51.100.", n), firefox)
		}
		return token, false
	},
	"foreign_code": func(t *testing.T, s *service) (string, bool) {
		t.Helper()
		opened := s.open(t, "user_1", "")
		code := as[struct{ Code string }](t, s, http.StatusCreated, http.MethodPost, "/sessions/"+opened.Session.ID+"/transfer", s.credential(t, "user_1", "member"), "").Code
		for range 2 {
			s.send(t, http.MethodPost, "/session/transfer", s.credential(t, "user_2", "member"), fmt.Sprintf(`{"code":%q,"deviceId":"phone"}`, code))
		}
		return opened.Session.ChatKitSessionID, false
	},
}

var anomalySettings = []string{"INTROSPECTION_KEYS=" + backendKey, "CHATKIT_ANOMALY_NEW_DEVICES=2/10m", "CHATKIT_ANOMALY_OPENS=8/1m", "CHATKIT_ANOMALY_ADDRESSES=3/5m"}

// What only thieves do is recorded and counted once, and where that is set
// ends sessions.
func TestAnomalies(t *testing.T) {
	t.Parallel()
	for rule, steal := range stolen {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *service) {
				token, refused := steal(t, s)
				if got := s.anomaliesOf(t, "user_1"); got != rule+" record" {
					t.Errorf("recorded are %q", got)
				}
				if !s.good(t, token) || refused {
					t.Errorf("what was to be recorded ended a session, or refused one: %v", refused)
				}
				if got := s.counted(t, rule); got != "1" {
					t.Errorf("counted are %s", got)
				}
			}, anomalySettings...)
			t.Run("Revoke", func(t *testing.T) {
				t.Parallel()
				onBoth(t, func(t *testing.T, s *service) {
					token, refused := steal(t, s)
					if got := s.anomaliesOf(t, "user_1"); got != rule+" revoke" {
						t.Errorf("recorded are %q", got)
					}
					if bySignIn := rule == "new_devices" || rule == "opens"; s.good(t, token) || refused != bySignIn {
						t.Errorf("the session is still there, or the sign-in was refused: %v", refused)
					}
				}, append(anomalySettings, "CHATKIT_ANOMALY_REVOKE="+rule)...)
			})
		})
	}
}

// Nobody is signed out for what another sign-in of the user does: a thief who
// keeps just within a limit does not make the user's next open the one too many.
func TestAnomalies_EndTheCulpritAlone(t *testing.T) {
	t.Parallel()
	for name, thief := range map[string]bearer{
		"Thief": {user: "user_1", signIn: "sess_stolen", ago: 60},
		"Agent": {user: "user_1", signIn: "sess_user", act: agent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *service) {
				user := bearer{user: "user_1", signIn: "sess_user"}
				s.opens(t, "created", s.bearing(t, thief), `{"deviceId":"d1"}`)
				s.opens(t, "created", s.bearing(t, thief), `{"deviceId":"d2"}`)
				token := s.opens(t, "created", s.bearing(t, user), `{"deviceId":"phone"}`).Session.ChatKitSessionID
				if got := s.anomaliesOf(t, "user_1"); got != "new_devices record" {
					t.Errorf("recorded are %q", got)
				}
				for range 6 { // with those before, eight
					s.opens(t, "reused", s.bearing(t, thief), `{"deviceId":"d1"}`)
				}
				s.opens(t, "reused", s.bearing(t, user), `{"deviceId":"phone"}`)
				s.refuses(t, "session_revoked", http.MethodPost, "/session", s.bearing(t, thief), `{"deviceId":"d3"}`)
				if !s.good(t, token) {
					t.Error("the user is signed out")
				}
			}, append(anomalySettings, "CHATKIT_ANOMALY_REVOKE=new_devices,opens")...)
		})
	}
}

// What people do who stole nothing is no anomaly, or ends nothing.
func TestAnomalies_FalsePositives(t *testing.T) {
	t.Parallel()
	everyRule := "CHATKIT_ANOMALY_REVOKE=new_devices,opens,superseded_token,addresses,foreign_code"
	for name, test := range map[string]struct {
		live func(t *testing.T, s *service) (token string)
		want string
	}{
		"TwoTabs": {func(t *testing.T, s *service) string {
			t.Helper()
			old := s.open(t, "user_1", "").Session.ChatKitSessionID
			s.clock.advance(23 * time.Hour)
			fresh := s.open(t, "user_1", "").Session.ChatKitSessionID // the one tab
			s.clock.advance(20 * time.Second)
			s.checkedFrom(t, old, "198.51.100.1", firefox) // the other
			s.open(t, "user_1", "")
			return fresh
		}, ""},
		"APhoneThatChangesItsNetwork": {func(t *testing.T, s *service) string {
			t.Helper()
			token := s.open(t, "user_1", "").Session.ChatKitSessionID
			for _, address := range []string{
				"198.51.100.1", "2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3", // Wi-Fi
				"203.0.113.1", "2001:db8:2::1", "198.51.100.1", // mobile, and back
			} {
				s.checkedFrom(t, token, address, iphone)
			}
			return token
		}, ""},
		"ALaptopThatWakesUp": {func(t *testing.T, s *service) string {
			t.Helper()
			old := s.open(t, "user_1", "").Session.ChatKitSessionID
			s.checkedFrom(t, old, "198.51.100.1", firefox)
			if err := s.app.usage.FlushAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.clock.advance(23 * time.Hour)
			fresh := s.open(t, "user_1", "").Session.ChatKitSessionID // a tab elsewhere on it
			s.clock.advance(time.Hour)
			s.checkedFrom(t, old, "203.0.113.9", firefox) // from another network, the same laptop
			return fresh
		}, "superseded_token record"},
		"AFamilyOfDevices": {func(t *testing.T, s *service) string {
			t.Helper()
			var token string
			for n := range 8 {
				token = s.open(t, "user_1", fmt.Sprintf(`{"deviceId":"d%d"}`, n)).Session.ChatKitSessionID
			}
			return token
		}, ""},
		"APageThatReloads": {func(t *testing.T, s *service) string {
			t.Helper()
			var token string
			for range 60 {
				token = s.open(t, "user_1", "").Session.ChatKitSessionID
				s.clock.advance(time.Second)
			}
			return token
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onSQLite(t, "INTROSPECTION_KEYS="+backendKey, everyRule)
			token := test.live(t, s)
			if got := s.anomaliesOf(t, "user_1"); got != test.want {
				t.Errorf("recorded are %q, want %q", got, test.want)
			}
			if !s.good(t, token) {
				t.Error("it ended the session")
			}
		})
	}
}

// counted is how many anomalies of a rule the metrics have.
func (s *service) counted(t testing.TB, rule string) string {
	t.Helper()
	server := newLoopback(t, s.app.metrics.Handler)
	return countedAt(t, server, rule)
}

func countedAt(t testing.TB, server, rule string) string {
	t.Helper()
	return metricAt(t, server, `chatkit_anomalies_total{rule="`+rule+`"}`)
}

// metricAt is the value of one of a server's metrics.
func metricAt(t testing.TB, server, name string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(regexp.QuoteMeta(name) + ` (\d+)`).FindStringSubmatch(string(body))
	if found == nil {
		t.Fatalf("the metrics are\n%s", body)
	}
	return found[1]
}

// Metrics are on an address of their own, until the service stops.
func TestWiring_Metrics(t *testing.T) {
	t.Parallel()
	s := start(t, testEnviron(t, "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "sessions.db"), "METRICS_ADDR=127.0.0.1:0"), "serve")
	service := s.url(t)
	address := s.logs.await(t, regexp.MustCompile(`"msg":"metrics","address":"([^"]+)","path":"/metrics"`))[1]
	if got := countedAt(t, "http://"+address, "opens"); got != "0" {
		t.Errorf("counted are %s", got)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("the service's own address answers %d", response.StatusCode)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
		_ = conn.Close()
		t.Error("the metrics are still served")
	}
}
