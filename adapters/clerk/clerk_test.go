package clerk_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"

	"chatkit-session/adapters/clerk"
	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

const (
	issuer = "https://clerk.example.com"
	secret = "sk_test_0123456789" //nolint:gosec // a test's own
	// patience is how long a test waits for what must come.
	patience = 10 * time.Second
)

var (
	noon   = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	user   = session.Must(session.ParseUserID("user_1"))
	member = session.Must(access.ParseRole("member"))
	// proven is what a member's credential of noon proves.
	proven = ports.Identity{
		Bearer: session.Bearer{User: user, Holder: session.Holder{SignIn: session.Must(session.ParseSignInID("sess_1"))}, Verified: noon},
		Role:   member,
	}
)

// Making keys takes long: the tests share two instances.
var instances = sync.OnceValue(func() [2]*fakeclerk.Instance {
	return [2]*fakeclerk.Instance{session.Must(fakeclerk.New(issuer)), session.Must(fakeclerk.New(issuer))}
})

// clock is a ports.Clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is an authenticator's surroundings at noon.
type bench struct {
	clock  *clock
	api    *fakeclerk.API
	config clerk.Config
}

func setup(t testing.TB) *bench {
	t.Helper()
	b := &bench{clock: &clock{now: noon}, api: fakeclerk.NewAPI(secret, instances()[0])}
	server := httptest.NewServer(b.api)
	t.Cleanup(server.Close)
	b.config = clerk.Config{
		SecretKey: secret, APIURL: server.URL, Issuer: issuer, Clock: b.clock,
		RoleClaims: []string{"metadata.role", "public_metadata.role", "role"},
	}
	return b
}

func (b *bench) offline(t testing.TB, changes ...func(*clerk.Config)) *clerk.Authenticator {
	t.Helper()
	config := b.config
	config.SecretKey, config.JWTKey = "", string(instances()[0].PublicPEM())
	for _, change := range changes {
		change(&config)
	}
	return b.make(t, config)
}

func (b *bench) online(t testing.TB) *clerk.Authenticator { t.Helper(); return b.make(t, b.config) }

func (b *bench) make(t testing.TB, config clerk.Config) *clerk.Authenticator {
	t.Helper()
	authenticator, err := clerk.NewAuthenticator(config)
	if err != nil {
		t.Fatal(err)
	}
	return authenticator
}

// mint signs a member's credential, now, with claims replaced by name.
func (b *bench) mint(t testing.TB, override map[string]any) string {
	t.Helper()
	return b.mintBy(t, instances()[0], override)
}

// mintAs signs a member's credential whose header has members replaced by name.
func (b *bench) mintAs(t testing.TB, header map[string]any) string {
	t.Helper()
	token, err := instances()[0].Mint(fakeclerk.Claims{Subject: "user_1", SignIn: "sess_1", Role: "member", IssuedAt: b.clock.Now(), Header: header})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (b *bench) mintBy(t testing.TB, instance *fakeclerk.Instance, override map[string]any) string {
	t.Helper()
	token, err := instance.Mint(fakeclerk.Claims{Subject: "user_1", SignIn: "sess_1", Role: "member", IssuedAt: b.clock.Now(), Override: override})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAuthenticator_Contract(t *testing.T) {
	t.Parallel()
	t.Run("PEM", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		porttest.Authenticator(t, b.offline(t), b.mint(t, nil), proven)
	})
	t.Run("JWKS", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		porttest.Authenticator(t, b.online(t), b.mint(t, nil), proven)
	})
}

func kind(t *testing.T, authenticator *clerk.Authenticator, credential string, want error) {
	t.Helper()
	if _, err := authenticator.Authenticate(t.Context(), credential); !errors.Is(err, want) {
		t.Errorf("Authenticate = %v, want %v", err, want)
	}
}

