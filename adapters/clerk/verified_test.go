package clerk_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"chatkit-session/adapters/clerk"
	"chatkit-session/core/session"
)

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
