package clerk_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"

	"chatkit-session/adapters/clerk/fakeclerk"
	"chatkit-session/core/session"
)

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
	// Keys that are not understood are skipped (RFC 7517, 5).
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
	// An instance has a key: an answer without any is a fault, which turns nobody
	// away who is let in without it.
	t.Run("NoneUsable", func(t *testing.T) {
		t.Parallel()
		for _, odd := range []string{``, `{"kty":"AKP","kid":"odd"}`} {
			b := setup(t)
			a := b.online(t)
			good := func() string { return b.mint(t, nil) }
			kind(t, a, good(), nil)
			b.api.SetKeys()
			if odd != "" {
				b.api.AddJSON(json.RawMessage(odd))
			}
			b.clock.advance(time.Minute)
			kind(t, a, named(good(), "odd"), session.KindUnavailable)
			kind(t, a, good(), nil)
			b.clock.advance(time.Hour)
			kind(t, a, good(), session.KindUnavailable)
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
		b.api.SetKeys(instances()[1])
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
