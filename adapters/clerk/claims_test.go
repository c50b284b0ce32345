package clerk_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/clerk"
	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/core/session"
)

// turnsAway checks that a credential is refused as invalid, for a reason that
// operators are told.
func turnsAway(t *testing.T, a *clerk.Authenticator, credential string, want session.Reason) {
	t.Helper()
	got, err := a.Authenticate(t.Context(), credential)
	if !errors.Is(err, session.KindUnauthenticated) || session.ReasonOf(err) != want || !got.User.IsZero() {
		t.Errorf("Authenticate = %+v, %v, refused for %q, want %q", got, err, session.ReasonOf(err), want)
	}
}

// Of all that Clerk signs with one key only session tokens are let in, with
// either way to have the key, and whether or not one was seen before.
func TestAuthenticator_OnlySessionTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header map[string]any
		reason session.Reason // empty where it is let in
	}{
		"SessionToken":         {map[string]any{}, ""},
		"NoCategory":           {map[string]any{"cat": nil}, ""},
		"NullCategory":         {map[string]any{"cat": json.RawMessage("null")}, ""},
		"Template":             {map[string]any{"cat": fakeclerk.CategoryTemplate}, session.ReasonNotSession},
		"Machine":              {map[string]any{"cat": fakeclerk.CategoryMachine}, session.ReasonNotSession},
		"AnotherCategory":      {map[string]any{"cat": "cl_B7d4PD444AAA"}, session.ReasonNotSession},
		"CategoryInLowerCase":  {map[string]any{"cat": strings.ToLower(fakeclerk.CategorySession)}, session.ReasonNotSession},
		"CategoryAndMore":      {map[string]any{"cat": fakeclerk.CategorySession + "A"}, session.ReasonNotSession},
		"EmptyCategory":        {map[string]any{"cat": ""}, session.ReasonNotSession},
		"CategoryOfOtherType":  {map[string]any{"cat": 1}, session.ReasonMalformed},
		"TypeInLowerCase":      {map[string]any{"typ": "jwt"}, ""},
		"NoType":               {map[string]any{"typ": nil}, ""},
		"OAuthAccessToken":     {map[string]any{"typ": "at+jwt"}, session.ReasonNotSession},
		"OAuthOfNoCategory":    {map[string]any{"typ": "at+jwt", "cat": nil}, session.ReasonNotSession},
		"OAuthInUpperCase":     {map[string]any{"typ": "AT+JWT", "cat": nil}, session.ReasonNotSession},
		"OAuthAsMediaType":     {map[string]any{"typ": "application/at+jwt", "cat": nil}, session.ReasonNotSession},
		"EmptyType":            {map[string]any{"typ": ""}, session.ReasonNotSession},
		"TypeOfOtherType":      {map[string]any{"typ": []string{"JWT"}}, session.ReasonMalformed},
		"NeitherTypeNorClass":  {map[string]any{"typ": nil, "cat": nil}, ""},
		"TemplateWithoutType":  {map[string]any{"typ": nil, "cat": fakeclerk.CategoryTemplate}, session.ReasonNotSession},
		"SessionTokenOfNoKind": {map[string]any{"typ": nil}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			credential := b.mintAs(t, c.header)
			for _, a := range []*clerk.Authenticator{b.offline(t), b.offline(t, remember(10)), b.online(t)} {
				for range 2 {
					if c.reason != "" {
						turnsAway(t, a, credential, c.reason)
					} else if got, err := a.Authenticate(t.Context(), credential); err != nil || got != proven {
						t.Errorf("Authenticate = %+v, %v", got, err)
					}
				}
			}
			if c.reason != "" && b.api.Requests("/jwks") > 0 {
				t.Error("keys were fetched for it")
			}
		})
	}
}

