package httpapi

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"chatkit-session/core/session"
)

// The reasons that only this package knows.
const (
	// reasonCookie means that the credential is in a cookie that does not count,
	// mostly because the page's origin is not allowed.
	reasonCookie session.Reason = "cookie_does_not_count"
	// reasonNoToken and reasonUnknownToken are about session tokens.
	reasonNoToken      session.Reason = "no_token"
	reasonUnknownToken session.Reason = "unknown_token"
	// reasonNoKeysSet, reasonNoKey and reasonUnknownKey are about
	// introspection keys.
	reasonNoKeysSet  session.Reason = "introspection_is_off"
	reasonNoKey      session.Reason = "no_introspection_key"
	reasonUnknownKey session.Reason = "unknown_introspection_key"
)

// settingsOf maps a code or a reason to the settings that may be wrong.
var settingsOf = map[string]string{
	string(session.ReasonIssuer):      "CLERK_ISSUER",
	string(session.ReasonParty):       "CLERK_AUTHORIZED_PARTIES",
	string(session.ReasonAudience):    "CLERK_AUDIENCE",
	string(session.ReasonDeniedActor): "CHATKIT_DENY_ACTORS",
	string(session.ReasonUnknownKey):  "CLERK_SECRET_KEY",
	string(session.ReasonSignature):   "CLERK_JWT_KEY",
	string(reasonCookie):              "ALLOWED_ORIGINS",
	string(reasonNoKeysSet):           "INTROSPECTION_KEYS",
	string(reasonUnknownKey):          "INTROSPECTION_KEYS",
	codeOrigin:                        "ALLOWED_ORIGINS",
	codeNoRole:                        "CHATKIT_ROLE_CLAIMS, CHATKIT_DEFAULT_ROLE",
	codeForbidden:                     "CHATKIT_ACCESS_POLICY",
}

// refusalInterval is the interval at which refusals with the same cause are
// logged.
const refusalInterval = time.Minute

// maxLoggedCause bounds the error text of such a line, in bytes. Clients can
// influence the text.
const maxLoggedCause = 250

// refusalCause is the code of a refusal and, if known, the reason. Both are
// constants, so that their number is bounded.
type refusalCause struct {
	code   string
	reason session.Reason
}

// example is one refused request.
type example struct{ requestID, cause string }

// refusalLog tells operators about refused callers without a line for each:
//
//  1. The first refusal with a cause is logged at once.
//  2. Later refusals with the same cause are counted for refusalInterval.
//  3. At the end of the interval they are logged as one line, with their
//     number and the last example. If there were none, the next refusal is
//     a first one again.
type refusalLog struct {
	logger *slog.Logger
	count  func(code, reason string)

	mu sync.Mutex
	// pending has an entry for each cause that was logged within the last
	// interval.
	pending map[refusalCause]*pendingRefusals
}

type pendingRefusals struct {
	count int
	last  example
}

func newRefusalLog(logger *slog.Logger, count func(code, reason string)) *refusalLog {
	if count == nil {
		count = func(string, string) {}
	}
	return &refusalLog{logger: logger, count: count, pending: make(map[refusalCause]*pendingRefusals)}
}

// add counts one refusal and logs it if it is the first with its cause.
func (r *refusalLog) add(cause refusalCause, one example) {
	r.count(cause.code, string(cause.reason))
	r.mu.Lock()
	pending, told := r.pending[cause]
	if told {
		pending.count++
		pending.last = one
	} else {
		r.pending[cause] = &pendingRefusals{}
		time.AfterFunc(refusalInterval, func() { r.logPending(cause) })
	}
	r.mu.Unlock()
	if !told {
		r.log(cause, 1, one)
	}
}

// logPending logs the refusals of the interval that has ended.
func (r *refusalLog) logPending(cause refusalCause) {
	r.mu.Lock()
	pending := *r.pending[cause]
	if pending.count == 0 {
		delete(r.pending, cause)
	} else {
		r.pending[cause] = &pendingRefusals{}
		time.AfterFunc(refusalInterval, func() { r.logPending(cause) })
	}
	r.mu.Unlock()
	if pending.count > 0 {
		r.log(cause, pending.count, pending.last)
	}
}

func (r *refusalLog) log(cause refusalCause, count int, last example) {
	attributes := []any{slog.String("code", cause.code)}
	if cause.reason != "" {
		attributes = append(attributes, slog.String("reason", string(cause.reason)))
	}
	attributes = append(attributes, slog.Int("count", count), slog.String("lastRequestId", last.requestID), slog.String("lastError", last.cause))
	for _, about := range []string{string(cause.reason), cause.code} {
		if settings := settingsOf[about]; settings != "" {
			attributes = append(attributes, slog.String("settings", settings))
			break
		}
	}
	r.logger.Warn("callers were refused", attributes...)
}

// isRefusal reports whether a status refuses the caller: 401, 403 or 429.
func isRefusal(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests
}

// refusalCauseOf returns the cause of a refusal.
func refusalCauseOf(r *http.Request, p problem, err error) refusalCause {
	reason := session.ReasonOf(err)
	if reason == session.ReasonNoCredential && sentCookie(r) {
		reason = reasonCookie
	}
	return refusalCause{p.code, reason}
}

// sentCookie reports whether a request has a session cookie and no other
// credential.
func sentCookie(r *http.Request) bool {
	if _, sent := bearer(r); sent {
		return false
	}
	for _, cookie := range r.Cookies() {
		if strings.HasPrefix(cookie.Name, sessionCookie) {
			return true
		}
	}
	return false
}

// truncate shortens text to at most longest bytes, for log lines.
func truncate(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
