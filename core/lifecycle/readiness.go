package lifecycle

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errDraining = errors.New("this replica is shutting down")

const (
	// probeTTL is how long the result of a probe is reused: clients may ask for
	// readiness as often as they like.
	probeTTL     = time.Second
	probeTimeout = 5 * time.Second
)

// Readiness reports whether this replica can serve requests. It probes the store
// at most once a second, and once at a time, however many callers ask. It
// implements ports.Readiness.
type Readiness struct {
	store      ports.StoreProbe
	clock      ports.Clock
	draining   atomic.Bool
	components []ports.Degradable

	mu    sync.Mutex
	probe *probe // the last one; nil before the first
}

// probe is one call of the store.
type probe struct {
	began time.Time
	done  chan struct{} // closed when err is set
	err   error
}

var _ ports.Readiness = (*Readiness)(nil)

// NewReadiness returns a Readiness of store. A degraded component is reported, but
// does not make the replica unready.
func NewReadiness(store ports.StoreProbe, clock ports.Clock, components ...ports.Degradable) *Readiness {
	return &Readiness{store: store, clock: clock, components: components}
}

// Drain makes the replica unready for good, so that load balancers stop sending
// requests before it shuts down.
func (r *Readiness) Drain() { r.draining.Store(true) }

// Draining implements ports.Readiness.
func (r *Readiness) Draining() bool { return r.draining.Load() }

// Ready implements ports.Readiness.
func (r *Readiness) Ready(ctx context.Context) ([]string, error) {
	if r.Draining() {
		return nil, session.Because(session.KindUnavailable, session.ReasonStopping, errDraining)
	}
	if err := r.probeStore(ctx); err != nil {
		return nil, unready(err)
	}
	var degraded []string
	for _, component := range r.components {
		if how := component.Degraded(); how != "" {
			degraded = append(degraded, how)
		}
	}
	return degraded, nil
}

// unready adds ReasonStore to a probe's error, unless it has a reason.
func unready(err error) error {
	if session.ReasonOf(err) != "" {
		return err
	}
	return session.Because(session.KindUnavailable, session.ReasonStore, err)
}

// probeStore returns the result of the latest probe, or of a new one. A probe
// goes on when the caller that started it gives up: others may wait for it.
func (r *Readiness) probeStore(ctx context.Context) error {
	p, isNew := r.latestProbe()
	if isNew {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		go func() {
			defer cancel()
			defer close(p.done)
			_, p.err = storeTime(ctx, r.store, r.clock)
		}()
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return session.Wrap(session.KindUnavailable, ctx.Err())
	}
}

// latestProbe returns the probe that is running or was done less than probeTTL
// ago, or else a new one that the caller has to run. A probe from the future is
// stale, too: the clock was set back.
func (r *Readiness) latestProbe() (p *probe, isNew bool) {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if p = r.probe; p != nil && (!p.isDone() || now.Sub(p.began).Abs() < probeTTL) {
		return p, false
	}
	r.probe = &probe{began: now, done: make(chan struct{})}
	return r.probe, true
}

func (p *probe) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// storeTime returns the time of the store's clock.
//
// Errors: KindUnavailable when clock differs from it by more than
// session.MaxClockSkew; those of the store.
func storeTime(ctx context.Context, store ports.StoreProbe, clock ports.Clock) (time.Time, error) {
	before := clock.Now()
	now, err := store.Now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return now, session.CheckClock(now, before, clock.Now())
}
