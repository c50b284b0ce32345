package httpapi_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const claimPath = "/api/chatkit/session/transfer"

var (
	offerPath = sessionsPath + "/" + anID.String() + "/transfer"
	code      = session.Must(session.ParseTransferCode("N5XXO4TJMRXW4ZJAMFZWG2LJNY"))
	phone     = session.Must(session.ParseDeviceID("phone"))
)

// offers makes the core offer any session with the same code.
func (s *subject) offers() *subject {
	s.permits(access.ManageOwn).transfer.EXPECT().Offer(gomock.Any(), gomock.Any(), anID).
		Return(ports.Offered{Code: code, ExpiresAt: midnight.Add(2 * time.Minute)}, nil).AnyTimes()
	return s
}

func TestOfferTransfer(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).permits(access.ManageOwn)
	s.transfer.EXPECT().Offer(gomock.Any(), calling, anID).Return(ports.Offered{Code: code, ExpiresAt: midnight.Add(2 * time.Minute)}, nil)
	got := s.send(t, http.MethodPost, offerPath, "", "Origin", page)
	const want = `{"code":"N5XXO4TJMRXW4ZJAMFZWG2LJNY","expiresAt":"2025-01-01T00:02:00.000Z",` +
		`"url":"https://app.example.com/#chatkit-transfer=N5XXO4TJMRXW4ZJAMFZWG2LJNY"}`
	if got.status != http.StatusCreated || strings.TrimSpace(got.body) != want || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if strings.Contains(s.log.String(), code.Reveal()) {
		t.Errorf("the log shows the code:\n%s", s.log)
	}
}

