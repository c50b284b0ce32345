package porttest

import (
	"errors"
	"strings"
	"testing"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var otherSignIn = session.Must(session.ParseSignInID("sess_2"))

// foreignIDs are ids that no session has: one in another format, and other spellings
// of an existing id.
func foreignIDs(id session.ID) []session.ID {
	text := id.String()
	ids := []session.ID{session.Must(session.ParseID("x"))}
	for _, spelling := range []string{strings.ToUpper(text), "urn:uuid:" + text, strings.ReplaceAll(text, "-", "")} {
		if spelling != text {
			ids = append(ids, session.Must(session.ParseID(spelling)))
		}
	}
	return ids
}

// testOfAUser tests that sessions are found for their own user only, and sign-outs.
func testOfAUser(t *testing.T, open Factory) {
	t.Helper()
	onPhone := session.Slot{User: alice, Workflow: chat, Device: phone}
	theirs := session.Slot{User: bob, Workflow: chat, Device: phone}
	t.Run("FindByID", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		mine, other := b.insert(t, b.draft(onPhone)), b.insert(t, b.draft(theirs))
		if got, err := b.two.FindByID(t.Context(), alice, mine.ID(), session.Bearer{}); err != nil {
			t.Errorf("FindByID = %v", err)
		} else {
			same(t, got, mine)
		}
		if _, err := revoke(t.Context(), b.one, onPhone); err != nil {
			t.Fatal(err)
		}
		if got, err := b.two.FindByID(t.Context(), alice, mine.ID(), session.Bearer{}); err != nil || got.Status() != session.StatusRevoked || got.EndReason() != session.EndUser || !got.EndedAt().Equal(noon) {
			t.Errorf("FindByID of an ended session = %v, %v", got, err)
		}
		for _, id := range append(foreignIDs(mine.ID()), other.ID(), session.Must(b.ids.SessionID())) {
			if got, err := b.two.FindByID(t.Context(), alice, id, session.Bearer{}); !errors.Is(err, session.KindNotFound) {
				t.Errorf("FindByID(%s) = %v, %v, want not found", id, got.ID(), err)
			}
		}
	})
	// While one sign-in opens sessions, another one signs out all: afterwards no
	// session is active.
	t.Run("SignOutWhileOpening", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		b.insert(t, b.draft(phoneSlot))
		there := alicesCaller(otherSignIn)
		b.race(func(store ports.Store, n int) {
			if n == racers/2 {
				if _, err := lifecycle.NewRevoker(b.deps(store)).RevokeAll(t.Context(), there, session.ID{}); err != nil {
					t.Errorf("RevokeAll = %v", err)
				}
				return
			}
			_, err := b.opener(store).Open(t.Context(), alicesCaller(signIn), ports.OpenRequest{Device: laptop})
			if err != nil && !errors.Is(err, session.KindSignedOut) {
				t.Errorf("Open = %v", err)
			}
		})
		findsNothing(t, b.one, phoneSlot)
		findsNothing(t, b.one, laptopSlot)
		if _, err := b.opener(b.two).Open(t.Context(), alicesCaller(signIn), ports.OpenRequest{Device: laptop}); !errors.Is(err, session.KindSignedOut) {
			t.Errorf("Open after the sign-out = %v, want signed out", err)
		}
	})
}
