package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Nobody fills the log with what they send, wherever they put it.
func TestLog_CutsWhatStrangersSend(t *testing.T) {
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
