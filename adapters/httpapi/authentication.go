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

// sessionCookie is where Clerk keeps the session token of a page on the same
// site. Its scripts write it under another name, too, which ends in "_" and the
// instance's suffix: the first characters of the base64url of the SHA-1 of the
// instance's publishable key. Pages of several instances on one host, as on a
// developer's localhost, take the first name from each other, and have only the
// second to themselves.
const (
	sessionCookie = "__session"
	suffixLength  = 8
	// mostCookies bounds how many different ones are verified.
	mostCookies = 4
)

func isSessionCookie(name string) bool {
	suffix, is := strings.CutPrefix(name, sessionCookie)
	return is && (suffix == "" || (suffix[0] == '_' && len(suffix) == 1+suffixLength && !strings.ContainsFunc(suffix, notBase64)))
}

// notBase64 reports whether a character is none of base64url (RFC 4648, 5).
func notBase64(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}

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

// credentials returns the Clerk session tokens that the request carries and that
// count, none when there are none: the header's, or those of cookies, at most
// mostCookies different ones. A browser sends cookies for any page: they count
// only when the page is one of ours.
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

// sessionCookies returns the different values of session cookies; none when a
// name comes twice with different ones: then a neighbouring host plants cookies,
// and those of other names may be its own.
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
		if cookie.Value != "" && len(tokens) < mostCookies && !slices.Contains(tokens, cookie.Value) {
			tokens = append(tokens, cookie.Value)
		}
	}
	return tokens
}

var errTwoSignIns = errors.New("the request has cookies of several sign-ins")

// identify lets in whom one of the request's credentials is good for: those of
// other Clerk instances are not. Two that are good, of different sign-ins or of
// the user and an actor, are as bad as none: one of them may be planted.
func (s *server) identify(ctx context.Context, credentials []string, wants access.Permission) (access.Caller, error) {
	if len(credentials) == 0 {
		return s.Authorizer.Authorize(ctx, "", wants)
	}
	caller, err := s.Authorizer.Authorize(ctx, credentials[0], wants)
	for _, credential := range credentials[1:] {
		another, refused := s.Authorizer.Authorize(ctx, credential, wants)
		switch {
		case another.User.IsZero(): // not good, or not known to be
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
