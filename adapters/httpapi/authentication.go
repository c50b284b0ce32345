package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

// sessionCookie is the cookie in which Clerk keeps the session token for pages
// of the same site. Clerk's scripts also write it under a second name, which
// ends in "_" and the instance's suffix: the first characters of the base64url
// of the SHA-1 of the instance's publishable key. Pages of several instances
// on one host, such as a developer's localhost, overwrite each other's first
// cookie, so that only the second belongs to one instance.
const (
	sessionCookie = "__session"
	suffixLength  = 8
	// maxCookies bounds the number of different cookies that are verified.
	maxCookies = 4
)

func isSessionCookie(name string) bool {
	suffix, is := strings.CutPrefix(name, sessionCookie)
	return is && (suffix == "" || (suffix[0] == '_' && len(suffix) == 1+suffixLength && !strings.ContainsFunc(suffix, notBase64)))
}

// notBase64 reports whether r is not a base64url character (RFC 4648, 5).
func notBase64(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}

// bearer returns the bearer token of the Authorization header (RFC 6750, 2.1),
// and whether the header was sent at all. The token is empty if there is none.
func bearer(r *http.Request) (token string, sent bool) {
	header := r.Header.Get(echo.HeaderAuthorization)
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", header != ""
	}
	return strings.TrimSpace(token), true
}

// credentials returns the Clerk session tokens of the request: the bearer
// token if there is an Authorization header, otherwise the values of up to
// maxCookies session cookies. Browsers attach cookies to requests of every
// page, so cookies are accepted only from allowed origins.
func (s *server) credentials(r *http.Request) []string {
	if token, sent := bearer(r); sent {
		return []string{token}
	}
	origin := r.Header.Get(echo.HeaderOrigin)
	sameOrigin := r.Method == http.MethodGet && origin == "" && r.Header.Get("Sec-Fetch-Site") == "same-origin"
	if !sameOrigin && !s.origins.allow(origin) {
		return nil
	}
	return sessionCookies(r)
}

// sessionCookies returns the different values of the session cookies. It
// returns none if one name has several values: then another host of the same
// domain has set cookies, and cookies with other names may be forged, too.
func sessionCookies(r *http.Request) []string {
	var tokens []string
	values := map[string]string{}
	for _, cookie := range r.Cookies() {
		if !isSessionCookie(cookie.Name) {
			continue
		}
		if value, again := values[cookie.Name]; again && value != cookie.Value {
			return nil
		}
		values[cookie.Name] = cookie.Value
		if cookie.Value != "" && len(tokens) < maxCookies && !slices.Contains(tokens, cookie.Value) {
			tokens = append(tokens, cookie.Value)
		}
	}
	return tokens
}

var errTwoSignIns = errors.New("the request has cookies of several sign-ins")

// authenticate returns the caller of the one valid credential. Cookies of
// other Clerk instances are invalid and skipped. If two credentials are valid
// and belong to different sign-ins, none is accepted, because one of them may
// be forged.
func (s *server) authenticate(ctx context.Context, credentials []string, wants access.Permission) (access.Caller, error) {
	if len(credentials) == 0 {
		return s.Authorizer.Authorize(ctx, "", wants)
	}
	caller, err := s.Authorizer.Authorize(ctx, credentials[0], wants)
	for _, credential := range credentials[1:] {
		another, refused := s.Authorizer.Authorize(ctx, credential, wants)
		switch {
		case another.User.IsZero(): // invalid, or not known to be valid
			if errors.Is(err, session.KindUnauthenticated) && errors.Is(refused, session.KindUnavailable) {
				err = refused
			}
		case caller.User.IsZero():
			caller, err = another, refused
		case caller.User != another.User || caller.Holder != another.Holder:
			return access.Caller{}, session.Wrap(session.KindUnauthenticated, errTwoSignIns)
		}
	}
	return caller, err
}