// A credential for others is refused where the operator says for whom they must
// be.
func TestAuthenticator_Audience(t *testing.T) {
	t.Parallel()
	listed := func(c *clerk.Config) { c.Audience = []string{"chat", "https://api.example.com"} }
	for name, c := range map[string]struct {
		claim any
		good  bool
	}{
		"None":             {nil, true},
		"Ours":             {"chat", true},
		"OurOther":         {"https://api.example.com", true},
		"OursAmongOthers":  {[]string{"billing", "chat"}, true},
		"OursAlone":        {[]string{"chat"}, true},
		"Foreign":          {"billing", false},
		"ForeignOnes":      {[]string{"billing", "mail"}, false},
		"OfAnotherCase":    {"Chat", false},
		"PartOfOurs":       {"cha", false},
		"OursInOneText":    {"billing chat", false},
		"Empty":            {"", false},
		"EmptyList":        {[]string{}, false},
		"ListOfEmpty":      {[]string{""}, false},
		"ListWithANumber":  {[]any{"chat", 1}, false},
		"WithATrailingOne": {"https://api.example.com/", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			credential := b.mint(t, map[string]any{"aud": c.claim})
			if !c.good {
				_, err := b.offline(t, listed).Authenticate(t.Context(), credential)
				if reason := session.ReasonOf(err); !errors.Is(err, session.KindUnauthenticated) || (reason != session.ReasonAudience && name != "ListWithANumber") {
					t.Errorf("refused for %q: %v", reason, err)
				}
			} else if got, err := b.offline(t, listed).Authenticate(t.Context(), credential); err != nil || got != proven {
				t.Errorf("Authenticate = %+v, %v", got, err)
			}
			if name == "ListWithANumber" {
				return // the SDK refuses it
			}
			if got, err := b.offline(t).Authenticate(t.Context(), credential); err != nil || got != proven {
				t.Errorf("without a list Authenticate = %+v, %v", got, err)
			}
		})
	}
	b := setup(t)
	_, err := b.offline(t, listed).Authenticate(t.Context(), b.mint(t, map[string]any{"aud": strings.Repeat("x", 4000)}))
	if err == nil || len(err.Error()) > 250 || !strings.Contains(err.Error(), "xxx…") {
		t.Errorf("refused as %v", err)
	}
}

// The actor in the user's name is the outermost one; a claim that
// cannot be read is no user in person.
func TestAuthenticator_Actor(t *testing.T) {
	t.Parallel()
	const support = "user_support"
	is := func(kind session.ActorKind, subject string) session.Actor {
		return session.Must(session.NewActor(kind, subject))
	}
	longest := strings.Repeat("s", session.MaxActorSubjectLength)
	for name, c := range map[string]struct {
		claim any
		want  session.Actor
	}{
		"None":            {nil, session.Actor{}},
		"Null":            {json.RawMessage("null"), session.Actor{}},
		"Impersonator":    {map[string]any{"sub": support}, is(session.ActorImpersonator, support)},
		"Agent":           {map[string]any{"sub": "agent_1", "type": "agent"}, is(session.ActorAgent, "agent_1")},
		"AnotherType":     {map[string]any{"sub": support, "type": "robot"}, is(session.ActorImpersonator, support)},
		"TypeInUpperCase": {map[string]any{"sub": support, "type": "AGENT"}, is(session.ActorImpersonator, support)},
		"NullType":        {map[string]any{"sub": support, "type": nil}, is(session.ActorImpersonator, support)},
		"EmptyType":       {map[string]any{"sub": support, "type": ""}, is(session.ActorImpersonator, support)},
		"Nested": {
			map[string]any{"sub": "agent_1", "type": "agent", "act": map[string]any{"sub": support}},
			is(session.ActorAgent, "agent_1"),
		},
		"WithMore": {map[string]any{"sub": support, "iss": "https://dashboard.clerk.com", "sid": "sess_9"}, is(session.ActorImpersonator, support)},
		"Longest":  {map[string]any{"sub": longest}, is(session.ActorImpersonator, longest)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			want := proven
			want.Actor = c.want
			credential := b.mint(t, map[string]any{"act": c.claim})
			for _, a := range []*clerk.Authenticator{b.offline(t), b.offline(t, remember(10))} {
				for range 2 {
					if got, err := a.Authenticate(t.Context(), credential); err != nil || got != want {
						t.Errorf("Authenticate = %+v, %v, want %+v", got, err, want)
					}
				}
			}
		})
	}
	for name, claim := range map[string]any{
		"NoSubject":            map[string]any{"type": "agent"},
		"Nothing":              map[string]any{},
		"NullSubject":          map[string]any{"sub": nil},
		"EmptySubject":         map[string]any{"sub": ""},
		"NumberAsSubject":      map[string]any{"sub": 7},
		"SubjectInUpperCase":   map[string]any{"SUB": support},
		"SubjectOnlyNested":    map[string]any{"act": map[string]any{"sub": support}},
		"NumberAsType":         map[string]any{"sub": support, "type": 1},
		"SpaceInSubject":       map[string]any{"sub": "user support"},
		"LineInSubject":        map[string]any{"sub": "user\r\nX-ChatKit-User-Id: admin"},
		"SubjectNotASCII":      map[string]any{"sub": "üser"},
		"ControlInSubject":     map[string]any{"sub": "user\x7f"},
		"TooLong":              map[string]any{"sub": longest + "s"},
		"Text":                 support,
		"EmptyText":            "",
		"Number":               0,
		"False":                false,
		"List":                 []any{map[string]any{"sub": support}},
		"EmptyList":            []any{},
		"SubjectOfAnotherCase": map[string]any{"Sub": support},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			turnsAway(t, b.offline(t), b.mint(t, map[string]any{"act": claim}), session.ReasonClaims)
		})
	}
}

