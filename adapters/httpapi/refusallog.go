package httpapi

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"chatkit-session/core/session"
)

// The reasons for which HTTP turns callers away.
const (
	// reasonCookie means that the credential is in a cookie that does not count,
	// mostly because the page's origin is not allowed.
	reasonCookie session.Reason = "cookie_does_not_count"
	// reasonNoToken and reasonUnknownToken are about tokens of sessions.
	reasonNoToken      session.Reason = "no_token"
	reasonUnknownToken session.Reason = "unknown_token"
	// reasonNoBackends, reasonNoKey and reasonUnknownKey are about the keys of
	// back ends.
	reasonNoBackends session.Reason = "introspection_is_off"
	reasonNoKey      session.Reason = "no_introspection_key"
	reasonUnknownKey session.Reason = "unknown_introspection_key"
)

// settingsOf names the settings that may be wrong when callers were refused
// with a code or for a reason.
var settingsOf = map[string]string{
	string(session.ReasonIssuer):      "CLERK_ISSUER",
	string(session.ReasonParty):       "CLERK_AUTHORIZED_PARTIES",
	string(session.ReasonAudience):    "CLERK_AUDIENCE",
	string(session.ReasonDeniedActor): "CHATKIT_DENY_ACTORS",
	string(session.ReasonUnknownKey):  "CLERK_SECRET_KEY",
	string(session.ReasonSignature):   "CLERK_JWT_KEY",
	string(reasonCookie):              "ALLOWED_ORIGINS",
	string(reasonNoBackends):          "INTROSPECTION_KEYS",
	string(reasonUnknownKey):          "INTROSPECTION_KEYS",
	codeOrigin:                        "ALLOWED_ORIGINS",
	codeNoRole:                        "CHATKIT_ROLE_CLAIMS, CHATKIT_DEFAULT_ROLE",
	codeForbidden:                     "CHATKIT_ACCESS_POLICY",
}

// refusal of callers is told to operators once a refusalInterval for each why.
const refusalInterval = time.Minute

// longestCause is how much of an error's text such a line has, in bytes: some of
// it may come from strangers.
const longestCause = 250

// why says why callers were refused: with which code and, where it is known
// more exactly, for which reason. There are as many as the code has constants.
type why struct {
	code   string
	reason session.Reason
}

// example is one of those who were turned away.
type example struct{ requestID, cause string }

// refusals tell operators of callers who are turned away, without a line for
// each. The first one is told at once. Those that follow within an interval are
// counted, and told together when it is over.
type refusals struct {
	logger *slog.Logger
	count  func(code, reason string)

	mu sync.Mutex
	// waiting has whatever was told within the last interval, with those that
	// came since.
	waiting map[why]*waitingRefusals
}

type waitingRefusals struct {
	count int
	last  example
}

func newRefusals(logger *slog.Logger, count func(code, reason string)) *refusals {
	if count == nil {
		count = func(string, string) {}
	}
	return &refusals{logger: logger, count: count, waiting: make(map[why]*waitingRefusals)}
}

// note counts one who was turned away.
func (r *refusals) note(w why, one example) {
	r.count(w.code, string(w.reason))
	r.mu.Lock()
	waiting, told := r.waiting[w]
	if told {
		waiting.count++
		waiting.last = one
	} else {
		r.waiting[w] = &waitingRefusals{}
		time.AfterFunc(refusalInterval, func() { r.tellWaiting(w) })
	}
	r.mu.Unlock()
	if !told {
		r.tell(w, 1, one)
	}
}

// tellWaiting tells of those that came within an interval.
func (r *refusals) tellWaiting(w why) {
	r.mu.Lock()
	waiting := *r.waiting[w]
	if waiting.count == 0 {
		delete(r.waiting, w)
	} else {
		r.waiting[w] = &waitingRefusals{}
		time.AfterFunc(refusalInterval, func() { r.tellWaiting(w) })
	}
	r.mu.Unlock()
	if waiting.count > 0 {
		r.tell(w, waiting.count, waiting.last)
	}
}

func (r *refusals) tell(w why, count int, last example) {
	attributes := []any{slog.String("code", w.code)}
	if w.reason != "" {
		attributes = append(attributes, slog.String("reason", string(w.reason)))
	}
	attributes = append(attributes, slog.Int("count", count), slog.String("lastRequestId", last.requestID), slog.String("lastError", last.cause))
	for _, about := range []string{string(w.reason), w.code} {
		if settings := settingsOf[about]; settings != "" {
			attributes = append(attributes, slog.String("settings", settings))
			break
		}
	}
	r.logger.Warn("callers were refused", attributes...)
}

// turnsAway reports whether an answer turns its caller away for who they are,
// or for how often they ask.
func turnsAway(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests
}

// whyOf says why the caller of a request is turned away.
func whyOf(r *http.Request, p problem, err error) why {
	reason := session.ReasonOf(err)
	if reason == session.ReasonNoCredential && sentCookie(r) {
		reason = reasonCookie
	}
	return why{p.code, reason}
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

// cut shortens what strangers may have sent to so many bytes, for logs.
func cut(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
