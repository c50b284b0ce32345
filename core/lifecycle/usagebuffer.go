package lifecycle

import (
	"context"
	"slices"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// UsageBuffer collects the uses of sessions in memory and writes them in batches,
// so that a use costs its caller no write:
//
//  1. Opened and Checked merge a use into the pending one of its session.
//  2. Flush takes the pending uses that are due: those of sessions whose last
//     activity was stored at least one resolution ago, or all when many are
//     pending. So a session is written at most once per resolution.
//  3. A batch that fails stays pending, as do uses of sessions that the store
//     reports busy, because another transaction changes them.
type UsageBuffer struct {
	store      ports.UsageStore
	clock      ports.Clock
	resolution time.Duration

	mu      sync.Mutex
	pending map[session.ID]*pendingUse
	// flushed has the last use of each session in the latest flush. A session
	// that was read while that flush ran does not show it yet.
	flushed map[session.ID]time.Time
}

// pendingUse is a use that is not written yet.
type pendingUse struct {
	session.Use
	stored time.Time // the session's last activity in the store
}

// maxPendingUses bounds how many sessions have a pending use. At half of it, all
// are due; at the bound, uses of further sessions are dropped.
const maxPendingUses = 100_000

// TouchBatch is how many sessions one transaction writes.
const TouchBatch = 1000

// NewUsageBuffer returns a UsageBuffer that writes a session at most once per
// resolution.
func NewUsageBuffer(store ports.UsageStore, clock ports.Clock, resolution time.Duration) *UsageBuffer {
	return &UsageBuffer{
		store: store, clock: clock, resolution: resolution,
		pending: make(map[session.ID]*pendingUse), flushed: make(map[session.ID]time.Time),
	}
}

// Opened adds that s, as it was just read, was opened from source. It does not
// block.
func (b *UsageBuffer) Opened(s session.Session, now time.Time, source session.Source) {
	b.use(s, session.Use{Session: s.ID(), At: now, Opens: 1, Source: source})
}

// Checked adds that the token of s, as it was just read, was checked. It does not
// block.
func (b *UsageBuffer) Checked(s session.Session, now time.Time, source session.Source) {
	b.use(s, session.Use{Session: s.ID(), At: now, Checks: 1, Source: source})
}

func (b *UsageBuffer) use(s session.Session, use session.Use) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.merge(&pendingUse{use, later(s.LastActivityAt(), b.flushed[s.ID()])})
}

// Exact returns copies of active sessions with their exact last activity, as far
// as this replica knows it, including uses that are not written yet. Stored times
// lag behind by up to about one resolution, which is too coarse to tell which of
// two sessions is the least recently used. Other replicas' unwritten uses are
// unknown here.
func (b *UsageBuffer) Exact(list []session.Session) []session.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	list = slices.Clone(list)
	for i := range list {
		s := &list[i]
		used := b.flushed[s.ID()]
		if p, found := b.pending[s.ID()]; found {
			used = later(used, p.At)
		}
		if used.After(s.LastActivityAt()) {
			s.Use(used)
		}
	}
	return list
}

// merge adds p to the pending use of its session.
func (b *UsageBuffer) merge(p *pendingUse) {
	earlier, found := b.pending[p.Session]
	switch {
	case found:
		if p.At.Before(earlier.At) {
			p.Source = earlier.Source.Or(p.Source)
		} else {
			p.Source = p.Source.Or(earlier.Source)
		}
		p.At, p.Opens, p.Checks = later(p.At, earlier.At), p.Opens+earlier.Opens, p.Checks+earlier.Checks
		p.stored = later(p.stored, earlier.stored)
	case len(b.pending) >= maxPendingUses:
		return
	}
	b.pending[p.Session] = p
}

// Flush writes the uses that are due, and returns the store's error; unwritten
// uses stay pending. Only one Flush or FlushAll may run at a time.
func (b *UsageBuffer) Flush(ctx context.Context) error { return b.flush(ctx, b.due()) }

// FlushAll writes all pending uses.
func (b *UsageBuffer) FlushAll(ctx context.Context) error {
	return b.flush(ctx, func(*pendingUse) bool { return true })
}

// due returns a function that reports whether a use is to be written now.
func (b *UsageBuffer) due() func(*pendingUse) bool {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	many := len(b.pending) >= maxPendingUses/2
	return func(p *pendingUse) bool { return many || now.Sub(p.stored) >= b.resolution }
}

func (b *UsageBuffer) flush(ctx context.Context, due func(*pendingUse) bool) error {
	taken := b.take(due)
	for len(taken) > 0 {
		n := min(TouchBatch, len(taken))
		if err := b.touch(ctx, taken[:n]); err != nil {
			b.putBack(taken)
			return err
		}
		taken = taken[n:]
	}
	return nil
}

// take removes the uses that are due from the pending ones.
func (b *UsageBuffer) take(due func(*pendingUse) bool) []*pendingUse {
	b.mu.Lock()
	defer b.mu.Unlock()
	var taken []*pendingUse
	clear(b.flushed)
	for id, p := range b.pending {
		if due(p) {
			taken = append(taken, p)
			b.flushed[id] = p.At
			delete(b.pending, id)
		}
	}
	return taken
}

// touch writes one batch. Uses of sessions that are busy become pending again.
func (b *UsageBuffer) touch(ctx context.Context, batch []*pendingUse) error {
	uses, byID := make([]session.Use, len(batch)), make(map[session.ID]*pendingUse, len(batch))
	for i, p := range batch {
		uses[i], byID[p.Session] = p.Use, p
	}
	busy, err := b.store.Touch(ctx, uses)
	if err != nil {
		return err
	}
	unwritten := make([]*pendingUse, len(busy))
	for i, id := range busy {
		unwritten[i] = byID[id]
	}
	b.putBack(unwritten)
	return nil
}

// putBack makes uses that were not written pending again.
func (b *UsageBuffer) putBack(unwritten []*pendingUse) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range unwritten {
		delete(b.flushed, p.Session)
		if newer, found := b.pending[p.Session]; found {
			newer.stored = p.stored // it counted p as stored
		}
		b.merge(p)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
