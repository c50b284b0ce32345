package clerk_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"chatkit-session/adapters/clerk"
	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
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

func kind(t *testing.T, authenticator *clerk.Authenticator, credential string, want error) {
	t.Helper()
	if _, err := authenticator.Authenticate(t.Context(), credential); !errors.Is(err, want) {
		t.Errorf("Authenticate = %v, want %v", err, want)
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

func remember(most int) func(*clerk.Config) {
	return func(c *clerk.Config) { c.Remember = most }
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
