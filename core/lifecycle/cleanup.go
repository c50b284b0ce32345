package lifecycle

import (
	"context"
	"time"

	"chatkit-session/ports"
)

// CleanupBatch is how many rows the service's clean-up changes in a transaction.
// Such a batch is short enough not to delay requests, and a million rows take
// about 15 minutes.
const CleanupBatch = 100

// Cleaner expires sessions and deletes data after its retention. The command serve
// runs Clean when it starts and then once per clean-up interval, on every replica;
// the store lets one of them work at a time. The command cleanup runs it once.
type Cleaner struct {
	store     CleanerStore
	clock     ports.Clock
	retention Retention
	batch     int
}

// CleanerStore is the part of a store that a Cleaner uses.
type CleanerStore interface {
	ports.SessionCleaner
	ports.StoreProbe
}

// Retention is how long data is kept.
type Retention struct {
	// Ended is how long a session is kept after its end.
	Ended time.Duration
	// Activity is how long a record of a timeline is kept.
	Activity time.Duration
	// SignIns is how long blocks, moments and sign-ins without a session are kept.
	SignIns time.Duration
}

// NewCleaner returns a Cleaner that changes at most batch rows in a transaction;
// batch must be positive.
func NewCleaner(store CleanerStore, clock ports.Clock, retention Retention, batch int) *Cleaner {
	return &Cleaner{store: store, clock: clock, retention: retention, batch: batch}
}

// Cleaned counts what Clean did, also before an error: sessions that it expired,
// and sessions, records of timelines and sign-ins that it deleted.
type Cleaned struct{ Expired, Purged, Activity, SignIns int }

// Clean cleans up everything that is due, in batches. Each batch is a transaction
// of its own, so that an interruption loses no finished work. It stops at the
// store's first error.
//
// What is due goes by the store's clock, read once at the beginning.
//
// Errors: KindUnavailable, with nothing changed, when this replica's clock
// differs from the store's by more than session.MaxClockSkew, because either may
// be wrong; those of the store.
func (c *Cleaner) Clean(ctx context.Context) (Cleaned, error) {
	var done Cleaned
	now, err := storeTime(ctx, c.store, c.clock)
	if err != nil {
		return done, err
	}
	done.Expired, err = c.repeat(ctx, now, c.store.ExpireDue)
	if err != nil {
		return done, err
	}
	done.Purged, err = c.repeat(ctx, now.Add(-c.retention.Ended), c.store.PurgeEnded)
	if err != nil {
		return done, err
	}
	done.Activity, err = c.repeat(ctx, now.Add(-c.retention.Activity), c.store.PurgeActivity)
	if err != nil {
		return done, err
	}
	done.SignIns, err = c.repeat(ctx, now.Add(-c.retention.SignIns), c.store.PurgeSignIns)
	return done, err
}

const (
	// pauseFactor times the duration of a batch is the pause after it: requests
	// get most of the store's time.
	pauseFactor = 3
	// maxPause bounds the pause when the clock is set forward during a batch.
	maxPause = 30 * time.Second
)

// repeat calls step with a pause in between until a batch is not full, and
// returns how many rows were changed.
func (c *Cleaner) repeat(ctx context.Context, until time.Time, step func(context.Context, time.Time, int) (int, error)) (int, error) {
	total := 0
	for {
		began := c.clock.Now()
		n, err := step(ctx, until, c.batch)
		total += n
		if err != nil || n < c.batch {
			return total, err
		}
		pause(ctx, min(pauseFactor*c.clock.Now().Sub(began), maxPause))
	}
}
