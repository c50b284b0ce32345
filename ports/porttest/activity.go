package porttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"chatkit-session/core/session"
)

// testActivity is about when sessions were last in use.
func testActivity(t *testing.T, open Factory) {
	t.Helper()
	mine := session.Slot{User: alice, Workflow: chat, Device: phone}
	touch := func(t *testing.T, store Store, seen map[session.ID]time.Time) {
		t.Helper()
		if err := store.Touch(t.Context(), seen); err != nil {
			t.Fatalf("Touch = %v", err)
		}
	}
	t.Run("Forward", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(mine))
		theirs := b.insert(t, b.draft(session.Slot{User: bob, Workflow: chat, Device: phone}))
		later := noon.Add(90*time.Second + time.Microsecond)
		touch(t, b.one, map[session.ID]time.Time{s.ID(): later, session.Must(b.ids.SessionID()): later})
		got := find(t, b.two, mine)
		if !got.LastActivityAt().Equal(later) {
			t.Errorf("last active at %s, want %s", got.LastActivityAt(), later)
		}
		if got.Credential().Hash != s.Credential().Hash || !got.ExpiresAt().Equal(s.ExpiresAt()) || !got.CreatedAt().Equal(s.CreatedAt()) {
			t.Errorf("more than the last activity changed: %v", got)
		}
		same(t, find(t, b.two, session.Slot{User: bob, Workflow: chat, Device: phone}), theirs)
	})
	t.Run("NeverBack", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(mine))
		touch(t, b.one, map[session.ID]time.Time{s.ID(): noon.Add(-time.Second)})
		same(t, find(t, b.two, mine), s)
	})
	t.Run("NotOfOneThatEnded", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(mine))
		if _, err := revoke(t.Context(), b.one, mine); err != nil {
			t.Fatal(err)
		}
		touch(t, b.one, map[session.ID]time.Time{s.ID(): noon.Add(time.Hour)})
		if got, err := b.two.FindByID(t.Context(), alice, s.ID()); err != nil || !got.LastActivityAt().Equal(noon) {
			t.Errorf("last active at %s, %v", got.LastActivityAt(), err)
		}
	})
	t.Run("OfNone", func(t *testing.T) {
		t.Parallel()
		touch(t, setup(t, open).one, nil)
	})
	t.Run("DoesNotWait", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(mine))
		err := b.one.Update(t.Context(), mine, func(*session.Session) ([]session.Session, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			// A store that has one writer at a time gives up; another one
			// leaves the session to whom it has.
			if err := b.two.Touch(ctx, map[session.ID]time.Time{s.ID(): noon.Add(time.Hour)}); err != nil && !errors.Is(err, session.KindUnavailable) {
				t.Errorf("Touch = %v", err)
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		same(t, find(t, b.two, mine), s)
	})
	t.Run("Cancelled", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(mine))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.one.Touch(ctx, map[session.ID]time.Time{s.ID(): noon.Add(time.Hour)}); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Touch = %v, want unavailable", err)
		}
		same(t, find(t, b.two, mine), s)
	})
}
