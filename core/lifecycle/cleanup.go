package lifecycle

import (
	"context"
	"time"

	"chatkit-session/ports"
)

// CleanupBatch is how many rows one transaction of the service's clean-up takes:
// few enough not to hold up anybody, enough for a million in a quarter of an hour.
const CleanupBatch = 100

// Cleaner ends sessions whose time is up and forgets what is long ago.
type Cleaner struct {
	store     CleanerStore
	clock     ports.Clock
	retention Retention
	batch     int
}

// CleanerStore is what a Cleaner needs of a store.
type CleanerStore interface {
	ports.SessionCleaner
	ports.StoreProbe
}

// Retention is how long things are kept.
type Retention struct {
	// Ended is for how long after their end sessions are kept.
	Ended time.Duration
	// Activity is for how long timelines are kept.
	Activity time.Duration
	// SignIns is for how long blocks, moments and sign-ins that hold no session
	// are kept.
	SignIns time.Duration
}

// NewCleaner returns a Cleaner that takes batch rows at a time; batch must be
// positive.
func NewCleaner(store CleanerStore, clock ports.Clock, retention Retention, batch int) *Cleaner {
	return &Cleaner{store: store, clock: clock, retention: retention, batch: batch}
}

// Cleaned counts what a clean-up did, also one that then failed: sessions that
// it ended, and ended ones, records of timelines and sign-ins that it deleted.
type Cleaned struct{ Expired, Purged, Activity, SignIns int }

// Clean works through all that is due, batch by batch, each in a transaction
// of its own, so that what was done stays done when it is interrupted. It
// returns the first error of the store.
//
// It goes by the store's clock as it is at the beginning. When this replica's
// differs, either may be wrong: it does nothing.
//
// Errors: KindUnavailable when the clocks differ by more than
// session.MaxClockSkew; those of the store.
func (c *Cleaner) Clean(ctx context.Context) (Cleaned, error) {
	var done Cleaned
	now, err := storeTime(ctx, c.store, c.clock)
	if err != nil {
		return done, err
	}
	done.Expired, err = c.drain(ctx, now, c.store.ExpireDue)
	if err != nil {
		return done, err
	}
	done.Purged, err = c.drain(ctx, now.Add(-c.retention.Ended), c.store.PurgeEnded)
	if err != nil {
		return done, err
	}
	done.Activity, err = c.drain(ctx, now.Add(-c.retention.Activity), c.store.PurgeActivity)
	if err != nil {
		return done, err
	}
	done.SignIns, err = c.drain(ctx, now.Add(-c.retention.SignIns), c.store.PurgeSignIns)
	return done, err
}

const (
	// rests is how many times as long as a batch took the clean-up rests then.
	rests = 3
	// longestRest is more than that is, and what a clock that is set forward in
	// the middle of a batch costs.
	longestRest = 30 * time.Second
)

// drain repeats step until a batch is not full. Between two it rests, so that
// callers get most of the store.
func (c *Cleaner) drain(ctx context.Context, until time.Time, step func(context.Context, time.Time, int) (int, error)) (int, error) {
	total := 0
	for {
		began := c.clock.Now()
		n, err := step(ctx, until, c.batch)
		total += n
		if err != nil || n < c.batch {
			return total, err
		}
		pause(ctx, min(rests*c.clock.Now().Sub(began), longestRest))
	}
}
