package session

import (
	"fmt"
	"time"
)

// MaxClockSkew is how far a replica's clock may be from the store's. Beyond it
// the replica would end sessions at the wrong time: it is not ready and writes
// nothing.
const MaxClockSkew = 5 * time.Second

// CheckClock compares a replica's clock with the store's, which showed store at
// some moment between before and after by the replica's: a slow answer does not
// count as skew.
//
// Errors: KindUnavailable, with ReasonClock, when they differ by more than MaxClockSkew.
func CheckClock(store, before, after time.Time) error {
	if store.Before(before.Add(-MaxClockSkew)) || store.After(after.Add(MaxClockSkew)) {
		return Because(KindUnavailable, ReasonClock, fmt.Errorf("clock: this replica's is at %s, the store's at %s", after.UTC().Format(time.RFC3339), store.UTC().Format(time.RFC3339)))
	}
	return nil
}
