package porttest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"chatkit-session/ports"
)

// testLease tests how replicas agree on a lease. A lease kept for an hour stays in
// force during the test; one kept for no time is out of force at once.
func testLease(t *testing.T, open Factory) {
	t.Helper()
	const held, notHeld = time.Hour, time.Duration(0)
	hold := func(t *testing.T, store ports.Store, lease, kept, want time.Duration) ports.LeaseInForce {
		t.Helper()
		got, err := store.HoldLease(t.Context(), lease, kept)
		if err != nil || got.Lease != want || got.For < 0 {
			t.Errorf("HoldLease of %s = %+v, %v, want %s", lease, got, err, want)
		}
		return got
	}
	t.Run("FirstWins", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		hold(t, b.two, 0, held, 0)
		first := hold(t, b.one, time.Second, held, time.Second)
		hold(t, b.two, 2*time.Second, held, time.Second)
		hold(t, b.two, 0, held, time.Second)
		if again := hold(t, b.one, time.Second, held, time.Second); again.For < first.For {
			t.Errorf("announced again: in force for %s, before %s", again.For, first.For)
		}
	})
	t.Run("Lapsed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		hold(t, b.one, time.Second, held, time.Second)
		hold(t, b.two, 0, notHeld, 0)
		hold(t, b.two, 2*time.Second, notHeld, 2*time.Second)
		hold(t, b.one, time.Second, held, 2*time.Second)
		// Announcing the same lease brings it into force again, too.
		before := hold(t, b.one, 2*time.Second, held, 2*time.Second)
		for deadline := time.Now().Add(20 * time.Second); before.For == 0 && !t.Failed() && time.Now().Before(deadline); {
			before = hold(t, b.one, 2*time.Second, held, 2*time.Second)
		}
		if after := hold(t, b.one, 2*time.Second, notHeld, 2*time.Second); after.For >= before.For {
			t.Errorf("in force again for %s, before %s", after.For, before.For)
		}
	})
	t.Run("Concurrent", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		told := make([]time.Duration, 8)
		var group sync.WaitGroup
		for n := range told {
			group.Go(func() {
				got, err := []ports.Store{b.one, b.two}[n%2].HoldLease(context.WithoutCancel(t.Context()), time.Duration(n+1)*time.Second, held)
				if err != nil {
					t.Error(err)
				}
				told[n] = got.Lease
			})
		}
		group.Wait()
		if slices.Max(told) != slices.Min(told) || told[0] == 0 {
			t.Errorf("HoldLease returned different leases: %v", told)
		}
	})
}