func TestAuthenticator_Refuses(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	for name, override := range map[string]map[string]any{
		"Expired":            {"exp": at(-6 * time.Second)},
		"NotYetValid":        {"nbf": at(6 * time.Second)},
		"IssuedInTheFuture":  {"iat": at(6 * time.Second)},
		"NoExpiry":           {"exp": nil},
		"NoUser":             {"sub": nil},
		"BadUser":            {"sub": "user 1"},
		"NoSignIn":           {"sid": nil},
		"BadSignIn":          {"sid": strings.Repeat("s", 200)},
		"PendingSignIn":      {"sts": "pending"},
		"OddSignInStatus":    {"sts": 1},
		"OtherIssuer":        {"iss": "https://clerk.example.com.evil.example"},
		"IssuerOfSamePrefix": {"iss": "https://clerk.evil.example"},
		"NoIssuer":           {"iss": nil},
		"UserOfAnotherType":  {"sub": 7},
		"TooLong":            {"pad": strings.Repeat("x", 16<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			kind(t, b.offline(t), b.mint(t, override), session.KindUnauthenticated)
		})
	}
	t.Run("AnotherKeyOffline", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		kind(t, b.offline(t), b.mintBy(t, instances()[1], nil), session.KindUnauthenticated)
	})
	t.Run("AnotherKeyOnline", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		kind(t, b.online(t), b.mintBy(t, instances()[1], nil), session.KindUnauthenticated)
	})
	for _, algorithm := range []string{"none", "HS256", "RS512"} {
		t.Run("Algorithm/"+algorithm, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for _, a := range []*clerk.Authenticator{b.offline(t), b.online(t)} {
				kind(t, a, forge(algorithm, b.mint(t, nil)), session.KindUnauthenticated)
			}
		})
	}
}

// An operator who trusts the wrong issuer or party hears which one it is.
func TestAuthenticator_Reasons(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	long := "https://clerk.example.com/" + strings.Repeat("x", 4000)
	listed := func(c *clerk.Config) { c.AuthorizedParties = []string{"https://app.example.com"} }
	for name, c := range map[string]struct {
		override map[string]any
		reason   session.Reason
		says     string
	}{
		"Expired":       {map[string]any{"exp": at(-6 * time.Second)}, session.ReasonExpired, ""},
		"NotYetValid":   {map[string]any{"nbf": at(6 * time.Second)}, session.ReasonNotYetValid, ""},
		"OfTheFuture":   {map[string]any{"iat": at(6 * time.Second)}, session.ReasonNotYetValid, ""},
		"OtherIssuer":   {map[string]any{"iss": "https://clerk.other.example"}, session.ReasonIssuer, `"https://clerk.other.example"`},
		"LongIssuer":    {map[string]any{"iss": long}, session.ReasonIssuer, `xxx…"`},
		"OtherParty":    {map[string]any{"azp": "https://evil.example"}, session.ReasonParty, `"https://evil.example"`},
		"NoParty":       {map[string]any{"azp": nil}, session.ReasonParty, `""`},
		"Pending":       {map[string]any{"azp": "https://app.example.com", "sts": "pending"}, session.ReasonPending, ""},
		"NoUser":        {map[string]any{"azp": "https://app.example.com", "sub": nil}, session.ReasonClaims, ""},
		"ClaimsNoSense": {map[string]any{"exp": "soon"}, session.ReasonMalformed, ""},
		"TooLong":       {map[string]any{"pad": strings.Repeat("x", 16<<10)}, session.ReasonMalformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, err := b.offline(t, listed).Authenticate(t.Context(), b.mint(t, c.override))
			if session.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 250 {
				t.Errorf("refused for %q, want %q: %v", session.ReasonOf(err), c.reason, err)
			}
		})
	}
	b := setup(t)
	foreign := b.mintBy(t, instances()[1], nil)
	for name, c := range map[string]struct {
		authenticator *clerk.Authenticator
		credential    string
		reason        session.Reason
	}{
		"Signature":      {b.offline(t), foreign, session.ReasonSignature},
		"UnknownKey":     {b.online(t), foreign, session.ReasonUnknownKey},
		"NoJWT":          {b.online(t), "jwt", session.ReasonMalformed},
		"NoJWTOffline":   {b.offline(t), "jwt", session.ReasonMalformed},
		"OtherAlgorithm": {b.offline(t), forge("HS256", b.mint(t, nil)), session.ReasonMalformed},
	} {
		if _, err := c.authenticator.Authenticate(t.Context(), c.credential); session.ReasonOf(err) != c.reason || !errors.Is(err, session.KindUnauthenticated) {
			t.Errorf("%s is refused for %q, want %q: %v", name, session.ReasonOf(err), c.reason, err)
		}
	}
}

// forge gives a credential another algorithm and, for HS256, a signature by
// the public key.
func forge(algorithm, good string) string {
	parts := strings.Split(good, ".")
	header := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, algorithm, instances()[0].KeyID())
	parts[0] = base64.RawURLEncoding.EncodeToString([]byte(header))
	switch algorithm {
	case "none":
		parts[2] = ""
	case "HS256":
		mac := hmac.New(sha256.New, instances()[0].PublicPEM())
		mac.Write([]byte(parts[0] + "." + parts[1]))
		parts[2] = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(parts, ".")
}

