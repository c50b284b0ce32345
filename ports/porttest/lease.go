package porttest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"chatkit-session/ports"
)

// testLease is about the lease that replicas agree on. A lease that is kept for
// an hour is held in all of a test, and one that is kept for no time never.
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
	t.Run("TheFirstCounts", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		hold(t, b.two, 0, held, 0)
		first := hold(t, b.one, time.Second, held, time.Second)
		hold(t, b.two, 2*time.Second, held, time.Second)
		hold(t, b.two, 0, held, time.Second)
		if again := hold(t, b.one, time.Second, held, time.Second); again.For < first.For {
			t.Errorf("held again, it is in force for %s, and was for %s", again.For, first.For)
		}
	})
	t.Run("UntilNobodyHoldsIt", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		hold(t, b.one, time.Second, held, time.Second)
		hold(t, b.two, 0, notHeld, 0)
		hold(t, b.two, 2*time.Second, notHeld, 2*time.Second)
		hold(t, b.one, time.Second, held, 2*time.Second)
		// The same one comes into force anew, too.
		before := hold(t, b.one, 2*time.Second, held, 2*time.Second)
		for deadline := time.Now().Add(20 * time.Second); before.For == 0 && !t.Failed() && time.Now().Before(deadline); {
			before = hold(t, b.one, 2*time.Second, held, 2*time.Second)
		}
		if after := hold(t, b.one, 2*time.Second, notHeld, 2*time.Second); after.For >= before.For {
			t.Errorf("taken anew, it is in force for %s, and was for %s before", after.For, before.For)
		}
	})
	t.Run("AllAtOnce", func(t *testing.T) {
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
			t.Errorf("they are told %v", told)
		}
	})
}
