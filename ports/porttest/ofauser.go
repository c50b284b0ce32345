package porttest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"chatkit-session/core/session"
)

var otherSignIn = session.Must(session.ParseSignInID("sess_2"))

// testOfAUser is about all sessions of a user, and about signing out.
func testOfAUser(t *testing.T, open Factory) {
	t.Helper()
	onPhone := session.Slot{User: alice, Workflow: chat, Device: phone}
	onLaptop := session.Slot{User: alice, Workflow: help, Device: laptop}
	theirs := session.Slot{User: bob, Workflow: chat, Device: phone}
	none := func([]session.Session) ([]session.Session, error) { return nil, nil }
	t.Run("FindByID", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		mine, other := b.insert(t, b.draft(onPhone)), b.insert(t, b.draft(theirs))
		if got, err := b.two.FindByID(t.Context(), alice, mine.ID()); err != nil {
			t.Errorf("FindByID = %v", err)
		} else {
			same(t, got, mine)
		}
		if _, err := revoke(t.Context(), b.one, onPhone); err != nil {
			t.Fatal(err)
		}
		if got, err := b.two.FindByID(t.Context(), alice, mine.ID()); err != nil || got.Status() != session.StatusRevoked || got.EndReason() != session.EndUser || !got.EndedAt().Equal(noon) {
			t.Errorf("once it ended FindByID = %v, %v", got, err)
		}
		for what, id := range map[string]session.ID{"another user's": other.ID(), "an unknown": session.Must(b.ids.SessionID()), "no": session.Must(session.ParseID("x"))} {
			if got, err := b.two.FindByID(t.Context(), alice, id); !errors.Is(err, session.KindNotFound) {
				t.Errorf("with %s id FindByID = %v, %v, want not found", what, got.ID(), err)
			}
		}
	})
	t.Run("UpdateAllShowsWhatIsActive", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		one, two := b.insert(t, b.draft(onPhone)), b.insert(t, b.draft(onLaptop))
		b.insert(t, b.draft(theirs))
		b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat, Device: laptop}), func(s *session.Session) { s.Expire(noon) })
		err := b.two.UpdateAll(t.Context(), alice, func(active []session.Session) ([]session.Session, error) {
			if len(active) != 2 {
				t.Fatalf("%d are active, want 2", len(active))
			}
			same(t, active[0], one)
			same(t, active[1], two)
			return nil, nil
		})
		if err != nil {
			t.Errorf("UpdateAll = %v", err)
		}
	})
	t.Run("UpdateAllIsAllOrNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		b.insert(t, b.draft(onPhone))
		b.insert(t, b.draft(onLaptop))
		boom := errors.New("boom")
		end := func(result error) error {
			return b.one.UpdateAll(t.Context(), alice, func(active []session.Session) ([]session.Session, error) {
				for i := range active {
					active[i].Revoke(session.EndUser, noon)
				}
				return active, result
			})
		}
		if err := end(boom); !errors.Is(err, boom) {
			t.Errorf("UpdateAll = %v, want its own error", err)
		}
		find(t, b.two, onPhone)
		if err := end(nil); err != nil {
			t.Errorf("UpdateAll = %v", err)
		}
		findsNothing(t, b.two, onPhone)
		findsNothing(t, b.two, onLaptop)
	})
	t.Run("UpdateAllTakesTurnsWithUpdate", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		err := b.one.Update(t.Context(), onPhone, func(*session.Session) ([]session.Session, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := b.two.UpdateAll(ctx, alice, none); !errors.Is(err, session.KindUnavailable) {
				t.Errorf("within an Update UpdateAll = %v, want that it waits in vain", err)
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("Cancelled", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.one.UpdateAll(ctx, alice, none); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("UpdateAll = %v, want unavailable", err)
		}
		if _, err := b.one.FindByID(ctx, alice, session.Must(b.ids.SessionID())); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("FindByID = %v, want unavailable", err)
		}
	})
	t.Run("ABlockedSignInCreatesNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		b.insert(t, b.draft(onPhone), func(s *session.Session) { s.SignOut(otherSignIn, noon) })
		blocked := session.New(b.draft(onLaptop), noon)
		if err := put(t.Context(), b.two, onLaptop, blocked); !errors.Is(err, session.KindSignedOut) {
			t.Errorf("Update = %v, want signed out", err)
		}
		findsNothing(t, b.two, onLaptop)
		free := b.draft(onLaptop)
		free.SignIn = otherSignIn
		b.insert(t, free)
		b.insert(t, b.draft(theirs)) // the same sign-in's name, but another user's
	})
	t.Run("ABlockIsNotForgotten", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		b.insert(t, b.draft(onPhone), func(s *session.Session) { s.SignOut(otherSignIn, noon) })
		b.insert(t, b.draft(onLaptop, otherSignIn), func(s *session.Session) { s.SignOut(otherSignIn, noon) })
		if n, err := b.one.PurgeEnded(t.Context(), noon.Add(time.Hour), 10); err != nil || n != 1 {
			t.Errorf("PurgeEnded = %d, %v, want the one that blocks nothing", n, err)
		}
		if err := put(t.Context(), b.two, onPhone, session.New(b.draft(onPhone), noon)); !errors.Is(err, session.KindSignedOut) {
			t.Errorf("Update = %v, want signed out", err)
		}
	})
	// Signing out while the same sign-in opens: once both are done, nothing is
	// active, or it was opened before.
	t.Run("SigningOutRacesOpening", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		b.insert(t, b.draft(onPhone))
		var group sync.WaitGroup
		for n := range 16 {
			store := []Store{b.one, b.two}[n%2]
			fresh := session.New(b.draft(onLaptop), noon)
			group.Go(func() {
				err := put(t.Context(), store, onLaptop, fresh)
				if err != nil && !errors.Is(err, session.KindSignedOut) && !errors.Is(err, session.KindConflict) {
					t.Errorf("Update = %v", err)
				}
			})
		}
		group.Go(func() {
			err := b.two.UpdateAll(t.Context(), alice, func(active []session.Session) ([]session.Session, error) {
				for i := range active {
					active[i].SignOut(otherSignIn, noon)
				}
				return active, nil
			})
			if err != nil {
				t.Errorf("UpdateAll = %v", err)
			}
		})
		group.Wait()
		findsNothing(t, b.one, onPhone)
		findsNothing(t, b.one, onLaptop)
	})
}
