package porttest

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// record adds activity to a user's timeline.
func record(t *testing.T, store ports.Store, activity ...session.Activity) {
	t.Helper()
	err := store.Update(t.Context(), ports.Scope{User: activity[0].User}, func(ports.Seen) (ports.Changes, error) {
		return ports.Changes{Activity: activity}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// timeline lists all of a user's activity.
func timeline(t *testing.T, store ports.Store, user session.UserID) []session.Activity {
	t.Helper()
	found, err := store.ListActivity(t.Context(), ports.ActivityQuery{User: user, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// sameActivity checks that got has an id and equals want in every other field.
func sameActivity(t *testing.T, got, want session.Activity) {
	t.Helper()
	if got.ID.IsZero() {
		t.Error("the record has no id")
	}
	describe := func(a session.Activity) string {
		return fmt.Sprint(a.User, a.Session, a.Type, a.At, a.Source)
	}
	if describe(got) != describe(want) || !maps.Equal(got.Detail, want.Detail) || got.Detail == nil {
		t.Errorf("got  %s %v\nwant %s %v", describe(got), got.Detail, describe(want), want.Detail)
	}
}

// testActivity tests timelines.
func testActivity(t *testing.T, open Factory) {
	t.Helper()
	at := func(b *bench, user session.UserID, n int) session.Activity {
		return session.Activity{
			User: user, Session: session.Must(b.ids.SessionID()), Type: session.ActivityRevoked, At: noon.Add(time.Duration(n) * time.Microsecond),
			Source: elsewhere, Detail: map[string]string{"by": "user", "odd": "\u2028 \" \\ </script>"},
		}
	}
	t.Run("RoundTrip", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		for n, kind := range []session.ActivityType{
			session.ActivityCreated, session.ActivityRefreshed, session.ActivityRevoked, session.ActivityExpired,
			session.ActivityTransferred, session.ActivityLimit, session.ActivityAnomaly,
		} {
			want := at(b, alice, n)
			want.Type = kind
			if n == 0 {
				want.Source, want.Detail = session.Source{}, nil
			}
			record(t, b.one, want)
			if n == 0 {
				want.Detail = map[string]string{}
			}
			sameActivity(t, timeline(t, b.two, alice)[0], want)
		}
	})
	t.Run("UserAndSession", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		first, second, theirs := at(b, alice, 1), at(b, alice, 2), at(b, bob, 3)
		record(t, b.one, first, second)
		record(t, b.one, theirs)
		for _, test := range []struct {
			query ports.ActivityQuery
			want  []session.Activity
		}{
			{ports.ActivityQuery{User: alice, Limit: 9}, []session.Activity{second, first}},
			{ports.ActivityQuery{User: alice, Limit: 1}, []session.Activity{second}},
			{ports.ActivityQuery{User: alice, Session: first.Session, Limit: 9}, []session.Activity{first}},
			{ports.ActivityQuery{User: alice, Session: theirs.Session, Limit: 9}, nil},
		} {
			got, err := b.two.ListActivity(t.Context(), test.query)
			if err != nil || len(got) != len(test.want) {
				t.Fatalf("ListActivity = %v, %v, want %v", got, err, test.want)
			}
			for i := range got {
				sameActivity(t, got[i], test.want[i])
			}
		}
		for _, id := range foreignIDs(first.Session) {
			if got, err := b.two.ListActivity(t.Context(), ports.ActivityQuery{User: alice, Session: id, Limit: 9}); err != nil || len(got) > 0 {
				t.Errorf("ListActivity of %s = %v, %v, want none", id, got, err)
			}
		}
	})
	t.Run("Pages", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		for n := range 10 {
			record(t, b.one, at(b, alice, n/4)) // some at one time
		}
		seen, query := map[session.ID]bool{}, ports.ActivityQuery{User: alice, Limit: 3}
		for {
			page, err := b.two.ListActivity(t.Context(), query)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, a := range page {
				if seen[a.ID] {
					t.Errorf("%s is listed twice", a.ID)
				}
				seen[a.ID] = true
				query.After = ports.Position{At: a.At, ID: a.ID}
			}
			record(t, b.one, at(b, alice, 100)) // newer ones come
		}
		if len(seen) != 10 {
			t.Errorf("%d of 10 were listed", len(seen))
		}
	})
	t.Run("AllOrNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		taken := b.insert(t, b.draft(phoneSlot))
		draft := b.draft(laptopSlot)
		draft.Credential.Hash = taken.Credential().Hash
		err := b.one.Update(t.Context(), ports.Scope{User: alice}, func(ports.Seen) (ports.Changes, error) {
			return ports.Changes{Sessions: []session.Session{session.New(draft, noon)}, Activity: []session.Activity{at(b, alice, 1)}}, nil
		})
		if !errors.Is(err, session.KindConflict) || len(timeline(t, b.two, alice)) != 0 {
			t.Errorf("Update = %v, then the timeline is %v", err, timeline(t, b.two, alice))
		}
	})
	t.Run("Expired", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		draft := b.draft(phoneSlot)
		draft.ExpiresAt = noon
		s := b.insert(t, draft)
		b.insert(t, b.draft(laptopSlot))
		if n, err := b.one.ExpireDue(t.Context(), noon.Add(time.Second), 10); n != 1 || err != nil {
			t.Fatalf("ExpireDue = %d, %v", n, err)
		}
		got := timeline(t, b.two, alice)
		if len(got) != 1 {
			t.Fatalf("the timeline is %v", got)
		}
		sameActivity(t, got[0], session.Activity{User: alice, Session: s.ID(), Type: session.ActivityExpired, At: noon.Add(time.Second), Detail: map[string]string{}})
	})
	t.Run("PurgeActivity", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		for n := range 5 {
			record(t, b.one, at(b, alice, n))
		}
		for _, want := range []int{2, 1, 0} {
			n, err := b.two.PurgeActivity(t.Context(), noon.Add(3*time.Microsecond), 2)
			count(t, "PurgeActivity", n, err, want)
		}
		if got := timeline(t, b.one, alice); len(got) != 2 || got[1].At != noon.Add(3*time.Microsecond) {
			t.Errorf("the remaining records are %v", got)
		}
	})
}