func TestAuthenticator_Accepts(t *testing.T) {
	t.Parallel()
	good, noRole, withOrg := proven, proven, proven
	withOrg.OrganizationRole = session.Must(access.OrganizationRole("admin"))
	noRole.Role = access.Role{}
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	for name, c := range map[string]struct {
		override map[string]any
		want     ports.Identity
	}{
		"JustExpired":           {map[string]any{"exp": at(-4 * time.Second)}, good},
		"AlmostValid":           {map[string]any{"nbf": at(4 * time.Second)}, good},
		"NoStatus":              {map[string]any{"sts": nil}, good},
		"OrganizationVersion2":  {map[string]any{"o": map[string]any{"id": "org_1", "slg": "acme", "rol": "admin"}}, withOrg},
		"OrganizationVersion1":  {map[string]any{"v": nil, "org_id": "org_1", "org_role": "org:admin"}, withOrg},
		"OrganizationNoRole":    {map[string]any{"o": map[string]any{"id": "org_1"}}, good},
		"OrganizationOddRole":   {map[string]any{"org_role": "a b", "v": nil}, good},
		"SecondRoleClaim":       {map[string]any{"metadata": nil, "public_metadata": map[string]any{"role": "member"}}, good},
		"ThirdRoleClaim":        {map[string]any{"metadata": nil, "role": "member"}, good},
		"FirstThatAnswers":      {map[string]any{"role": "admin"}, good},
		"NoRole":                {map[string]any{"metadata": nil}, noRole},
		"RoleOfAnotherType":     {map[string]any{"metadata": map[string]any{"role": []string{"admin"}}}, noRole},
		"MetadataOfAnotherType": {map[string]any{"metadata": "admin"}, noRole},
		"RoleThatCannotBe":      {map[string]any{"metadata": map[string]any{"role": "ad min"}}, noRole},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			got, err := b.offline(t).Authenticate(t.Context(), b.mint(t, c.override))
			if err != nil || got != c.want {
				t.Errorf("Authenticate = %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

// A role's claim may have a URL for its name, whose dots are no path, or be
// below one.
func TestAuthenticator_RoleClaims(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claims   []string
		override map[string]any
		want     string
	}{
		"URL":              {[]string{"https://example.com/role"}, map[string]any{"https://example.com/role": "boss"}, "boss"},
		"BelowURL":         {[]string{"https://example.com/claims.role"}, map[string]any{"https://example.com/claims": map[string]any{"role": "boss"}}, "boss"},
		"URLBelow":         {[]string{"metadata.https://example.com/role"}, map[string]any{"metadata": map[string]any{"https://example.com/role": "boss"}}, "boss"},
		"Deep":             {[]string{"a.b.c"}, map[string]any{"a": map[string]any{"b": map[string]any{"c": "boss"}}}, "boss"},
		"WholeNameFirst":   {[]string{"a.b"}, map[string]any{"a.b": "boss", "a": map[string]any{"b": "member"}}, "boss"},
		"OtherBranch":      {[]string{"a.b.c"}, map[string]any{"a.b": map[string]any{"d": "member"}, "a": map[string]any{"b.c": "boss"}}, "boss"},
		"Missing":          {[]string{"https://example.com/role"}, map[string]any{"https://example": map[string]any{}}, ""},
		"OfAnotherType":    {[]string{"https://example.com/role"}, map[string]any{"https://example.com/role": []string{"boss"}}, ""},
		"FirstThatAnswers": {[]string{"https://example.com/role", "role"}, map[string]any{"role": "boss"}, "boss"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if _, given := c.override["metadata"]; !given {
				c.override["metadata"] = nil // no role but the test's
			}
			got, err := b.offline(t, func(config *clerk.Config) { config.RoleClaims = c.claims }).Authenticate(t.Context(), b.mint(t, c.override))
			if err != nil || got.Role.String() != c.want {
				t.Errorf("the role is %q, %v, want %q", got.Role, err, c.want)
			}
		})
	}
}

func remember(most int) func(*clerk.Config) {
	return func(c *clerk.Config) { c.Remember = most }
}

// A credential that is known is good even when the key that verified it cannot
// be had any more: that is how these tests tell that it was not verified again.
func TestAuthenticator_Remember(t *testing.T) {
	t.Parallel()
	// outage is an authenticator that could not verify anything from 15 s on.
	outage := func(t *testing.T, b *bench) *clerk.Authenticator {
		t.Helper()
		config := b.config
		config.Remember = 10
		a := b.make(t, config)
		kind(t, a, b.mint(t, map[string]any{"sid": "sess_of_the_first_fetch"}), nil)
		b.api.Fail(http.StatusBadGateway)
		b.clock.advance(time.Hour - 15*time.Second)
		return a
	}
	lasting := func(t *testing.T, b *bench, user string, d time.Duration) string {
		t.Helper()
		return b.mint(t, map[string]any{"sub": user, "exp": b.clock.Now().Add(d).Unix()})
	}
	t.Run("IsNotVerifiedAgain", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := outage(t, b)
		one, two, unknown := lasting(t, b, "user_1", time.Hour), lasting(t, b, "user_2", time.Hour), lasting(t, b, "user_3", time.Hour)
		for range 2 {
			for credential, want := range map[string]string{one: "user_1", two: "user_2"} {
				if got, err := a.Authenticate(t.Context(), credential); err != nil || got.User.String() != want {
					t.Errorf("Authenticate = %+v, %v, want %s", got, err, want)
				}
			}
			b.clock.advance(20 * time.Second)
		}
		kind(t, a, unknown, session.KindUnavailable)
		kind(t, a, one+"x", session.KindUnavailable)
	})
	t.Run("ForAMinuteAtMost", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := outage(t, b)
		credential := lasting(t, b, "user_1", time.Hour)
		kind(t, a, credential, nil)
		b.clock.advance(time.Minute - time.Microsecond)
		kind(t, a, credential, nil)
		b.clock.advance(time.Microsecond)
		kind(t, a, credential, session.KindUnavailable)
	})
	t.Run("NotBeforeItWasVerified", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a, credential := b.offline(t, remember(10)), b.mint(t, map[string]any{"nbf": noon.Unix(), "exp": noon.Add(time.Hour).Unix()})
		kind(t, a, credential, nil)
		b.clock.advance(-time.Minute) // somebody set it back
		kind(t, a, credential, session.KindUnauthenticated)
	})
	t.Run("NeverPastItsExpiry", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := outage(t, b)
		credential := lasting(t, b, "user_1", 30*time.Second)
		kind(t, a, credential, nil)
		b.clock.advance(30*time.Second - time.Microsecond)
		kind(t, a, credential, nil)
		b.clock.advance(time.Microsecond) // within the leeway of one that is verified
		kind(t, a, credential, session.KindUnavailable)
	})
	t.Run("NoRefusal", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := b.offline(t, remember(10))
		early := b.mint(t, map[string]any{"nbf": noon.Add(time.Minute).Unix(), "exp": noon.Add(time.Hour).Unix()})
		kind(t, a, early, session.KindUnauthenticated)
		b.clock.advance(time.Minute)
		kind(t, a, early, nil)
	})
	t.Run("NoMoreThanSaid", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := b.offline(t, remember(10))
		for n := range 100 {
			kind(t, a, b.mint(t, map[string]any{"sub": fmt.Sprintf("user_%d", n)}), nil)
		}
		if got := a.Remembered(); got > 10 {
			t.Errorf("%d are remembered", got)
		}
	})
}

