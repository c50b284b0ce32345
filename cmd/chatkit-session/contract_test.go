package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/api/apitest"
)

const ourPage = "https://app.example.com"

// Whatever requests come, in whatever order and at whatever time, every answer
// is one that the contract has, none is a fault, and none gives back what was
// sent as a credential.
func TestContract_AnyRequests(t *testing.T) {
	t.Parallel()
	onBoth(t, anyRequests, "ALLOWED_ORIGINS="+ourPage+",https://*.preview.example.com", "TRUSTED_PROXIES=10.0.0.0/8")
}

func anyRequests(t *testing.T, s *service) {
	t.Helper()
	strangers, err := fakeclerk.New(testIssuer)
	if err != nil {
		t.Fatal(err)
	}
	seen, lastID, streams := map[int]int{}, "", 0
	rapid.Check(t, func(rt *rapid.T) {
		s.clock.advance(time.Duration(rapid.Int64Range(0, int64(30*time.Hour)).Draw(rt, "pause")))
		credential := drawCredential(rt, s, strangers)
		r := drawRequest(rt)
		if often(rt, "bearer") {
			r.Header.Set("Authorization", "Bearer "+credential)
		} else {
			r.Header.Set("Cookie", "__session="+credential)
		}
		if lastID != "" && rapid.IntRange(0, 9).Draw(rt, "watches") == 0 {
			r.Method, r.URL.Path, r.URL.RawQuery = http.MethodGet, "/api/chatkit/session/events", "sessionId="+lastID
		}
		recorder := newStreamRecorder()
		s.app.server.Handler.ServeHTTP(recorder, r.WithContext(recorder.ctx))
		recorder.gone()
		response := recorder.Result()
		if !strings.HasPrefix(r.URL.Path, "/docs") && r.URL.Path != "/openapi.yaml" {
			apitest.Conforms(t, r, response)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			rt.Fatal(err)
		}
		var opened answer
		if json.Unmarshal(body, &opened) == nil && opened.Session.ID != "" {
			lastID = opened.Session.ID
		}
		if response.Header.Get("Content-Type") == "text/event-stream" {
			streams++
		}
		seen[response.StatusCode]++
		notReady := r.URL.Path == "/readyz" && response.StatusCode == http.StatusServiceUnavailable // its clock is not the store's
		if response.StatusCode >= http.StatusInternalServerError && !notReady {
			rt.Errorf("%s %s = %d %s", r.Method, r.URL, response.StatusCode, body)
		}
		if response.Header.Get("X-Request-Id") == "" {
			rt.Error("the answer has no request id")
		}
		if len(credential) > 20 && strings.Contains(string(body), credential) {
			rt.Errorf("the answer gives the credential back: %s", body)
		}
	})
	t.Log("answers by status: ", seen, ", streams: ", streams)
	if seen[http.StatusOK] == 0 || seen[http.StatusBadRequest] == 0 || seen[http.StatusUnauthorized] == 0 || seen[http.StatusNotFound] == 0 {
		t.Error("the requests are not diverse")
	}
}

// streamRecorder records an answer, of a stream only how it begins: then the
// client is gone.
type streamRecorder struct {
	*httptest.ResponseRecorder
	ctx  context.Context //nolint:containedctx // the request's own
	gone func()
}

func newStreamRecorder() *streamRecorder {
	r := &streamRecorder{ResponseRecorder: httptest.NewRecorder()}
	r.ctx, r.gone = context.WithCancel(context.Background())
	return r
}

// Flush is what a stream does when it has begun.
func (r *streamRecorder) Flush() { r.ResponseRecorder.Flush(); r.gone() }

// SetReadDeadline and SetWriteDeadline are what a stream needs of a connection.
func (*streamRecorder) SetReadDeadline(time.Time) error  { return nil }
func (*streamRecorder) SetWriteDeadline(time.Time) error { return nil }

// Those who may and who ask well are never refused.
func TestContract_GoodRequests(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	rapid.Check(t, func(rt *rapid.T) {
		s.clock.advance(time.Duration(rapid.Int64Range(0, int64(30*time.Hour)).Draw(rt, "pause")))
		user := rapid.SampledFrom([]string{"user_1", "user_2"}).Draw(rt, "user")
		body, err := json.Marshal(drawGoodBody(rt))
		if err != nil {
			rt.Fatal(err)
		}
		if got := s.post(t, s.credential(t, user, "member"), string(body)); got.Status != http.StatusOK || got.Session.UserID != user {
			rt.Errorf("%s got %d %s", body, got.Status, got.raw)
		}
	})
}

