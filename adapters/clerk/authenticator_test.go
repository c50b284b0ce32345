package clerk_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"chatkit-session/adapters/clerk"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

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
			ctx, cancel := context.WithTimeout(ports.WithRelease(t.Context(), sync.OnceFunc(func() { close(left) })), patience)
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
