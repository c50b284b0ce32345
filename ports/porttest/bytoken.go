package porttest

import (
	"errors"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// testFindByToken tests which tokens find a session.
func testFindByToken(t *testing.T, open Factory) {
	t.Helper()
	slot := session.Slot{User: alice, Workflow: chat, Device: phone}
	finds := func(t *testing.T, store ports.Store, hash session.TokenHash, want session.Session) {
		t.Helper()
		got, err := store.FindByToken(t.Context(), hash)
		if err != nil {
			t.Fatalf("FindByToken = %v", err)
		}
		same(t, got, want.Outline())
	}
	findsNone := func(t *testing.T, store ports.Store, hash session.TokenHash) {
		t.Helper()
		if got, err := store.FindByToken(t.Context(), hash); !errors.Is(err, session.KindNotFound) {
			t.Errorf("FindByToken = %v, %v, want not found", got.ID(), err)
		}
	}
	t.Run("CurrentToken", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		mine := b.insert(t, b.draft(slot))
		b.insert(t, b.draft(session.Slot{User: bob, Workflow: chat, Device: phone}))
		finds(t, b.two, mine.Credential().Hash, mine)
		findsNone(t, b.two, session.Must(b.ids.Token()).Hash())
		findsNone(t, b.two, session.TokenHash{})
	})
	t.Run("Expired", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		draft := b.draft(slot)
		draft.ExpiresAt = noon.Add(-time.Hour)
		mine := b.insert(t, draft)
		finds(t, b.two, mine.Credential().Hash, mine)
	})
	t.Run("PreviousToken", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		first := b.insert(t, b.draft(slot))
		hashes := []session.TokenHash{first.Credential().Hash}
		var current session.Session
		for range 2 {
			err := change(t.Context(), b.one, slot, func(s *session.Session) {
				token := session.Must(b.ids.Token())
				s.Rotate(session.Credential{Hash: token.Hash(), Sealed: []byte("sealed")}, noon, noon.Add(time.Hour), noon.Add(time.Minute))
				current = *s
			})
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, current.Credential().Hash)
		}
		findsNone(t, b.two, hashes[0])
		finds(t, b.two, hashes[1], current)
		finds(t, b.two, hashes[2], current)
	})
	t.Run("Ended", func(t *testing.T) {
		t.Parallel()
		for _, end := range []func(*session.Session){
			func(s *session.Session) { s.Revoke(session.EndUser, noon) },
			func(s *session.Session) { s.Expire(noon) },
		} {
			b := setup(t, open)
			mine := b.insert(t, b.draft(slot))
			own := session.Must(b.ids.Token()).Hash()
			err := change(t.Context(), b.one, slot, func(s *session.Session) {
				s.Rotate(session.Credential{Hash: own, Sealed: []byte("sealed")}, noon, noon.Add(time.Hour), noon.Add(time.Minute))
				end(s)
			})
			if err != nil {
				t.Fatal(err)
			}
			findsNone(t, b.two, own)
			findsNone(t, b.two, mine.Credential().Hash) // the one before
		}
	})
	t.Run("RevokedToken", func(t *testing.T) {
		t.Parallel()
		for name, take := range map[string]func(*session.Session){
			"Revoked": func(s *session.Session) { s.Revoke(session.EndUser, noon) },
			"Moved": func(s *session.Session) {
				s.Move(laptop, otherSignIn, session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")}, elsewhere, noon)
			},
		} {
			b := setup(t, open)
			mine := b.insert(t, b.draft(slot))
			token := mine.Credential().Hash
			for _, store := range []ports.Store{b.one, b.two} { // whatever they remember
				finds(t, store, token, mine)
			}
			if err := change(t.Context(), b.one, slot, take); err != nil {
				t.Fatal(err)
			}
			for _, store := range []ports.Store{b.one, b.two} {
				if got, err := store.FindByToken(t.Context(), token); !errors.Is(err, session.KindNotFound) {
					t.Errorf("%s: FindByToken = %v, %v, want not found", name, got.ID(), err)
				}
			}
		}
	})
}

// testFindByOffer tests which transfer codes find a session.
func testFindByOffer(t *testing.T, open Factory) {
	t.Helper()
	b := setup(t, open)
	finds := func(code session.TokenHash, want *session.Session) {
		t.Helper()
		got, err := b.two.FindByOffer(t.Context(), code, session.Bearer{})
		switch {
		case want == nil && !errors.Is(err, session.KindNotFound):
			t.Errorf("FindByOffer = %v, %v, want not found", got.ID(), err)
		case want != nil && err != nil:
			t.Errorf("FindByOffer = %v", err)
		case want != nil:
			same(t, got, *want)
		}
	}
	first, second := session.Must(b.ids.TransferCode()).Hash(), session.Must(b.ids.TransferCode()).Hash()
	offering := b.insert(t, b.draft(phoneSlot), func(s *session.Session) { s.OfferTransfer(first, noon.Add(-time.Hour)) })
	b.insert(t, b.draft(laptopSlot))
	finds(first, &offering) // its time is up, which is not the store's to say
	finds(second, nil)
	finds(session.TokenHash{}, nil)
	finds(offering.Credential().Hash, nil)
	if err := change(t.Context(), b.one, phoneSlot, func(s *session.Session) { s.OfferTransfer(second, noon); offering = *s }); err != nil {
		t.Fatal(err)
	}
	finds(first, nil)
	finds(second, &offering)
	if _, err := revoke(t.Context(), b.one, phoneSlot); err != nil {
		t.Fatal(err)
	}
	finds(second, nil)
}