// The link leads to the operator's page, else to the page that asks, else here;
// the code is in its fragment, and nowhere else.
func TestOfferTransfer_URL(t *testing.T) {
	t.Parallel()
	behind := httpapi.Config{TrustedProxies: prefixes("10.0.0.0/8")}
	for name, test := range map[string]struct {
		config              httpapi.Config
		origin, peer, proto string
		tls                 bool
		want                string
	}{
		"Configured":          {config: httpapi.Config{TransferURL: "https://m.example.com/move?a=b"}, origin: page, want: "https://m.example.com/move?a=b"},
		"ConfiguredHost":      {config: httpapi.Config{TransferURL: "http://localhost:3000"}, want: "http://localhost:3000"},
		"Origin":              {origin: page, want: page + "/"},
		"OriginBelowOne":      {config: httpapi.Config{AllowedOrigins: []string{"https://*.example.com"}}, origin: "https://a.example.com", want: "https://a.example.com/"},
		"ForeignOrigin":       {origin: "https://evil.example", want: "http://example.com/"},
		"NullOrigin":          {origin: "null", want: "http://example.com/"},
		"NoOrigin":            {want: "http://example.com/"},
		"OurOwnTLS":           {tls: true, want: "https://example.com/"},
		"TrustedProxysTLS":    {config: behind, peer: "10.1.2.3:1", proto: "https", want: "https://example.com/"},
		"TrustedProxyWithout": {config: behind, peer: "10.1.2.3:1", proto: "http", want: "http://example.com/"},
		"AnybodysTLS":         {config: behind, peer: "203.0.113.9:1", proto: "https", want: "http://example.com/"},
		"NobodyIsTrusted":     {peer: "10.1.2.3:1", proto: "https", want: "http://example.com/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, test.config).offers()
			r := request(t, http.MethodPost, offerPath, "", "Authorization", "Bearer jwt")
			for name, value := range map[string]string{"Origin": test.origin, "X-Forwarded-Proto": test.proto} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			if test.peer != "" {
				r.RemoteAddr = test.peer
			}
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if got := s.do(t, r); !strings.Contains(got.body, `"url":"`+test.want+`#chatkit-transfer=`+code.Reveal()+`"`) {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func TestNew_InvalidTransferURL(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"app.example.com", "/chat", "//app.example.com/", "ftp://app.example.com/", "https://", "https://u:p@app.example.com/", "javascript:alert(1)", "https://a b/", "://", "https://m.example.com/#/move", "https://m.example.com/#"} {
		_, err := httpapi.New(httpapi.Config{TransferURL: wrong, AllowedOrigins: []string{"*"}}, httpapi.Core{})
		if err == nil || httpapi.CheckTransferURL(wrong) == nil || !strings.Contains(err.Error(), wrong) || len(strings.Split(err.Error(), "\n")) != 2 {
			t.Errorf("%q gets %v", wrong, err)
		}
	}
	for _, right := range []string{"", "https://app.example.com", "http://localhost:3000/a?b"} {
		if err := httpapi.CheckTransferURL(right); err != nil {
			t.Errorf("%q gets %v", right, err)
		}
	}
}

func TestOfferTransfer_Refuses(t *testing.T) {
	t.Parallel()
	for kind, want := range map[session.Kind]int{
		session.KindNotFound: 404, session.KindOtherSignIn: 403, session.KindActorDenied: 403, session.KindSignedOut: 403, session.KindReverification: 403,
		session.KindUnavailable: 503, session.KindInternal: 500,
	} {
		t.Run(kind.Error(), func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ManageOwn)
			s.transfer.EXPECT().Offer(gomock.Any(), calling, anID).Return(ports.Offered{Code: code}, session.Wrap(kind, errors.New(secret)))
			got := s.send(t, http.MethodPost, offerPath, "")
			if got.status != want || strings.Contains(got.body, secret) || strings.Contains(got.body+s.log.String(), code.Reveal()) {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func (s *subject) claim(t testing.TB, body string, headers ...string) answer {
	t.Helper()
	return s.send(t, http.MethodPost, claimPath, body, headers...)
}

const goodClaim = `{"code":"N5XXO4TJMRXW4ZJAMFZWG2LJNY","deviceId":"phone","more":1}`

func TestClaimTransfer(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{}).permits(access.ManageOwn)
	moved := opened(ports.OpenRequest{Device: phone})
	moved.Outcome = session.OutcomeTransferred
	s.transfer.EXPECT().Claim(gomock.Any(), calling, code.Reveal(), phone).Return(moved, nil)
	got := s.claim(t, goodClaim)
	const want = `{"outcome":"transferred","session":{"chatKitSessionId":"550e8400-e29b-41d4-a716-446655440000","createdAt":"2025-01-01T00:00:00.000Z",` +
		`"deviceId":"phone","expiresAt":"2025-01-02T00:00:00.000Z","expiresIn":86399,"id":"0194214b-3a00-7cc3-98c4-dc0c0c07398f","metadata":{},` +
		`"refreshAfter":"2025-01-01T23:00:00.000Z","rememberMe":false,"userId":"user_123","workflowId":"workflow_1"}}`
	if got.status != http.StatusOK || strings.TrimSpace(got.body) != want || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if log := s.log.String(); strings.Contains(log, code.Reveal()) || strings.Contains(log, token.Reveal()) {
		t.Errorf("the log shows a secret:\n%s", log)
	}
	if line := s.lines(t, "request")[0]; line["outcome"] != "transferred" {
		t.Errorf("the log has %v", line)
	}
}

// The core decides which codes are valid, whatever they look like.
func TestClaimTransfer_Refuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code   string
		answer error
		want   int
		field  string
	}{
		"NotGood":     {code.Reveal(), session.Wrap(session.KindNotFound, errors.New(secret)), 404, ""},
		"OddCode":     {"-", session.Wrap(session.KindNotFound, errors.New(secret)), 404, ""},
		"LongCode":    {strings.Repeat("A", 15000), session.Wrap(session.KindNotFound, errors.New(secret)), 404, ""},
		"SameDevice":  {code.Reveal(), session.Invalid("deviceId", "must be another device"), 400, "deviceId"},
		"SignedOut":   {code.Reveal(), session.Wrap(session.KindSignedOut, errors.New(secret)), 403, ""},
		"Contested":   {code.Reveal(), session.Wrap(session.KindContested, errors.New(secret)), 403, ""},
		"Actor":       {code.Reveal(), session.Wrap(session.KindActorDenied, errors.New(secret)), 403, ""},
		"StepUp":      {code.Reveal(), session.Wrap(session.KindReverification, errors.New(secret)), 403, ""},
		"Unavailable": {code.Reveal(), session.Wrap(session.KindUnavailable, errors.New(secret)), 503, ""},
		"Bug":         {code.Reveal(), errors.New(secret), 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ManageOwn)
			s.transfer.EXPECT().Claim(gomock.Any(), calling, test.code, phone).Return(ports.Opened{}, test.answer)
			got := s.claim(t, `{"code":"`+test.code+`","deviceId":"phone"}`)
			if got.status != test.want || got.Field != test.field || strings.Contains(got.body, secret) {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if test.code != "-" && strings.Contains(got.body+s.log.String(), test.code) {
				t.Errorf("the answer or the log shows the code:\n%s", s.log)
			}
		})
	}
}

// What cannot be read moves nothing, and is not shown.
func TestClaimTransfer_BadInput(t *testing.T) {
	t.Parallel()
	const shown = "N5XXO4TJMRXW4ZJAMFZWG2LJNY"
	for name, test := range map[string]struct {
		body, field string
		want        int
	}{
		"Nothing":      {"", "code", 400},
		"Null":         {"null", "code", 400},
		"NoCode":       {`{"deviceId":"phone"}`, "code", 400},
		"NullCode":     {`{"code":null,"deviceId":"phone"}`, "code", 400},
		"EmptyCode":    {`{"code":"","deviceId":"phone"}`, "code", 400},
		"CodeNumber":   {`{"code":26,"deviceId":"phone"}`, "code", 400},
		"CodeObject":   {`{"code":{"` + shown + `":1},"deviceId":"phone"}`, "code", 400},
		"CodeList":     {`{"code":["` + shown + `"],"deviceId":"phone"}`, "code", 400},
		"NoDevice":     {`{"code":"` + shown + `"}`, "deviceId", 400},
		"NullDevice":   {`{"code":"` + shown + `","deviceId":null}`, "deviceId", 400},
		"EmptyDevice":  {`{"code":"` + shown + `","deviceId":""}`, "deviceId", 400},
		"DeviceNumber": {`{"code":"` + shown + `","deviceId":1}`, "deviceId", 400},
		"DeviceSpace":  {`{"code":"` + shown + `","deviceId":"my phone"}`, "deviceId", 400},
		"DeviceLong":   {`{"code":"` + shown + `","deviceId":"` + strings.Repeat("x", 129) + `"}`, "deviceId", 400},
		"Twice":        {`{"code":"` + shown + `","code":"` + shown + `","deviceId":"phone"}`, "body", 400},
		"Truncated":    {`{"code":"` + shown, "body", 400},
		"List":         {`["` + shown + `"]`, "body", 400},
		"Text":         {`"` + shown + `"`, "body", 400},
		"DeepList":     {`{"deviceId":"phone","code":` + strings.Repeat("[", 8000) + strings.Repeat("]", 8000) + `}`, "code", 400},
		"DeepObject":   {`{"more":` + strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000) + `,"deviceId":"phone"}`, "code", 400},
		"TooLarge":     {`{"code":"` + shown + `","deviceId":"` + strings.Repeat("x", 16<<10) + `"}`, "body", 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{}).permits(access.ManageOwn) // the core is not asked
			got := s.claim(t, test.body)
			if got.status != test.want || got.Field != test.field {
				t.Errorf("got %d %s, want field %s", got.status, got.body, test.field)
			}
			if strings.Contains(got.body+s.log.String(), shown) {
				t.Errorf("the answer or the log shows the code: %s\n%s", got.body, s.log)
			}
		})
	}
	s := newSubject(t, httpapi.Config{}).permits(access.ManageOwn)
	if got := s.claim(t, goodClaim, "Content-Type", "application/json", "Content-Type", "text/plain"); got.status != http.StatusBadRequest || got.Field != "Content-Type" {
		t.Errorf("two types got %d %s", got.status, got.body)
	}
}

// The source of a transfer's caller reaches the core.
func TestTransfer_Source(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}).permits(access.ManageOwn)
	s.transfer.EXPECT().Claim(gomock.Any(), from(member, address("198.51.100.7")), code.Reveal(), phone).Return(ports.Opened{}, session.KindNotFound)
	r := request(t, http.MethodPost, claimPath, goodClaim, "Authorization", "Bearer jwt", "X-Forwarded-For", "198.51.100.7")
	r.RemoteAddr = "10.1.2.3:1"
	s.do(t, r)
}

// An app's origin is no page that another device could open.
func TestOfferTransfer_FromAnApp(t *testing.T) {
	t.Parallel()
	s := newSubject(t, httpapi.Config{AllowedOrigins: []string{"capacitor://localhost"}}).offers()
	got := s.send(t, http.MethodPost, offerPath, "", "Origin", "capacitor://localhost")
	if got.status != http.StatusCreated || strings.Contains(got.body, "capacitor") || !strings.Contains(got.body, `"url":"http://`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