// When the user last verified a factor, as a credential says it, whenever it is
// shown; what it says in no known form says nothing.
func TestAuthenticator_Verified(t *testing.T) {
	t.Parallel()
	const century = 100 * 365 * 24 * 60 // minutes
	var never time.Time
	ago := func(minutes int64) time.Time { return noon.Add(-time.Duration(minutes) * time.Minute) }
	for name, c := range map[string]struct {
		claim any
		want  time.Time
	}{
		"Now":              {[]int{0, -1}, noon},
		"FirstFactorOnly":  {[]int{7, -1}, ago(7)},
		"SecondFactorOnly": {[]int{-1, 7}, ago(7)},
		"FirstIsLatest":    {[]int{3, 90}, ago(3)},
		"SecondIsLatest":   {[]int{5, 3}, ago(3)},
		"Neither":          {[]int{-1, -1}, never},
		"OtherNegative":    {[]int{-9, -2}, never},
		"LeastOfAll":       {[]int64{math.MinInt64, math.MinInt64}, never},
		"NoClaim":          {nil, never},
		"Null":             {json.RawMessage("null"), never},
		"Nulls":            {json.RawMessage("[null,null]"), never},
		"NullAndAnAge":     {json.RawMessage("[null,3]"), never},
		"Empty":            {[]int{}, never},
		"One":              {[]int{0}, never},
		"Three":            {[]int{0, 0, 0}, never},
		"Longest":          {[]int64{century, -1}, ago(century)},
		"PastAnyLife":      {[]int64{century + 1, -1}, never},
		"WrapsAround":      {[]int64{math.MaxInt64, 5}, ago(5)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			token := b.mint(t, map[string]any{"fva": c.claim})
			forgetful, remembering := b.offline(t), b.offline(t, remember(10))
			for _, age := range []time.Duration{0, 40 * time.Second} { // of the token
				b.clock.advance(age)
				for name, a := range map[string]*clerk.Authenticator{"forgetful": forgetful, "remembering": remembering} {
					got, err := a.Authenticate(t.Context(), token)
					if err != nil || got.User != user {
						t.Fatalf("Authenticate = %+v, %v", got, err)
					}
					if got.Verified != c.want {
						t.Errorf("%s: a factor was verified at %v, want %v", name, got.Verified, c.want)
					}
				}
			}
		})
	}
	t.Run("OfNoTime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got, err := b.offline(t).Authenticate(t.Context(), b.mint(t, map[string]any{"iat": nil}))
		if err != nil || got.Verified != never {
			t.Errorf("Authenticate = %+v, %v", got, err)
		}
	})
	// The SDK refuses a token whose claim is of these types, which Clerk never
	// sends.
	for name, claim := range map[string]any{
		"Number": 0, "Text": "0", "Texts": []string{"0", "0"}, "Object": map[string]int{"0": 0}, "Fractions": []float64{0.5, -1}, "PastInt64": json.RawMessage("[1e30,0]"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			got, err := b.offline(t).Authenticate(t.Context(), b.mint(t, map[string]any{"fva": claim}))
			if !errors.Is(err, session.KindUnauthenticated) && (err != nil || got.Verified != never) {
				t.Errorf("Authenticate = %+v, %v", got, err)
			}
		})
	}
}
