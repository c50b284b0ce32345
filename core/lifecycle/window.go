package lifecycle

import (
	"sync"
	"time"
)

// maxWatched bounds how many keys a window has; more are not watched.
const maxWatched = 50_000

// window keeps a value for each key on this replica, and forgets all of them
// when its time is over, so that it needs no care.
type window[K comparable, V any] struct {
	within time.Duration

	mu     sync.Mutex
	began  time.Time
	values map[K]V
}

func newWindow[K comparable, V any](within time.Duration) *window[K, V] {
	return &window[K, V]{within: within, values: make(map[K]V)}
}

// watched is a value of a window, and whether what it shows was reported.
type watched[V any] struct {
	value    V
	reported bool
}

// change replaces the key's value by what with makes of it.
func (w *window[K, V]) change(now time.Time, key K, with func(V) V) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.began) >= w.within {
		w.began = now
		clear(w.values)
	}
	value, watched := w.values[key]
	if watched || len(w.values) < maxWatched {
		w.values[key] = with(value)
	}
}
