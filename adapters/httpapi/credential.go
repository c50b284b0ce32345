package httpapi

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// sessionCookie is where Clerk keeps the session token of a page on the same
// site.
const sessionCookie = "__session"

// bearer returns the bearer token of the Authorization header (RFC 6750, 2.1),
// empty when it has none, and whether the header was sent at all.
func bearer(r *http.Request) (token string, sent bool) {
	header := r.Header.Get(echo.HeaderAuthorization)
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", header != ""
	}
	return strings.TrimSpace(token), true
}

// credential returns the Clerk session token that the request carries, empty
// when it carries none that counts. A browser sends cookies for any page: the
// cookie counts only when the page is one of ours.
func (s *server) credential(r *http.Request) string {
	if token, sent := bearer(r); sent {
		return token
	}
	origin := r.Header.Get(echo.HeaderOrigin)
	sameOrigin := r.Method == http.MethodGet && origin == "" && r.Header.Get("Sec-Fetch-Site") == "same-origin"
	if !sameOrigin && !s.origins.allow(origin) {
		return ""
	}
	cookies := r.CookiesNamed(sessionCookie)
	for _, cookie := range cookies {
		if cookie.Value != cookies[0].Value {
			return "" // one of them may be planted by a neighbouring host
		}
	}
	if len(cookies) == 0 {
		return ""
	}
	return cookies[0].Value
}
