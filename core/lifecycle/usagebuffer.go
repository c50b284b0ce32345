package lifecycle

import (
	"context"
	"slices"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// UsageBuffer gathers how sessions are used and writes it in batches: using a
// session never costs its caller a write.
type UsageBuffer struct {
	store      ports.UsageStore
	clock      ports.Clock
	resolution time.Duration

	mu      sync.Mutex
	waiting map[session.ID]*waiting
	// written says until when the last flush wrote uses: what was read while
	// it ran does not know that yet.
	written map[session.ID]time.Time
}

// waiting is a use that is not written yet, of a session whose last activity
// is stored as that of a time.
type waiting struct {
	session.Use
	stored time.Time
}

// maxWaiting bounds how many sessions' uses wait to be written. At half of it
// they are written early; beyond it, uses of further sessions are not noted.
const maxWaiting = 100_000

// TouchBatch is how many sessions one transaction writes.
const TouchBatch = 1000

// NewUsageBuffer returns a UsageBuffer that writes each session at most once in a
// resolution.
func NewUsageBuffer(store ports.UsageStore, clock ports.Clock, resolution time.Duration) *UsageBuffer {
	return &UsageBuffer{
		store: store, clock: clock, resolution: resolution,
		waiting: make(map[session.ID]*waiting), written: make(map[session.ID]time.Time),
	}
}

// Opened notes that s, as it was found just now, was opened from source. It
// does not wait.
func (u *UsageBuffer) Opened(s session.Session, now time.Time, source session.Source) {
	u.note(s, session.Use{Session: s.ID(), At: now, Opens: 1, Source: source})
}

// Checked notes that the token of s, as it was found just now, was checked. It
// does not wait.
func (u *UsageBuffer) Checked(s session.Session, now time.Time, source session.Source) {
	u.note(s, session.Use{Session: s.ID(), At: now, Checks: 1, Source: source})
}

func (u *UsageBuffer) note(s session.Session, use session.Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.add(&waiting{use, later(s.LastActivityAt(), u.written[s.ID()])})
}

// Exact returns copies of active sessions, each as last used when this replica
// knows that it was, be that written yet or not. Between two that were used
// within the resolution only this tells which is the longest unused. Of other
// replicas' uses it knows those that were written when list was read: all but
// those of about the last resolution.
func (u *UsageBuffer) Exact(list []session.Session) []session.Session {
	u.mu.Lock()
	defer u.mu.Unlock()
	list = slices.Clone(list)
	for i := range list {
		s := &list[i]
		used := u.written[s.ID()]
		if w, there := u.waiting[s.ID()]; there {
			used = later(used, w.At)
		}
		if used.After(s.LastActivityAt()) {
			s.Use(used)
		}
	}
	return list
}

// add joins w with what waits already.
func (u *UsageBuffer) add(w *waiting) {
	earlier, there := u.waiting[w.Session]
	switch {
	case there:
		if w.At.Before(earlier.At) {
			w.Source = earlier.Source.Or(w.Source)
		} else {
			w.Source = w.Source.Or(earlier.Source)
		}
		w.At, w.Opens, w.Checks = later(w.At, earlier.At), w.Opens+earlier.Opens, w.Checks+earlier.Checks
		w.stored = later(w.stored, earlier.stored)
	case len(u.waiting) >= maxWaiting:
		return
	}
	u.waiting[w.Session] = w
}

// Flush writes what is due. What it could not write waits for the next time;
// the error is the store's. Only one Flush may run at a time.
func (u *UsageBuffer) Flush(ctx context.Context) error { return u.flush(ctx, u.due()) }

// FlushAll writes all that waits.
func (u *UsageBuffer) FlushAll(ctx context.Context) error {
	return u.flush(ctx, func(*waiting) bool { return true })
}

// due says which uses are to be written now: those of sessions that were not
// written for a resolution, and all when many wait.
func (u *UsageBuffer) due() func(*waiting) bool {
	now := u.clock.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	many := len(u.waiting) >= maxWaiting/2
	return func(w *waiting) bool { return many || now.Sub(w.stored) >= u.resolution }
}

func (u *UsageBuffer) flush(ctx context.Context, due func(*waiting) bool) error {
	taken := u.take(due)
	for len(taken) > 0 {
		n := min(TouchBatch, len(taken))
		if err := u.touch(ctx, taken[:n]); err != nil {
			u.putBack(taken)
			return err
		}
		taken = taken[n:]
	}
	return nil
}

// take moves what is due out of what waits.
func (u *UsageBuffer) take(due func(*waiting) bool) []*waiting {
	u.mu.Lock()
	defer u.mu.Unlock()
	var taken []*waiting
	clear(u.written)
	for id, w := range u.waiting {
		if due(w) {
			taken = append(taken, w)
			u.written[id] = w.At
			delete(u.waiting, id)
		}
	}
	return taken
}

// touch writes a batch; those that somebody else is changing wait again.
func (u *UsageBuffer) touch(ctx context.Context, batch []*waiting) error {
	uses, byID := make([]session.Use, len(batch)), make(map[session.ID]*waiting, len(batch))
	for i, w := range batch {
		uses[i], byID[w.Session] = w.Use, w
	}
	busy, err := u.store.Touch(ctx, uses)
	if err != nil {
		return err
	}
	left := make([]*waiting, len(busy))
	for i, id := range busy {
		left[i] = byID[id]
	}
	u.putBack(left)
	return nil
}

// putBack keeps what was not written.
func (u *UsageBuffer) putBack(list []*waiting) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, w := range list {
		delete(u.written, w.Session)
		if meanwhile, there := u.waiting[w.Session]; there {
			meanwhile.stored = w.stored // it was not written
		}
		u.add(w)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
