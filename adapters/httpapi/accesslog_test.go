package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The access log says what happened, and nothing that may be a secret.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.asked()
	s.post(t, `{"deviceId":"phone","metadata":{"note":"hunter2"}}`, "Cookie", "__session=hunter2", "X-Forwarded-For", "198.51.100.7")
	s.do(t, request(t, http.MethodGet, "/nothing?token=hunter2", ""))
	lines := s.lines(t, "request")
	if len(lines) != 2 || strings.Contains(s.log.String(), "hunter2") || strings.Contains(s.log.String(), "jwt") {
		t.Fatalf("the log has\n%s", s.log)
	}
	for key, want := range map[string]any{"method": "POST", "route": openPath, "status": 200.0, "client": "192.0.2.1", "user": "user_123", "outcome": "created"} {
		if lines[0][key] != want {
			t.Errorf("%s is %v, want %v", key, lines[0][key], want)
		}
	}
	if lines[1]["status"] != 404.0 || lines[1]["user"] != nil {
		t.Errorf("the second request is logged as %v", lines[1])
	}
}

// Probes come every few seconds: those that succeed are not what an operator
// reads the log for.
func TestAccessLog_OfProbes(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.ready.EXPECT().Ready(gomock.Any()).Return(nil, session.KindUnavailable)
	for _, path := range []string{"/healthz", "/readyz"} {
		s.do(t, request(t, http.MethodGet, path, ""))
	}
	lines := s.lines(t, "request")
	if len(lines) != 2 || lines[0]["level"] != "DEBUG" || lines[1]["level"] != "INFO" {
		t.Errorf("the log has\n%s", s.log)
	}
}

// An operator sees whom the service refused, and why.
func TestAccessLog_OfRefusals(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{})
	s.authorizer.EXPECT().Authorize(gomock.Any(), gomock.Any(), gomock.Any()).Return(member, session.KindNoRole)
	s.post(t, "")
	if line := s.lines(t, "request")[0]; line["user"] != "user_123" || line["code"] != "role_not_found" || line["status"] != 403.0 {
		t.Errorf("the log has\n%s", s.log)
	}
}

// The client's address is the peer's, unless the peer is a trusted proxy: then
// it is the nearest address that is none.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		proxies   []netip.Prefix
		peer      string
		forwarded string
		want      string
	}{
		"Direct":               {nil, "203.0.113.9:1", "", "203.0.113.9"},
		"DirectForged":         {nil, "203.0.113.9:1", "198.51.100.7", "203.0.113.9"},
		"LoopbackForged":       {nil, "127.0.0.1:1", "198.51.100.7", "127.0.0.1"},
		"PrivateForged":        {nil, "10.1.2.3:1", "198.51.100.7", "10.1.2.3"},
		"ThroughProxy":         {prefixes("10.0.0.0/8"), "10.1.2.3:1", "198.51.100.7", "198.51.100.7"},
		"ThroughTwo":           {prefixes("10.0.0.0/8"), "10.1.2.3:1", "198.51.100.7, 10.9.9.9", "198.51.100.7"},
		"ForgedThroughProxy":   {prefixes("10.0.0.0/8"), "10.1.2.3:1", "1.1.1.1, 198.51.100.7", "198.51.100.7"},
		"PastTheProxy":         {prefixes("10.0.0.0/8"), "203.0.113.9:1", "198.51.100.7", "203.0.113.9"},
		"NotListedLoopback":    {prefixes("10.0.0.0/8"), "127.0.0.1:1", "198.51.100.7", "127.0.0.1"},
		"OneAddress":           {prefixes("10.1.2.3/32"), "10.1.2.4:1", "198.51.100.7", "10.1.2.4"},
		"IPv6":                 {prefixes("fd00::/8"), "[fd00::1]:1", "2001:db8::7", "2001:db8::7"},
		"IPv6Direct":           {nil, "[2001:db8::9]:1", "", "2001:db8::9"},
		"NoSenseThroughProxy":  {prefixes("10.0.0.0/8"), "10.1.2.3:1", "<script>", "10.1.2.3"},
		"NothingThroughProxy":  {prefixes("10.0.0.0/8"), "10.1.2.3:1", "", "10.1.2.3"},
		"MappedNetworkGiven":   {prefixes("::ffff:10.0.0.0/104"), "10.9.9.9:1", "198.51.100.7", "198.51.100.7"},
		"LinkLocalProxy":       {prefixes("fe80::/10"), "[fe80::1%eth0]:1", "198.51.100.7", "198.51.100.7"},
		"UnmaskedNetworkGiven": {prefixes("10.1.2.3/8"), "10.9.9.9:1", "198.51.100.7", "198.51.100.7"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{TrustedProxies: test.proxies})
			r := request(t, http.MethodGet, "/healthz", "")
			r.RemoteAddr = test.peer
			if test.forwarded != "" {
				r.Header.Set("X-Forwarded-For", test.forwarded)
			}
			r.Header.Set("X-Real-Ip", "192.0.2.66") // this header is never trusted
			s.do(t, r)
			if got := s.lines(t, "request")[0]["client"]; got != test.want {
				t.Errorf("the client is %v, want %s", got, test.want)
			}
		})
	}
}

