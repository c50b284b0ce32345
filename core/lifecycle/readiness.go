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

var errDraining = errors.New("this replica is stopping")

const (
	// readyFor is for how long the answer of a probe of the store counts: anybody
	// may ask whether this replica is ready, and as often as they like.
	readyFor = time.Second
	// probeTimeout bounds a probe.
	probeTimeout = 5 * time.Second
)

// Readiness tells whether this replica can do its work. It implements
// ports.Readiness. However many ask, it makes one probe of the store at a time,
// and one a second.
type Readiness struct {
	store    ports.StoreProbe
	clock    ports.Clock
	draining atomic.Bool
	parts    []ports.Degradable

	mu    sync.Mutex
	probe *probe // the last one; nil before the first
}

// probe is a question to the store, and its answer.
type probe struct {
	began time.Time
	done  chan struct{} // closed once err is the answer
	err   error
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
		return nil, session.Because(session.KindUnavailable, session.ReasonStopping, errDraining)
	}
	if err := r.probed(ctx); err != nil {
		return nil, unready(err)
	}
	var degraded []string
	for _, part := range r.parts {
		if what := part.Degraded(); what != "" {
			degraded = append(degraded, what)
		}
	}
	return degraded, nil
}

// unready is the error of a probe: unless it says otherwise, the store is what
// fails.
func unready(err error) error {
	if session.ReasonOf(err) != "" {
		return err
	}
	return session.Because(session.KindUnavailable, session.ReasonStore, err)
}

// probed returns the answer of a probe that is under way, or was a moment ago,
// or, without any, of a new one. That does not end with the one who asked first.
func (r *Readiness) probed(ctx context.Context) error {
	p, isNew := r.latest()
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

// latest returns the probe whose answer counts now, and whether its question is
// still to be asked. Where the clock was set, older ones count no more.
func (r *Readiness) latest() (p *probe, isNew bool) {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if p = r.probe; p != nil && (!p.answered() || now.Sub(p.began).Abs() < readyFor) {
		return p, false
	}
	r.probe = &probe{began: now, done: make(chan struct{})}
	return r.probe, true
}

func (p *probe) answered() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
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
