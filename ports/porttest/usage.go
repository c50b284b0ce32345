package porttest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// day is the day of noon.
var day = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// touch stores uses of sessions that no other transaction is changing.
func touch(t *testing.T, store ports.Store, uses ...session.Use) {
	t.Helper()
	if busy, err := store.Touch(t.Context(), uses); err != nil || len(busy) != 0 {
		t.Fatalf("Touch = %v, %v", busy, err)
	}
}

// usedOn checks the totals of all days from the day before noon.
func usedOn(t *testing.T, store ports.Store, want ...ports.Day) {
	t.Helper()
	stats, err := store.Stats(t.Context(), session.Bearer{}, session.DefaultPolicy().Cutoff(noon), day.AddDate(0, 0, -1))
	if err != nil || !slices.Equal(stats.Days, want) {
		t.Errorf("the days are %v, %v, want %v", stats.Days, err, want)
	}
}

// testUsage tests ports.UsageStore.
func testUsage(t *testing.T, open Factory) {
	t.Helper()
	theirs := session.Slot{User: bob, Workflow: chat, Device: phone}
	t.Run("AddsUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s, other := b.insert(t, b.draft(phoneSlot)), b.insert(t, b.draft(theirs))
		later := noon.Add(90*time.Second + time.Microsecond)
		unknown := session.Must(b.ids.SessionID())
		touch(t, b.one, session.Use{Session: s.ID(), At: later, Opens: 2, Checks: 3, Source: elsewhere}, session.Use{Session: unknown, At: later, Checks: 1})
		touch(t, b.two, session.Use{Session: s.ID(), At: later.Add(time.Hour), Checks: 4})
		got := find(t, b.two, phoneSlot)
		if !got.LastActivityAt().Equal(later.Add(time.Hour)) || got.Opens() != 3 || got.Checks() != 7 || got.Source() != elsewhere {
			t.Errorf("last active at %s, %d opens, %d checks, from %v", got.LastActivityAt(), got.Opens(), got.Checks(), got.Source())
		}
		if got.Credential().Hash != s.Credential().Hash || !got.ExpiresAt().Equal(s.ExpiresAt()) || !got.CreatedAt().Equal(s.CreatedAt()) {
			t.Errorf("Touch changed another field: %v", got)
		}
		same(t, find(t, b.two, theirs), other)
		usedOn(t, b.two, ports.Day{Start: day, Opens: 2, Checks: 8})
	})
	// An earlier use does not replace the time and source of a later one.
	t.Run("OutOfOrder", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(phoneSlot))
		touch(t, b.one, session.Use{Session: s.ID(), At: noon.Add(-time.Second), Opens: 1, Source: elsewhere})
		got := find(t, b.two, phoneSlot)
		if !got.LastActivityAt().Equal(noon) || got.Source() != here || got.Opens() != 2 {
			t.Errorf("last active at %s from %v, %d opens", got.LastActivityAt(), got.Source(), got.Opens())
		}
	})
	t.Run("UnknownSource", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(phoneSlot))
		for _, from := range []session.Source{{Address: elsewhere.Address}, {Client: session.NewClient("", "", "bot")}} {
			want := from.Or(find(t, b.one, phoneSlot).Source())
			touch(t, b.one, session.Use{Session: s.ID(), At: noon.Add(time.Second), Source: from})
			if got := find(t, b.two, phoneSlot).Source(); got != want {
				t.Errorf("after a use from %v, the source is %v, want %v", from, got, want)
			}
		}
	})
	// After a session is revoked, its last use before that matters most.
	t.Run("EndedSession", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s := b.insert(t, b.draft(phoneSlot))
		if _, err := revoke(t.Context(), b.one, phoneSlot); err != nil {
			t.Fatal(err)
		}
		before, err := b.two.FindByID(t.Context(), alice, s.ID(), session.Bearer{})
		if err != nil {
			t.Fatal(err)
		}
		used := noon.Add(time.Second)
		touch(t, b.one, session.Use{Session: s.ID(), At: used, Opens: 1, Checks: 1, Source: elsewhere})
		got, err := b.two.FindByID(t.Context(), alice, s.ID(), session.Bearer{})
		if err != nil || !got.LastActivityAt().Equal(used) || got.Opens() != 2 || got.Checks() != 1 || got.Source() != elsewhere {
			t.Errorf("last active at %s, %d opens, %d checks, from %v, %v", got.LastActivityAt(), got.Opens(), got.Checks(), got.Source(), err)
		}
		if got.Status() != before.Status() || got.EndReason() != before.EndReason() || !got.EndedAt().Equal(before.EndedAt()) {
			t.Errorf("status %s, reason %s, ended at %s", got.Status(), got.EndReason(), got.EndedAt())
		}
		usedOn(t, b.two, ports.Day{Start: day, Opens: 1, Checks: 1})
	})
	t.Run("DaysInUTC", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		at := func(day time.Time, n int) session.Use {
			return session.Use{Session: session.Must(b.ids.SessionID()), At: day, Opens: n, Checks: 2 * n}
		}
		next := day.AddDate(0, 0, 1)
		touch(t, b.one, at(day, 1), at(next.Add(-time.Microsecond), 10), at(next, 100), at(day.AddDate(0, 0, -1), 1000), at(day.AddDate(0, 0, -2), 1))
		touch(t, b.two, at(next, 100))
		usedOn(t, b.one,
			ports.Day{Start: next, Opens: 200, Checks: 400}, ports.Day{Start: day, Opens: 11, Checks: 22}, ports.Day{Start: day.AddDate(0, 0, -1), Opens: 1000, Checks: 2000})
	})
	t.Run("NoUses", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		touch(t, b.one)
		usedOn(t, b.one)
	})
	t.Run("DoesNotWait", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		s, other := b.insert(t, b.draft(phoneSlot)), b.insert(t, b.draft(theirs))
		later := noon.Add(time.Hour)
		err := b.one.Update(t.Context(), ports.Scope{User: alice}, func(ports.Seen) (ports.Changes, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			busy, err := b.two.Touch(ctx, []session.Use{{Session: s.ID(), At: later, Opens: 1}, {Session: other.ID(), At: later, Opens: 5}})
			// A store with one writer at a time gives up. Others skip the locked session.
			if errors.Is(err, session.KindUnavailable) {
				return ports.Changes{}, nil
			}
			if err != nil || !slices.Equal(busy, []session.ID{s.ID()}) {
				t.Errorf("Touch = %v, %v", busy, err)
			}
			usedOn(t, b.two, ports.Day{Start: day, Opens: 5})
			return ports.Changes{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		same(t, find(t, b.two, phoneSlot), s)
	})
}
