package lifecycle

import (
	"context"
	"maps"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Activity gathers when sessions are in use and writes it in batches: seeing a
// session never costs its caller a write.
type Activity struct {
	store      ports.ActivityStore
	resolution time.Duration

	mu   sync.Mutex
	seen map[session.ID]time.Time // not written yet
}

// maxSeen bounds how many sessions wait to be written. Between two flushes more
// than that are not seen on one replica; if they are, the rest is noted at
// their next use.
const maxSeen = 100_000

// touchBatch is how many sessions one transaction writes.
const touchBatch = 1000

// NewActivity returns an Activity that writes a session's last activity only
// when it is at least resolution later than what is stored.
func NewActivity(store ports.ActivityStore, resolution time.Duration) *Activity {
	return &Activity{store: store, resolution: resolution, seen: make(map[session.ID]time.Time)}
}

// See notes that s, as it was found just now, is in use at now. It does not
// wait.
func (a *Activity) See(s session.Session, now time.Time) {
	if now.Sub(s.LastActivityAt()) < a.resolution {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, waiting := a.seen[s.ID()]; !waiting && len(a.seen) < maxSeen {
		a.seen[s.ID()] = now
	}
}

// Flush writes what was seen. What it could not write waits for the next time;
// the error is the store's.
func (a *Activity) Flush(ctx context.Context) error {
	a.mu.Lock()
	seen := a.seen
	a.seen = make(map[session.ID]time.Time)
	a.mu.Unlock()
	for len(seen) > 0 {
		batch := take(seen, touchBatch)
		if err := a.store.Touch(ctx, batch); err != nil {
			a.putBack(seen, batch)
			return err
		}
	}
	return nil
}

// take moves up to n entries out of seen.
func take(seen map[session.ID]time.Time, n int) map[session.ID]time.Time {
	batch := make(map[session.ID]time.Time, min(n, len(seen)))
	for id, at := range seen {
		if len(batch) == n {
			break
		}
		batch[id] = at
		delete(seen, id)
	}
	return batch
}

// putBack keeps what was not written; what was seen meanwhile is later.
func (a *Activity) putBack(lists ...map[session.ID]time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, list := range lists {
		maps.DeleteFunc(list, func(id session.ID, _ time.Time) bool {
			_, later := a.seen[id]
			return later || len(a.seen) >= maxSeen
		})
		maps.Copy(a.seen, list)
	}
}