func TestAuthenticator_AuthorizedParties(t *testing.T) {
	t.Parallel()
	b := setup(t)
	listed := b.offline(t, func(c *clerk.Config) { c.AuthorizedParties = []string{"https://app.example.com"} })
	for party, want := range map[string]error{"https://app.example.com": nil, "https://evil.example": session.KindUnauthenticated, "": session.KindUnauthenticated} {
		var azp any = party
		if party == "" {
			azp = nil
		}
		kind(t, listed, b.mint(t, map[string]any{"azp": azp}), want)
		kind(t, b.offline(t), b.mint(t, map[string]any{"azp": azp}), nil)
	}
}

func TestAuthenticator_WithoutAnIssuer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var warned strings.Builder
	lenient := b.offline(t, func(c *clerk.Config) {
		c.Issuer = ""
		c.Logger = slog.New(slog.NewTextHandler(&warned, nil))
	})
	if !strings.Contains(warned.String(), "no issuer is set") {
		t.Errorf("no warning: %s", warned.String())
	}
	kind(t, lenient, b.mint(t, nil), nil)
	kind(t, lenient, b.mint(t, map[string]any{"iss": "https://evil.example"}), session.KindUnauthenticated)
}

func TestAuthenticator_JWKS(t *testing.T) {
	t.Parallel()
	fetches := func(t *testing.T, b *bench, want int) {
		t.Helper()
		if got := b.api.Requests("/jwks"); got != want {
			t.Errorf("%d fetches, want %d", got, want)
		}
	}
	t.Run("ManyCallersOneFetch", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a, credential := b.online(t), b.mint(t, nil)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { kind(t, a, credential, nil) })
		}
		group.Wait()
		fetches(t, b, 1)
	})
	t.Run("StormOfForgedKeys", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a, good := b.online(t), b.mint(t, nil)
		for round := 1; round <= 3; round++ {
			var group sync.WaitGroup
			for n := range 200 {
				forged := named(good, fmt.Sprint("forged_", n))
				group.Go(func() {
					_, err := a.Authenticate(t.Context(), forged)
					// Nobody asked for the key before the first fetch but who started it.
					if !errors.Is(err, session.KindUnauthenticated) && (round > 1 || !errors.Is(err, session.KindUnavailable)) {
						t.Errorf("in round %d Authenticate = %v", round, err)
					}
				})
			}
			group.Wait()
			kind(t, a, good, nil)
			fetches(t, b, round)
			b.clock.advance(10 * time.Second)
		}
	})
	t.Run("NewKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := b.online(t)
		kind(t, a, b.mint(t, nil), nil)
		b.api.SetKeys(instances()[0], instances()[1])
		for range 20 {
			kind(t, a, b.mintBy(t, instances()[1], nil), session.KindUnavailable) // it may be Clerk's
		}
		fetches(t, b, 1)
		b.clock.advance(10 * time.Second)
		kind(t, a, b.mintBy(t, instances()[1], nil), nil)
		fetches(t, b, 2)
	})
	// A key is no key once somebody asked for it before a fetch, and was told
	// while the next one need not be waited for.
	t.Run("NoKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a, foreign := b.online(t), b.mintBy(t, instances()[1], nil)
		for round := 1; round <= 3; round++ {
			for range 20 {
				kind(t, a, foreign, session.KindUnauthenticated)
			}
			kind(t, a, named(foreign, "another"), map[bool]error{true: session.KindUnavailable, false: session.KindUnauthenticated}[round == 1])
			fetches(t, b, round)
			b.clock.advance(10 * time.Second)
		}
		kind(t, a, named(foreign, strings.Repeat("x", 257)), session.KindUnauthenticated)
		fetches(t, b, 3)
	})
	// A fetch that was running already may have seen the keys from before.
	t.Run("NewKeyWhileFetching", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		release := make(chan struct{})
		b.api.Hold(release)
		a, early, late := b.online(t), b.mint(t, nil), b.mintBy(t, instances()[1], nil)
		var group sync.WaitGroup
		group.Go(func() { kind(t, a, early, nil) })
		b.await(t, "/jwks", 1)
		group.Go(func() { kind(t, a, late, session.KindUnavailable) })
		if _, err := a.Authenticate(cancelled(t), late); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Authenticate = %v, want unavailable", err)
		}
		close(release)
		group.Wait()
		fetches(t, b, 1)
	})
	// Who forges without end takes no memory without end, nor a known key away.
	t.Run("EndlessKeys", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a, good := b.online(t), b.mint(t, nil)
		kind(t, a, good, nil)
		for n := range 3000 {
			kind(t, a, named(good, fmt.Sprint("forged_", n)), session.KindUnavailable)
		}
		fetches(t, b, 1)
		b.clock.advance(10 * time.Second)
		kind(t, a, named(good, "forged_0"), session.KindUnauthenticated)
		kind(t, a, named(good, "forged_2999"), session.KindUnavailable)
		kind(t, a, good, nil)
		fetches(t, b, 2)
	})
	// Keys that are not understood are passed over (RFC 7517, 5).
	t.Run("OddKeys", func(t *testing.T) {
		t.Parallel()
		modulus := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 256))
		small := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 128))
		b := setup(t)
		odd := []string{
			`null`, `1`, `"key"`, `[]`, `{}`, `{"kty":"AKP","kid":"odd","alg":"ML-DSA-44","pub":"AAAA"}`, `{"kty":"OKP","kid":"odd","crv":"Ed448","x":"AAAA"}`,
			`{"kty":"EC","kid":"odd","crv":"P-256","x":"!","y":"!"}`, `{"kty":"oct","kid":"odd","k":"AAAA"}`, `{"kty":7,"kid":"odd"}`,
			`{"kty":"RSA","n":"` + modulus + `","e":"AQAB"}`, `{"kty":"RSA","kid":{},"n":"` + modulus + `","e":"AQAB"}`,
		}
		for _, numbers := range []string{
			`"n":"!","e":"AQAB"`, `"e":"AQAB"`, `"n":"` + modulus + `"`, `"n":"` + modulus + `","e":"!"`, `"n":"` + modulus + `","e":"AQ"`,
			`"n":"` + modulus + `","e":"AQAA"`, `"n":"` + modulus + `","e":"AQABAQABAQABAQAB"`, `"n":"` + small + `","e":"AQAB"`,
			`"n":"` + strings.Repeat("_", 2000) + `","e":"AQAB"`, `"n":"` + modulus + `","e":"AQAB","use":"enc"`, `"n":"` + modulus + `","e":"AQAB","alg":"RS512"`,
		} {
			odd = append(odd, `{"kty":"RSA","kid":"odd",`+numbers+`}`)
		}
		for _, key := range odd {
			b.api.AddJSON(json.RawMessage(key))
		}
		a := b.online(t)
		kind(t, a, named(b.mint(t, nil), "odd"), session.KindUnauthenticated)
		kind(t, a, b.mint(t, nil), nil)
	})
	// What is not needed of a key may be missing, or odd.
	t.Run("PlainKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetKeys()
		for _, key := range fakeclerk.NewAPI(secret, instances()[0]).Keys() {
			var members map[string]any
			if err := json.Unmarshal(session.Must(key.MarshalJSON()), &members); err != nil {
				t.Fatal(err)
			}
			delete(members, "alg")
			delete(members, "use")
			members["n"] = fmt.Sprint(members["n"], "==")
			members["x5c"], members["x5t"] = []string{"no certificate"}, 7
			b.api.AddJSON(session.Must(json.Marshal(members)))
		}
		kind(t, b.online(t), b.mint(t, nil), nil)
	})
	t.Run("NoSet", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{`{}`, `{"keys":null}`, `{"keys":{}}`, `<html>`, ``, `[]`} {
			b := setup(t)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			b.config.APIURL = server.URL
			kind(t, b.online(t), b.mint(t, nil), session.KindUnavailable)
			server.Close()
		}
	})
	t.Run("OutageWithinTheLifetime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := b.online(t)
		kind(t, a, b.mint(t, nil), nil)
		b.api.Fail(http.StatusBadGateway)
		b.clock.advance(time.Hour - time.Second)
		kind(t, a, b.mint(t, nil), nil)
		kind(t, a, b.mintBy(t, instances()[1], nil), session.KindUnavailable)
	})
	t.Run("OutageAfterTheLifetime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := b.online(t)
		kind(t, a, b.mint(t, nil), nil)
		b.api.Fail(http.StatusBadGateway)
		b.clock.advance(time.Hour)
		for range 20 {
			kind(t, a, b.mint(t, nil), session.KindUnavailable)
		}
		fetches(t, b, 2)
		b.api.Fail(0)
		b.clock.advance(10 * time.Second)
		kind(t, a, b.mint(t, nil), nil)
	})
	t.Run("FetchedAheadOfTime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := b.online(t)
		kind(t, a, b.mint(t, nil), nil)
		b.clock.advance(50 * time.Minute)
		release := make(chan struct{})
		b.api.Hold(release) // nobody waits for the fetch that this starts
		kind(t, a, b.mint(t, nil), nil)
		b.await(t, "/jwks", 2)
		close(release)
		b.clock.advance(50 * time.Minute)
		kind(t, a, b.mint(t, nil), nil)
	})
	t.Run("OneFetchAtATime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		release := make(chan struct{})
		b.api.Hold(release)
		a := b.online(t)
		var group sync.WaitGroup
		for n := range 3 {
			credential := b.mint(t, map[string]any{"exp": noon.Add(time.Hour).Unix()})
			group.Go(func() { kind(t, a, credential, nil) })
			b.await(t, "/jwks", 1)
			b.clock.advance(time.Duration(n) * time.Minute)
		}
		if _, err := a.Authenticate(cancelled(t), b.mint(t, nil)); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Authenticate = %v, want unavailable", err)
		}
		close(release)
		group.Wait()
		fetches(t, b, 1)
	})
	t.Run("KeyOfAnotherAlgorithm", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		key := session.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		b.api.AddKey(jose.JSONWebKey{Key: &key.PublicKey, KeyID: "ec", Algorithm: "ES256", Use: "sig"})
		signer := session.Must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "ec")))
		payload := session.Must(base64.RawURLEncoding.DecodeString(strings.Split(b.mint(t, nil), ".")[1]))
		credential := session.Must(session.Must(signer.Sign(payload)).CompactSerialize())
		kind(t, b.online(t), credential, session.KindUnauthenticated)
	})
	t.Run("KeyOfAnotherUse", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetKeys()
		for _, key := range fakeclerk.NewAPI(secret, instances()[0]).Keys() {
			key.Use = "enc"
			b.api.AddKey(key)
		}
		kind(t, b.online(t), b.mint(t, nil), session.KindUnauthenticated)
	})
	t.Run("WithdrawnKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := b.online(t)
		kind(t, a, b.mint(t, nil), nil)
		b.api.SetKeys(instances()[1])
		b.clock.advance(time.Hour)
		kind(t, a, b.mint(t, nil), session.KindUnauthenticated)
	})
	t.Run("ACallerThatGivesUpEndsNoFetch", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		release := make(chan struct{})
		b.api.Hold(release)
		a, credential := b.online(t), b.mint(t, nil)
		if _, err := a.Authenticate(cancelled(t), credential); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Authenticate = %v, want unavailable", err)
		}
		close(release)
		kind(t, a, credential, nil)
		fetches(t, b, 1)
	})
	t.Run("WrongSecretKey", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.config.SecretKey = "sk_test_wrong"
		a := b.online(t)
		_, err := a.Authenticate(t.Context(), b.mint(t, nil))
		if !errors.Is(err, session.KindUnavailable) || strings.Contains(err.Error(), "sk_test_wrong") {
			t.Errorf("Authenticate = %v, want unavailable and no secret", err)
		}
	})
}