// drawCredential is good, or bad in one of many ways.
func drawCredential(t *rapid.T, s *service, strangers *fakeclerk.Instance) string {
	now := s.clock.Now()
	claims := fakeclerk.Claims{Subject: "user_1", SignIn: "sess_1", Role: rapid.SampledFrom([]string{"member", "admin"}).Draw(t, "role"), IssuedAt: now}
	issuer := s.identity
	if often(t, "may") {
		return mint(t, issuer, claims)
	}
	switch rapid.SampledFrom([]string{"no role", "expired", "early", "foreign", "odd", "garbage"}).Draw(t, "credential") {
	case "no role":
		claims.Role = ""
	case "expired":
		claims.IssuedAt = now.Add(-time.Hour)
	case "early":
		claims.IssuedAt = now.Add(time.Hour)
	case "foreign":
		issuer = strangers
	case "odd":
		name := rapid.SampledFrom([]string{"sub", "sid", "exp", "iss", "azp", "sts", "metadata", "o", "v", "fva", "act"}).Draw(t, "claim")
		value := rapid.SampledFrom([]any{nil, "", "x", 1, -1, 1e300, true, []any{}, map[string]any{}, map[string]any{"role": 1}, "\u0000", strings.Repeat("x", 5000)}).Draw(t, "value")
		claims.Override = map[string]any{name: value}
	case "garbage":
		return rapid.SampledFrom([]string{"", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", strings.Repeat("A", 20000), rapid.StringMatching(`[!-~]{0,40}`).Draw(t, "text")}).Draw(t, "garbage")
	}
	return mint(t, issuer, claims)
}

func mint(t *rapid.T, issuer *fakeclerk.Instance, claims fakeclerk.Claims) string {
	token, err := issuer.Mint(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// often is true most of the time.
func often(t *rapid.T, what string) bool { return rapid.IntRange(0, 9).Draw(t, what) < 7 }

func drawRequest(t *rapid.T) *http.Request {
	method, path := http.MethodPost, "/api/chatkit/session"
	if !often(t, "aimed") {
		method = rapid.SampledFrom([]string{"POST", "GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"}).Draw(t, "method")
		path = rapid.OneOf(
			rapid.SampledFrom([]string{
				"/api/chatkit/session", "/healthz", "/readyz", "/openapi.yaml", "/docs", "/", "/api", "/api/chatkit/session/verify", "/api/chatkit/session/events",
				"/api/chatkit/session/introspect", "/api/chatkit/sessions", "/api/chatkit/sessions/x", "/api/chatkit/sessions/0194214b-3a00-7cc3-98c4-dc0c0c07398f", "/api/chatkit/session/", "/healthz/../readyz",
				"/api/chatkit/activity", "/api/chatkit/sessions/x/activity", "/api/chatkit/sessions/x/transfer", "/api/chatkit/session/transfer",
				"/api/chatkit/admin/stats", "/api/chatkit/admin/users/user_1/sessions", "/api/chatkit/admin/sessions/x",
			}),
			rapid.StringMatching(`/[ -~]{0,30}`),
		).Draw(t, "path")
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(drawBody(t)))
	r.URL = &url.URL{Path: path, RawQuery: rapid.OneOf(
		rapid.StringMatching(`[!-~]{0,10}`),
		rapid.StringMatching(`(status|limit|cursor|keep|sessionId)=[!-~]{0,10}`),
		// Positions that no page ever ended at: of 1 µs after 1970 at "x", and at an id.
		rapid.SampledFrom([]string{"cursor=MSB4", "cursor=MSAwMTk0MjE0Yi0zYTAwLTdjYzMtOThjNC1kYzBjMGMwNzM5OGY", "limit=1", "status=expired"}),
	).Draw(t, "query")}
	for _, name := range []string{"Origin", "Content-Type", "X-Request-Id", "X-Forwarded-For", "User-Agent", "X-ChatKit-Token", "Last-Event-ID", "Access-Control-Request-Method", "Sec-Fetch-Site"} {
		if rapid.Bool().Draw(t, "has "+name) {
			r.Header.Set(name, rapid.OneOf(
				rapid.SampledFrom([]string{ourPage, "https://x.preview.example.com", "null", "application/json", "POST", "same-origin", "10.1.2.3"}),
				rapid.StringMatching(`[ -~]{0,40}`),
			).Draw(t, name))
		}
	}
	return r
}

func drawBody(t *rapid.T) string {
	return rapid.OneOf(
		rapid.Just(""),
		rapid.Custom(func(t *rapid.T) string {
			body, err := json.Marshal(drawGoodBody(t))
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}),
		rapid.Custom(func(t *rapid.T) string { // an object whose fields may have any type
			body, err := json.Marshal(map[string]any{
				"deviceId": drawValue(t, 3), "metadata": drawValue(t, 3), "rememberMe": drawValue(t, 1), "code": drawValue(t, 1), "user": drawValue(t, 1),
			})
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}),
		rapid.String(),
		rapid.Custom(func(t *rapid.T) string { return strings.Repeat("[", rapid.IntRange(0, 20000).Draw(t, "depth")) }),
	).Draw(t, "body")
}

// drawGoodBody keeps every bound.
func drawGoodBody(t *rapid.T) map[string]any {
	body := map[string]any{}
	if rapid.Bool().Draw(t, "named") {
		body["deviceId"] = rapid.StringMatching(`[A-Za-z0-9._:-]{1,128}`).Draw(t, "device")
	}
	if rapid.Bool().Draw(t, "says") {
		body["rememberMe"] = rapid.SampledFrom([]any{true, false, nil}).Draw(t, "remember")
	}
	if rapid.Bool().Draw(t, "attached") {
		body["metadata"] = map[string]any{
			rapid.StringMatching(`[a-zé😀]{0,10}`).Draw(t, "name"): rapid.SampledFrom([]any{nil, true, "text", 0.1, -3, []any{1, "a"}, map[string]any{"b": nil}}).Draw(t, "value"),
		}
	}
	return body
}

func drawValue(t *rapid.T, levels int) any {
	kinds := []string{"null", "bool", "number", "text", "list", "object"}
	if levels == 0 {
		kinds = kinds[:4]
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "bool":
		return rapid.Bool().Draw(t, "bool")
	case "number":
		return rapid.Float64().Draw(t, "number")
	case "text":
		return rapid.String().Draw(t, "text")
	case "list":
		return []any{drawValue(t, levels-1)}
	case "object":
		return map[string]any{rapid.String().Draw(t, "name"): drawValue(t, levels-1)}
	}
	return nil
}
