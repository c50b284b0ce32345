package porttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// testList tests listing a user's sessions.
func testList(t *testing.T, open Factory) {
	t.Helper()
	device := func(n int) session.Slot {
		return session.Slot{User: alice, Workflow: chat, Device: session.Must(session.ParseDeviceID(fmt.Sprint("device_", n)))}
	}
	// at returns a session created n minutes after noon.
	at := func(t *testing.T, b *bench, n int, changes ...func(*session.Session)) session.Session {
		t.Helper()
		s := session.New(b.draft(device(n)), noon.Add(time.Duration(n)*time.Minute))
		for _, change := range changes {
			change(&s)
		}
		if err := put(t.Context(), b.one, alice, s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	list := func(t *testing.T, store ports.Store, query ports.ListQuery) []session.Session {
		t.Helper()
		query.User, query.Cutoff = alice, session.DefaultPolicy().Cutoff(noon)
		found, err := store.List(t.Context(), query)
		if err != nil {
			t.Fatalf("List = %v", err)
		}
		return found
	}
	t.Run("NewestFirst", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9}))
		first, third, second := at(t, b, 1), at(t, b, 3), at(t, b, 2)
		b.insert(t, b.draft(session.Slot{User: bob, Workflow: chat, Device: phone}))
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9}), third, second, first)
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 2}), third, second)
	})
	t.Run("ByStatus", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		active := at(t, b, 1)
		revoked := at(t, b, 2, func(s *session.Session) { s.Revoke(session.EndUser, noon) })
		expired := at(t, b, 3, func(s *session.Session) { s.Expire(noon) })
		draft := b.draft(device(4))
		draft.ExpiresAt = noon // expired, but stored as active
		due := session.New(draft, noon.Add(4*time.Minute))
		if err := put(t.Context(), b.one, alice, due); err != nil {
			t.Fatal(err)
		}
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9}), due, expired, revoked, active)
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9, Status: session.StatusActive}), active)
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9, Status: session.StatusRevoked}), revoked)
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9, Status: session.StatusExpired}), due, expired)
	})
	// The list ends with the session that exceeds the limit on bytes.
	t.Run("ByBytes", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		large := func(s *session.Session) {
			draft := b.draft(device(9))
			draft.Metadata = session.Must(session.NewMetadata(map[string]any{"n": []any{1e308, 1e308, 1e308}}))
			draft.Slot = session.Slot{User: alice, Workflow: chat, Device: s.Device()}
			*s = session.New(draft, s.CreatedAt())
		}
		first, second, third := at(t, b, 1, large), at(t, b, 2, large), at(t, b, 3, large)
		size := third.Metadata().Size()
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9, Bytes: size - 1}), third)
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9, Bytes: size}), third, second)
		sameList(t, list(t, b.two, ports.ListQuery{Limit: 9, Bytes: 3 * size}), third, second, first)
	})
	// While sessions are created and end, pages neither repeat nor skip one.
	t.Run("Pages", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := map[session.ID]bool{}
		for n := range 10 {
			s := session.New(b.draft(device(n)), noon.Add(time.Duration(n/3)*time.Minute)) // some at one time
			if err := put(t.Context(), b.one, alice, s); err != nil {
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
					t.Errorf("%s is listed twice or did not exist", s.ID())
				}
				delete(want, s.ID())
				after = ports.Position{At: s.CreatedAt(), ID: s.ID()}
			}
			at(t, b, 100+page) // newer ones come
			if _, err := revoke(t.Context(), b.one, device(page)); err != nil {
				t.Fatal(err)
			}
		}
		if len(want) != 0 {
			t.Errorf("%d sessions are missing", len(want))
		}
	})
	// Idle timeout and longest life depend on the terms.
	t.Run("ByTerms", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		const age, idle = 10 * time.Minute, 5 * time.Minute
		made := map[string]session.Session{}
		for n, name := range []string{"usual", "usual old", "usual idle", "remembered", "remembered old", "remembered idle"} {
			draft := b.draft(device(n))
			draft.ExpiresAt, draft.Remembered = noon.Add(time.Hour), strings.HasPrefix(name, "remembered")
			s := session.New(draft, noon)
			if strings.HasSuffix(name, "old") {
				s = session.New(draft, noon.Add(-age))
			}
			if strings.HasSuffix(name, "idle") {
				s = session.New(draft, noon.Add(-idle))
			}
			if err := put(t.Context(), b.one, alice, s); err != nil {
				t.Fatal(err)
			}
			made[name] = s
		}
		for what, test := range map[string]struct {
			usual, remembered session.Terms
			want              string
		}{
			"neither": {session.Terms{LongestLife: time.Hour}, session.Terms{LongestLife: time.Hour}, ""},
			"life":    {session.Terms{LongestLife: age}, session.Terms{LongestLife: time.Hour}, "usual old"},
			"idle":    {session.Terms{LongestLife: time.Hour}, session.Terms{LongestLife: time.Hour, IdleTimeout: idle}, "remembered idle, remembered old"},
			"both":    {session.Terms{LongestLife: time.Hour, IdleTimeout: idle + time.Microsecond}, session.Terms{LongestLife: age}, "usual old, remembered old"},
		} {
			policy := session.Policy{Usual: test.usual, Remembered: test.remembered}
			found, err := b.two.List(t.Context(), ports.ListQuery{User: alice, Status: session.StatusExpired, Cutoff: policy.Cutoff(noon), Limit: 9})
			if err != nil {
				t.Fatal(err)
			}
			got := map[session.ID]bool{}
			for _, s := range found {
				got[s.ID()] = true
			}
			for name, s := range made {
				if want := slices.Contains(strings.Split(test.want, ", "), name); got[s.ID()] != want {
					t.Errorf("%s: %s expired = %v", what, name, got[s.ID()])
				}
			}
		}
	})
}