// named is a credential whose header names another key.
func named(credential, kid string) string {
	header := fmt.Sprintf(`{"alg":"RS256","kid":%q,"typ":"JWT"}`, kid)
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + credential[strings.Index(credential, "."):]
}

// await waits until a path was asked for n times.
func (b *bench) await(t *testing.T, path string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for b.api.Requests(path) < n {
		if ctx.Err() != nil {
			t.Errorf("%s was asked for %d times, want %d", path, b.api.Requests(path), n)
			return
		}
		runtime.Gosched()
	}
}

func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestNewAuthenticator_Refuses(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]clerk.Config{
		"NoKey":  {},
		"NotPEM": {JWTKey: "nonsense"},
		"NotRSA": {JWTKey: "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\nq9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n-----END PUBLIC KEY-----\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := clerk.NewAuthenticator(config); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	missing := session.Must(session.ParseUserID("user_missing"))
	directory := func(t *testing.T, b *bench) *clerk.Directory {
		t.Helper()
		d, err := clerk.NewDirectory(b.config)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Run("Contract", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		porttest.RoleDirectory(t, directory(t, b), user, member, missing)
		if b.api.Requests("/users/user_1") != 1 || b.api.Requests("/users/user_missing") != 1 {
			t.Error("what was found out is not remembered")
		}
	})
	t.Run("RememberedForAMinute", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		d := directory(t, b)
		for range 2 {
			if got, err := d.Role(t.Context(), user); err != nil || got != member {
				t.Errorf("Role = %v, %v", got, err)
			}
			b.clock.advance(time.Minute - time.Second)
		}
		b.api.SetUser("user_1", map[string]any{})
		b.clock.advance(2 * time.Second)
		if got, err := d.Role(t.Context(), user); err != nil || !got.IsZero() {
			t.Errorf("a role that was taken away a minute ago: %v, %v", got, err)
		}
	})
	t.Run("EndlessAnswer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member", "pad": strings.Repeat("x", 2<<20)})
		if got, err := directory(t, b).Role(t.Context(), user); !errors.Is(err, session.KindUnavailable) || !got.IsZero() {
			t.Errorf("Role = %v, %v", got, err)
		}
	})
	t.Run("OddMetadataIsNoRole", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		d := directory(t, b)
		for n, metadata := range []any{nil, map[string]any{}, map[string]any{"role": 1}, map[string]any{"role": "a b"}, []string{"admin"}} {
			id := session.Must(session.ParseUserID(fmt.Sprintf("user_%d", n)))
			b.api.SetUser(id.String(), metadata)
			if got, err := d.Role(t.Context(), id); err != nil || !got.IsZero() {
				t.Errorf("Role of %v = %v, %v", metadata, got, err)
			}
		}
	})
	t.Run("DownIsNoAnswer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		d := directory(t, b)
		for _, status := range []int{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusForbidden} {
			b.api.Fail(status)
			if got, err := d.Role(t.Context(), user); !errors.Is(err, session.KindUnavailable) || !got.IsZero() {
				t.Errorf("%d: Role = %v, %v", status, got, err)
			}
		}
		b.api.Fail(0)
		if got, err := d.Role(t.Context(), user); err != nil || got != member {
			t.Errorf("an error was remembered: %v, %v", got, err)
		}
	})
	t.Run("ManyCallersOneRequest", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		release := make(chan struct{})
		b.api.Hold(release)
		d := directory(t, b)
		var group, started sync.WaitGroup
		for range 20 {
			started.Add(1)
			group.Go(func() {
				started.Done()
				if got, err := d.Role(t.Context(), user); err != nil || got != member {
					t.Errorf("Role = %v, %v", got, err)
				}
			})
		}
		started.Wait()
		close(release)
		group.Wait()
		if n := b.api.Requests("/users/user_1"); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("SlowerThanTheCaller", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.api.SetUser("user_1", map[string]any{"role": "member"})
		release := make(chan struct{})
		b.api.Hold(release)
		d := directory(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			b.await(t, "/users/user_1", 1)
		}()
		if got, err := d.Role(ctx, user); !errors.Is(err, session.KindUnavailable) || !got.IsZero() {
			t.Errorf("Role = %v, %v", got, err)
		}
		close(release)
		if got, err := d.Role(t.Context(), user); err != nil || got != member {
			t.Errorf("then Role = %v, %v", got, err)
		}
		if n := b.api.Requests("/users/user_1"); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("ManyUsers", func(t *testing.T) { // ask for few roles at a time
		t.Parallel()
		b := setup(t)
		const users, most = 100, 64
		path := func(n int) string { return fmt.Sprintf("/users/user_%d", n) }
		requests := func() (sum int) {
			for n := range users {
				sum += b.api.Requests(path(n))
			}
			return sum
		}
		release := make(chan struct{})
		b.api.Hold(release)
		d := directory(t, b)
		var group sync.WaitGroup
		for n := range users {
			b.api.SetUser(fmt.Sprintf("user_%d", n), map[string]any{"role": "member"})
			group.Go(func() {
				id := session.Must(session.ParseUserID(fmt.Sprintf("user_%d", n)))
				if got, err := d.Role(t.Context(), id); err != nil || got != member {
					t.Errorf("Role = %v, %v", got, err)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for ; requests() < most; runtime.Gosched() {
			if ctx.Err() != nil {
				t.Fatalf("%d requests", requests())
			}
		}
		if n := requests(); n != most {
			t.Errorf("%d requests at a time", n)
		}
		close(release)
		group.Wait()
	})
	t.Run("NoSecretKey", func(t *testing.T) {
		t.Parallel()
		if _, err := clerk.NewDirectory(clerk.Config{}); err == nil {
			t.Error("accepted")
		}
	})
}

// Who waits for Clerk holds no place of the work in flight: while it does not
// answer, those are let in of whom all is known. A stranger's credential names
// any key.
func TestWaitsRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		asks func(*testing.T, *bench) func(context.Context) error
	}{
		"Key": {"/jwks", func(t *testing.T, b *bench) func(context.Context) error {
			t.Helper()
			a, credential := b.online(t), b.mintAs(t, map[string]any{"kid": "ins_nobody"})
			return func(ctx context.Context) error { _, err := a.Authenticate(ctx, credential); return err }
		}},
		"Role": {"/users/user_1", func(t *testing.T, b *bench) func(context.Context) error {
			t.Helper()
			d, err := clerk.NewDirectory(b.config)
			if err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context) error { _, err := d.Role(ctx, user); return err }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			release, left := make(chan struct{}), make(chan struct{})
			b.api.Hold(release)
			ask := c.asks(t, b)
			ctx, cancel := context.WithTimeout(ports.WithLeave(t.Context(), sync.OnceFunc(func() { close(left) })), patience)
			defer cancel()
			answered := make(chan error, 1)
			go func() { answered <- ask(ctx) }()
			b.await(t, c.path, 1)
			select {
			case <-left:
			case <-ctx.Done():
				t.Error("it holds its place")
			}
			close(release)
			<-answered
		})
	}
}

func TestConfig_IsMasked(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b := setup(t)
	slog.New(slog.NewTextHandler(&out, nil)).Info("config", "config", b.config)
	if strings.Contains(out.String(), secret) {
		t.Errorf("logged: %s", out.String())
	}
}

func FuzzAuthenticator_Authenticate(f *testing.F) {
	b := setup(f)
	a := b.offline(f)
	f.Add(b.mint(f, nil) + "x")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, credential string) {
		if _, err := a.Authenticate(t.Context(), credential); err != nil && !errors.Is(err, session.KindUnauthenticated) {
			t.Errorf("Authenticate = %v", err)
		}
	})
}

func BenchmarkAuthenticator_Authenticate(b *testing.B) {
	s := setup(b)
	credential := s.mint(b, nil)
	for name, a := range map[string]*clerk.Authenticator{"Verified": s.offline(b), "Remembered": s.offline(b, remember(10))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authenticate(b.Context(), credential); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