// testAdmin tests ports.AdminStore.
func testAdmin(t *testing.T, open Factory) {
	t.Helper()
	t.Run("OwnerOf", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(phoneSlot), func(s *session.Session) { s.Expire(noon) })
		if owner, err := b.two.OwnerOf(t.Context(), s.ID(), session.Bearer{}); err != nil || owner != alice {
			t.Errorf("OwnerOf = %v, %v", owner, err)
		}
		for _, id := range append(foreignIDs(s.ID()), session.Must(b.ids.SessionID())) {
			if owner, err := b.two.OwnerOf(t.Context(), id, session.Bearer{}); !errors.Is(err, session.KindNotFound) {
				t.Errorf("OwnerOf(%s) = %v, %v, want not found", id, owner, err)
			}
		}
	})
	t.Run("Stats", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		due := b.draft(device(alice, 1))
		due.ExpiresAt = noon
		b.insert(t, due)
		b.insert(t, b.draft(device(alice, 2)))
		b.insert(t, b.draft(device(bob, 2)))
		b.insert(t, b.draft(device(bob, 3)), func(s *session.Session) { s.Revoke(session.EndUser, noon) })
		b.insert(t, b.draft(device(bob, 3)), func(s *session.Session) { s.Expire(noon) })
		stats, err := b.two.Stats(t.Context(), session.Bearer{}, session.DefaultPolicy().Cutoff(noon), noon)
		want := map[session.Status]int{session.StatusActive: 2, session.StatusExpired: 2, session.StatusRevoked: 1}
		if err != nil || !maps.Equal(stats.Sessions, want) {
			t.Errorf("Stats = %v, %v, want %v", stats.Sessions, err, want)
		}
	})
}