// Clients cannot fill the log, whichever part of a request is long.
func TestAccessLog_TruncatesClientInput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 30_000)
	for name, r := range map[string]*http.Request{
		"Preflight":  request(t, http.MethodOptions, openPath, "", "Origin", "https://"+long, "Access-Control-Request-Method", "POST"),
		"Origin":     request(t, http.MethodPost, openPath, "", "Origin", "https://"+long),
		"Method":     request(t, strings.ToUpper(long), openPath, ""),
		"Path":       request(t, http.MethodGet, "/"+long, ""),
		"ID":         request(t, http.MethodGet, openPath+"s/"+long, "", "Authorization", "Bearer jwt"),
		"Query":      request(t, http.MethodGet, openPath+"s?"+long+"="+long, "", "Authorization", "Bearer jwt"),
		"RequestID":  request(t, http.MethodGet, "/healthz", "", "X-Request-ID", long),
		"UserAgent":  request(t, http.MethodPost, openPath, "", "User-Agent", long),
		"Forwarded":  request(t, http.MethodPost, openPath, "", "X-Forwarded-For", long, "X-Forwarded-Proto", long),
		"Credential": request(t, http.MethodPost, openPath, "", "Authorization", "Bearer "+long),
		"Scheme":     request(t, http.MethodPost, openPath, "", "Authorization", long),
		"Cookie":     request(t, http.MethodGet, openPath+"s", "", "Sec-Fetch-Site", "same-origin", "Cookie", "__session="+long),
		"Type":       request(t, http.MethodPost, introspectPath, "token=x", "Authorization", "Bearer "+backendKey, "Content-Type", long),
		"Client":     request(t, http.MethodPost, introspectPath, "token=x&client_ip="+long[:9000], "Authorization", "Bearer "+backendKey, "Content-Type", formType),
		"Name":       request(t, http.MethodPost, openPath, `{"metadata":{"`+long[:9000]+`":1e999}}`, "Authorization", "Bearer jwt"),
		"Device":     request(t, http.MethodPost, openPath, `{"deviceId":"`+long[:9000]+`"}`, "Authorization", "Bearer jwt"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{IntrospectionKeys: []string{backendKey}, TrustedProxies: prefixes("192.0.2.0/24")}).checks(session.KindNotFound)
			s.opener.EXPECT().Workflow().Return(workflow, nil).AnyTimes()
			s.lister.EXPECT().List(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Page{}, errors.New(long)).AnyTimes()
			s.ready.EXPECT().Ready(gomock.Any()).Return(nil, nil).AnyTimes()
			s.authorizer.EXPECT().Authorize(gomock.Any(), "jwt", gomock.Any()).Return(member, nil).AnyTimes()
			s.authorizer.EXPECT().Authorize(gomock.Any(), gomock.Any(), gomock.Any()).
				Return(access.Caller{}, session.Wrap(session.KindUnauthenticated, fmt.Errorf("the issuer %s is another", long))).AnyTimes()
			s.handler.ServeHTTP(httptest.NewRecorder(), r)
			if len(s.log.String()) == 0 {
				t.Error("nothing is logged")
			}
			for line := range strings.Lines(s.log.String()) {
				if len(line) > 2000 {
					t.Errorf("a line of %d bytes: %.300s", len(line), line)
				}
			}
		})
	}
}
