package porttest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// identifiers generates random ids, so that test binaries on one database server do
// not collide.
type identifiers struct{}

func newIdentifiers() *identifiers { return &identifiers{} }

func (*identifiers) SessionID() (session.ID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return session.ID{}, err
	}
	return session.ParseID(id.String())
}

func (*identifiers) Token() (session.Token, error) { return session.ParseToken(uuid.NewString()) }

func (*identifiers) TransferCode() (session.TransferCode, error) {
	return session.ParseTransferCode(rand.Text())
}

// Sealer tests ports.Sealer.
func Sealer(t *testing.T, open func(t *testing.T) ports.Sealer) {
	t.Helper()
	ids := newIdentifiers()
	id, other := session.Must(ids.SessionID()), session.Must(ids.SessionID())
	token := session.Must(ids.Token())
	seal := func(t *testing.T, s ports.Sealer) []byte {
		t.Helper()
		sealed, err := s.Seal(id, token)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	refuses := func(t *testing.T, s ports.Sealer, id session.ID, sealed []byte) {
		t.Helper()
		if got, err := s.Unseal(id, sealed); !errors.Is(err, session.KindUnreadable) || got != (session.Token{}) {
			t.Errorf("Unseal = %v, want unreadable", err)
		} else if strings.Contains(err.Error(), token.Reveal()) {
			t.Error("the error contains the token")
		}
	}
	t.Run("Unseal", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		if got, err := s.Unseal(id, seal(t, s)); err != nil || got != token {
			t.Errorf("Unseal = %v", err)
		}
	})
	t.Run("Encrypts", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		one, two := seal(t, s), seal(t, s)
		if bytes.Contains(one, []byte(token.Reveal())) || bytes.Equal(one, two) {
			t.Error("the sealed bytes contain the token, or sealing twice returns the same bytes")
		}
	})
	t.Run("OtherSession", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		refuses(t, s, other, seal(t, s))
	})
	t.Run("Damaged", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		sealed := seal(t, s)
		for i := range sealed {
			damaged := bytes.Clone(sealed)
			damaged[i] ^= 1
			refuses(t, s, id, damaged)
			refuses(t, s, id, sealed[:i])
		}
		refuses(t, s, id, nil)
		refuses(t, s, id, append(bytes.Clone(sealed), 0))
	})
}

// Clock tests ports.Clock.
func Clock(t *testing.T, clock ports.Clock) {
	t.Helper()
	for range 100 {
		now := clock.Now()
		if now.Location() != time.UTC || !now.Equal(now.Truncate(time.Microsecond)) {
			t.Fatalf("Now = %s", now)
		}
		if now != now.Round(0) {
			t.Fatal("Now has a monotonic clock reading, which stores lose")
		}
	}
}

// Identifiers tests ports.Identifiers.
func Identifiers(t *testing.T, ids ports.Identifiers) {
	t.Helper()
	seen := map[string]bool{}
	first := session.Must(ids.SessionID()).String()
	for range 1000 {
		id, err := ids.SessionID()
		if err != nil || seen[id.String()] {
			t.Fatalf("SessionID = %s, %v, seen before: %v", id, err, seen[id.String()])
		}
		if id.String() <= first {
			t.Fatalf("%s does not sort after %s", id, first)
		}
		token, err := ids.Token()
		if err != nil || seen[token.Reveal()] {
			t.Fatalf("Token: %v", err)
		}
		if parsed, err := session.ParseToken(token.Reveal()); err != nil || parsed != token {
			t.Fatal("the token is not a UUID v4")
		}
		code, err := ids.TransferCode()
		if err != nil || seen[code.Reveal()] {
			t.Fatalf("TransferCode: %v", err)
		}
		if parsed, err := session.ParseTransferCode(code.Reveal()); err != nil || parsed != code {
			t.Fatal("the code is invalid")
		}
		seen[id.String()], seen[token.Reveal()], seen[code.Reveal()] = true, true, true
	}
}
