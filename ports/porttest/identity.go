package porttest

import (
	"errors"
	"strings"
	"testing"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Authenticator tests ports.Authenticator, given a valid credential and the identity
// that it proves.
func Authenticator(t *testing.T, authenticator ports.Authenticator, good string, proves ports.Identity) {
	t.Helper()
	t.Run("Valid", func(t *testing.T) {
		t.Parallel()
		for range 2 {
			if got, err := authenticator.Authenticate(t.Context(), good); err != nil || got != proves {
				t.Errorf("Authenticate = %+v, %v, want %+v", got, err, proves)
			}
		}
	})
	t.Run("Tampered", func(t *testing.T) {
		t.Parallel()
		for at := 0; at < len(good); at += 1 + len(good)/50 {
			changed := good[:at] + string(good[at]^1) + good[at+1:]
			// Whether the changed key id exists may not be known.
			if got, err := authenticator.Authenticate(t.Context(), changed); !errors.Is(err, session.KindUnavailable) || got != (ports.Identity{}) {
				unauthenticated(t, authenticator, changed)
			}
			unauthenticated(t, authenticator, good[:at])
		}
	})
	t.Run("Garbage", func(t *testing.T) {
		t.Parallel()
		for _, garbage := range []string{"", ".", "..", "a.b.c", "\x00", "\xff", "Bearer " + good, good + ".", strings.Repeat("a", 1<<20), strings.Repeat(".", 1<<10)} {
			unauthenticated(t, authenticator, garbage)
		}
	})
}

func unauthenticated(t *testing.T, authenticator ports.Authenticator, credential string) {
	t.Helper()
	got, err := authenticator.Authenticate(t.Context(), credential)
	if !errors.Is(err, session.KindUnauthenticated) || got != (ports.Identity{}) {
		t.Errorf("Authenticate = %+v, %v, want unauthenticated", got, err)
	}
	if err != nil && len(credential) > 40 && strings.Contains(err.Error(), credential) {
		t.Error("the error contains the credential")
	}
}

// RoleDirectory tests ports.RoleDirectory, given a user with a role and one who does
// not exist.
func RoleDirectory(t *testing.T, directory ports.RoleDirectory, known session.UserID, role access.Role, missing session.UserID) {
	t.Helper()
	for range 2 {
		if got, err := directory.Role(t.Context(), known); err != nil || got != role {
			t.Errorf("Role(%s) = %v, %v, want %v", known, got, err, role)
		}
		if got, err := directory.Role(t.Context(), missing); err != nil || !got.IsZero() {
			t.Errorf("Role(%s) = %v, %v, want none", missing, got, err)
		}
	}
}
