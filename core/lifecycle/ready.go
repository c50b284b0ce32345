package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// MaxClockSkew is how far a replica's clock may be from the store's: beyond it
// the replica would end sessions at the wrong time.
const MaxClockSkew = 5 * time.Second

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

// Ready implements ports.Readiness. The store's clock is compared with this
// replica's from before and after the question, so that a slow answer does not
// count as skew.
func (r *Readiness) Ready(ctx context.Context) ([]string, error) {
	if r.Draining() {
		return nil, session.Wrap(session.KindUnavailable, errDraining)
	}
	before := r.clock.Now()
	store, err := r.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	after := r.clock.Now()
	if store.Before(before.Add(-MaxClockSkew)) || store.After(after.Add(MaxClockSkew)) {
		return nil, session.Wrap(session.KindUnavailable, fmt.Errorf("clock: this replica's is at %s, the store's at %s", after.Format(time.RFC3339), store.Format(time.RFC3339)))
	}
	var degraded []string
	for _, part := range r.parts {
		if what := part.Degraded(); what != "" {
			degraded = append(degraded, what)
		}
	}
	return degraded, nil
}
