package lifecycle

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errDraining = errors.New("this replica is stopping")

// Readiness tells whether this replica can do its work. It implements
// ports.Readiness.
type Readiness struct {
	store    ports.StoreProbe
	clock    ports.Clock
	draining atomic.Bool
	parts    []ports.Degradable
}

var _ ports.Readiness = (*Readiness)(nil)

// NewReadiness returns a Readiness of store. What parts do less well is told
// and no reason not to be ready.
func NewReadiness(store ports.StoreProbe, clock ports.Clock, parts ...ports.Degradable) *Readiness {
	return &Readiness{store: store, clock: clock, parts: parts}
}

// Drain makes Ready say from now on that this replica cannot, so that it is
// sent nothing more before it stops.
func (r *Readiness) Drain() { r.draining.Store(true) }

// Draining implements ports.Readiness.
func (r *Readiness) Draining() bool { return r.draining.Load() }

// Ready implements ports.Readiness.
func (r *Readiness) Ready(ctx context.Context) ([]string, error) {
	if r.Draining() {
		return nil, session.Wrap(session.KindUnavailable, errDraining)
	}
	if _, err := storeTime(ctx, r.store, r.clock); err != nil {
		return nil, err
	}
	var degraded []string
	for _, part := range r.parts {
		if what := part.Degraded(); what != "" {
			degraded = append(degraded, what)
		}
	}
	return degraded, nil
}

// storeTime returns the time of the store's clock, with which clock agrees.
//
// Errors: KindUnavailable when the clocks do not agree; those of the store.
func storeTime(ctx context.Context, store ports.StoreProbe, clock ports.Clock) (time.Time, error) {
	before := clock.Now()
	now, err := store.Now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return now, session.CheckClock(now, before, clock.Now())
}
