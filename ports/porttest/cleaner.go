package porttest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// device returns the nth slot of a user.
func device(user session.UserID, n int) session.Slot {
	return session.Slot{User: user, Workflow: chat, Device: session.Must(session.ParseDeviceID(fmt.Sprintf("device-%d", n)))}
}

func count(t *testing.T, what string, got int, err error, want int) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("%s = %d, %v, want %d", what, got, err, want)
	}
}

func testCleaner(t *testing.T, open Factory) {
	t.Run("ExpireDue", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		due, dueNow, later := b.draft(device(alice, 1)), b.draft(device(alice, 2)), b.draft(device(bob, 3))
		due.ExpiresAt, dueNow.ExpiresAt, later.ExpiresAt = noon.Add(-time.Hour), noon, noon.Add(time.Microsecond)
		for _, d := range []session.Draft{due, dueNow, later} {
			b.insert(t, d)
		}
		n, err := b.one.ExpireDue(t.Context(), noon, 10)
		count(t, "ExpireDue", n, err, 2)
		findsNothing(t, b.two, due.Slot)
		findsNothing(t, b.two, dueNow.Slot)
		find(t, b.two, later.Slot)
		n, err = b.two.ExpireDue(t.Context(), noon, 10)
		count(t, "ExpireDue again", n, err, 0)
		// They ended at the time given to ExpireDue.
		n, err = b.one.PurgeEnded(t.Context(), noon, 10)
		count(t, "PurgeEnded before they ended", n, err, 0)
		n, err = b.one.PurgeEnded(t.Context(), noon.Add(time.Microsecond), 10)
		count(t, "PurgeEnded after they ended", n, err, 2)
	})
	t.Run("Batches", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		for i := range 5 {
			d := b.draft(device(alice, i))
			d.ExpiresAt = noon
			b.insert(t, d)
		}
		for _, want := range []int{2, 2, 1, 0} {
			n, err := b.one.ExpireDue(t.Context(), noon, 2)
			count(t, "ExpireDue", n, err, want)
		}
		for _, want := range []int{3, 2, 0} {
			n, err := b.one.PurgeEnded(t.Context(), noon.Add(time.Hour), 3)
			count(t, "PurgeEnded", n, err, want)
		}
	})
	t.Run("PurgeEnded", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		active := b.draft(device(alice, 1))
		active.ExpiresAt = noon.Add(-time.Hour) // expired, but stored as active
		b.insert(t, active)
		b.insert(t, b.draft(device(alice, 2)), func(s *session.Session) { s.Revoke(session.EndUser, noon) })
		b.insert(t, b.draft(device(alice, 3)), func(s *session.Session) { s.Expire(noon.Add(time.Hour)) })
		n, err := b.one.PurgeEnded(t.Context(), noon.Add(time.Second), 10)
		count(t, "PurgeEnded", n, err, 1)
		find(t, b.two, active.Slot)
	})
	t.Run("Concurrent", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		const due = 40
		for i := range due {
			d := b.draft(device(alice, i))
			d.ExpiresAt = noon
			b.insert(t, d)
		}
		counts := make([]int, 2)
		var group sync.WaitGroup
		for i, store := range []ports.Store{b.one, b.two} {
			group.Go(func() { counts[i] = expireAll(t, store) })
		}
		group.Wait()
		counts[0] += expireAll(t, b.one) // what is left if each found the other at it
		if counts[0]+counts[1] != due {
			t.Errorf("expired %v, want %d in total", counts, due)
		}
	})
}

// expireAll expires batches of three until none is left or the other store is
// cleaning up.
func expireAll(t *testing.T, store ports.Store) int {
	t.Helper()
	total := 0
	for {
		n, err := store.ExpireDue(context.WithoutCancel(t.Context()), noon, 3)
		if err != nil {
			t.Errorf("ExpireDue: %v", err)
		}
		if n == 0 {
			return total
		}
		total += n
	}
}
