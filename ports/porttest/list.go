package porttest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// testList is about listing a user's sessions.
func testList(t *testing.T, open Factory) {
	t.Helper()
	device := func(n int) session.Slot {
		return session.Slot{User: alice, Workflow: chat, Device: session.Must(session.ParseDeviceID(fmt.Sprint("device_", n)))}
	}
	// at is a session made n minutes after noon.
	at := func(t *testing.T, b *bench, n int, changes ...func(*session.Session)) session.Session {
		t.Helper()
		s := session.New(b.draft(device(n)), noon.Add(time.Duration(n)*time.Minute))
		for _, change := range changes {
			change(&s)
		}
		if err := put(t.Context(), b.one, device(n), s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	list := func(t *testing.T, store Store, query ports.ListQuery) []session.Session {
		t.Helper()
		query.User, query.Now = alice, noon
		found, err := store.List(t.Context(), query)
		if err != nil {
			t.Fatalf("List = %v", err)
		}
		return found
	}
	lists := func(t *testing.T, got []session.Session, want ...session.Session) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%d are listed, want %d", len(got), len(want))
		}
		for i := range got {
			same(t, got[i], want[i])
		}
	}
	t.Run("NewestFirst", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		lists(t, list(t, b.two, ports.ListQuery{Limit: 9}))
		first, third, second := at(t, b, 1), at(t, b, 3), at(t, b, 2)
		b.insert(t, b.draft(session.Slot{User: bob, Workflow: chat, Device: phone}))
		lists(t, list(t, b.two, ports.ListQuery{Limit: 9}), third, second, first)
		lists(t, list(t, b.two, ports.ListQuery{Limit: 2}), third, second)
	})
	t.Run("ByStatus", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		active := at(t, b, 1)
		revoked := at(t, b, 2, func(s *session.Session) { s.Revoke(session.EndUser, noon) })
		expired := at(t, b, 3, func(s *session.Session) { s.Expire(noon) })
		draft := b.draft(device(4))
		draft.ExpiresAt = noon // nobody wrote that down yet
		due := session.New(draft, noon.Add(4*time.Minute))
		if err := put(t.Context(), b.one, device(4), due); err != nil {
			t.Fatal(err)
		}
		lists(t, list(t, b.two, ports.ListQuery{Limit: 9}), due, expired, revoked, active)
		lists(t, list(t, b.two, ports.ListQuery{Limit: 9, Status: session.StatusActive}), active)
		lists(t, list(t, b.two, ports.ListQuery{Limit: 9, Status: session.StatusRevoked}), revoked)
		lists(t, list(t, b.two, ports.ListQuery{Limit: 9, Status: session.StatusExpired}), due, expired)
	})
	// Page after page, while sessions come and go: none twice, none left out.
	t.Run("PageAfterPage", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := map[session.ID]bool{}
		for n := range 10 {
			s := session.New(b.draft(device(n)), noon.Add(time.Duration(n/3)*time.Minute)) // some at one time
			if err := put(t.Context(), b.one, device(n), s); err != nil {
				t.Fatal(err)
			}
			want[s.ID()] = true
		}
		var after ports.Position
		for page := 0; ; page++ {
			found := list(t, b.two, ports.ListQuery{Limit: 3, After: after})
			if len(found) == 0 {
				break
			}
			for _, s := range found {
				if !want[s.ID()] {
					t.Errorf("%s is listed twice, or was not there", s.ID())
				}
				delete(want, s.ID())
				after = ports.Position{CreatedAt: s.CreatedAt(), ID: s.ID()}
			}
			at(t, b, 100+page) // newer ones come
			if _, err := revoke(t.Context(), b.one, device(page)); err != nil {
				t.Fatal(err)
			}
		}
		if len(want) != 0 {
			t.Errorf("%d are left out", len(want))
		}
	})
	t.Run("Cancelled", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.one.List(ctx, ports.ListQuery{User: alice, Now: noon, Limit: 1}); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("List = %v, want unavailable", err)
		}
	})
}
