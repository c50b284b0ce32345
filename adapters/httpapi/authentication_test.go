package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	"chatkit-session/adapters/httpapi"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Which credential reaches the gate.
func TestOpenSession_Credential(t *testing.T) {
	t.Parallel()
	const cookie = "theme=dark; __session=from-cookie; x=y"
	cases := map[string]struct {
		headers []string
		want    string
	}{
		"None":                         {nil, ""},
		"Bearer":                       {[]string{"Authorization", "Bearer jwt"}, "jwt"},
		"BearerInLowerCase":            {[]string{"Authorization", "bearer jwt"}, "jwt"},
		"BearerWithSpaces":             {[]string{"Authorization", "Bearer   jwt "}, "jwt"},
		"OtherScheme":                  {[]string{"Authorization", "Basic jwt"}, ""},
		"NoScheme":                     {[]string{"Authorization", "jwt"}, ""},
		"SchemeOnly":                   {[]string{"Authorization", "Bearer"}, ""},
		"CookieFromOurPage":            {[]string{"Cookie", cookie, "Origin", page}, "from-cookie"},
		"CookieFromAnotherPage":        {[]string{"Cookie", cookie, "Origin", "https://evil.example"}, ""},
		"CookieWithoutOrigin":          {[]string{"Cookie", cookie}, ""},
		"CookieWithNullOrigin":         {[]string{"Cookie", cookie, "Origin", "null"}, ""},
		"CookieOfThePostOfTheSameSite": {[]string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}, ""},
		"HeaderBeforeCookie":           {[]string{"Cookie", cookie, "Origin", page, "Authorization", "Bearer jwt"}, "jwt"},
		"BadHeaderBeforeCookie":        {[]string{"Cookie", cookie, "Origin", page, "Authorization", "Basic x"}, ""},
		"TwoCookies":                   {[]string{"Cookie", "__session=planted; __session=from-cookie", "Origin", page}, ""},
		"TheSameCookieTwice":           {[]string{"Cookie", "__session=from-cookie; __session=from-cookie", "Origin", page}, "from-cookie"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			s.authorizer.EXPECT().Authorize(gomock.Any(), test.want, access.ReadOwn).Return(access.Caller{}, session.Wrap(session.KindUnauthenticated, session.KindUnauthenticated))
			got := s.do(t, request(t, http.MethodPost, openPath, "", test.headers...))
			want := `Bearer error="invalid_token"`
			if test.want == "" {
				want = "Bearer"
			}
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != want {
				t.Errorf("got %d %s, WWW-Authenticate %q", got.status, got.body, got.header.Get("WWW-Authenticate"))
			}
		})
	}
}

// A page of the service's own origin reads with the cookie; other sites'
// pages, and requests that change something, do not.
func TestCredential_SameOriginReads(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, site, origin, want string
	}{
		"Read":          {http.MethodGet, "same-origin", "", "from-cookie"},
		"Write":         {http.MethodPost, "same-origin", "", ""},
		"SameSite":      {http.MethodGet, "same-site", "", ""},
		"CrossSite":     {http.MethodGet, "cross-site", "", ""},
		"Typed":         {http.MethodGet, "none", "", ""},
		"OldBrowser":    {http.MethodGet, "", "", ""},
		"ForeignOrigin": {http.MethodGet, "same-origin", "https://evil.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t, test.method, openPath, "", "Cookie", "__session=from-cookie", "Sec-Fetch-Site", test.site)
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			if got, err := httpapi.CredentialsOf(r, page); err != nil || strings.Join(got, " ") != test.want {
				t.Errorf("the credentials are %q, %v", got, err)
			}
		})
	}
}

// Clerk's scripts name the cookie after their instance, too: each different value
// counts once, and only a few do.
func TestCredential_Cookies(t *testing.T) {
	t.Parallel()
	var storm []string
	for n := range 1000 {
		storm = append(storm, fmt.Sprintf("__session_%08d=%d", n, n))
	}
	for cookies, want := range map[string]string{
		"__session_Abc-_123=a":                                       "a",
		"__session=a; __session_Abc-_123=a":                          "a",
		"__session=a; __session_Abc-_123=b; __session_zzzzzzzz=c":    "a b c",
		"__session=; __session_Abc-_123=b":                           "b",
		"__session=a; __session=planted; __session_Abc-_123=b":       "",
		"__session_Abc-_123=b; __session=a; __session_Abc-_123=c":    "",
		"__session=a; __session=b; __session=a":                      "",
		"__session_=a; __session_short=a; __session_123456789=a":     "",
		"__session_Abc-_12!=a; __sessionAbc-_123=a; __client_uat=17": "",
		strings.Join(storm, "; "):                                    "0 1 2 3",
	} {
		r := request(t, http.MethodPost, openPath, "", "Cookie", cookies, "Origin", page)
		if got, err := httpapi.CredentialsOf(r, page); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%.100s has the credentials %q, %v, want %s", cookies, got, err, want)
		}
	}
}

// Of several cookies, the valid one counts; two that are, of different
// sign-ins, do not.
func TestOpenSession_SeveralCookies(t *testing.T) {
	t.Parallel()
	other := member
	other.SignIn = session.Must(session.ParseSignInID("sess_2"))
	stranger := member
	stranger.User = session.Must(session.ParseUserID("user_2"))
	actor := member
	actor.Actor = session.Must(session.NewActor(session.ActorAgent, "agent_1"))
	type gate struct {
		caller access.Caller
		err    error
	}
	good, bad, unknown := gate{member, nil}, gate{err: session.KindUnauthenticated}, gate{err: session.KindUnavailable}
	for name, test := range map[string]struct {
		gates []gate // of a, b and c
		want  int
	}{
		"First":               {[]gate{good, bad, bad}, 200},
		"Last":                {[]gate{bad, bad, good}, 200},
		"AfterAnUnknown":      {[]gate{unknown, good, bad}, 200},
		"BeforeAnUnknown":     {[]gate{good, unknown}, 200},
		"SameSignIn":          {[]gate{good, good, bad}, 200},
		"None":                {[]gate{bad, bad}, 401},
		"NoneIsKnown":         {[]gate{bad, unknown, bad}, 503},
		"UnknownFirst":        {[]gate{unknown, bad}, 503},
		"AnotherSignIn":       {[]gate{good, bad, {other, nil}}, 401},
		"AnotherUser":         {[]gate{{stranger, nil}, good}, 401},
		"ActorInTheSignIn":    {[]gate{good, {actor, nil}}, 401},
		"UserBesideAnActor":   {[]gate{{actor, session.KindActorDenied}, good}, 401},
		"AnotherWithoutARole": {[]gate{{stranger, session.KindNoRole}, good}, 401},
		"WithoutARole":        {[]gate{bad, {member, session.KindNoRole}}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, httpapi.Config{})
			cookies := ""
			for i, gate := range test.gates {
				value := string(rune('a' + i))
				cookies += "__session_0000000" + value + "=" + value + ";"
				s.authorizer.EXPECT().Authorize(gomock.Any(), value, access.ReadOwn).Return(gate.caller, gate.err).MaxTimes(1)
			}
			s.opener.EXPECT().Workflow().Return(workflow, nil).AnyTimes()
			s.opener.EXPECT().Open(gomock.Any(), calling, gomock.Any()).DoAndReturn(
				func(_ context.Context, _ access.Caller, r ports.OpenRequest) (ports.Opened, error) {
					return opened(r), nil
				}).AnyTimes()
			if got := s.do(t, request(t, http.MethodPost, openPath, "", "Cookie", cookies, "Origin", page)); got.status != test.want {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}
