package session

import (
	"fmt"
	"time"
)

// MaxClockSkew is the maximum difference between a replica's clock and the store's.
// Beyond it, the replica would end sessions at the wrong time: it is not ready and
// writes nothing.
const MaxClockSkew = 5 * time.Second

// CheckClock compares a replica's clock with the store's. store is the store's time
// at a moment between before and after by the replica's clock, so that a slow
// answer does not count as skew.
//
// Errors: KindUnavailable, with ReasonClock, when the clocks differ by more than
// MaxClockSkew.
func CheckClock(store, before, after time.Time) error {
	if store.Before(before.Add(-MaxClockSkew)) || store.After(after.Add(MaxClockSkew)) {
		return Because(KindUnavailable, ReasonClock, fmt.Errorf("clock: this replica's is at %s, the store's at %s", after.UTC().Format(time.RFC3339), store.UTC().Format(time.RFC3339)))
	}
	return nil
}
