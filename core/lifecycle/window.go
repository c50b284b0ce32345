package lifecycle

import (
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// maxWatched bounds how many keys a window has; more are not watched.
const maxWatched = 50_000

// window keeps a value for each key on this replica, what a rule is about, and
// forgets all of them when its stretch of time is over, so that it needs no care.
// Stretches follow each other by the clock: all replicas have the same.
type window[K comparable, V any] struct {
	rule  session.Rule
	limit session.Limit
	// together is what all replicas saw; nil where each counts for itself.
	together ports.Sightings

	mu     sync.Mutex
	began  time.Time
	values map[K]watched[V]
}

// watched is a value of a window, and whether the next who sees it is to report
// what somebody before could not.
type watched[V any] struct {
	value V
	owed  bool
}

func newWindow[K comparable, V any](rule session.Rule, limit session.Limit, together ports.Sightings) *window[K, V] {
	return &window[K, V]{rule: rule, limit: limit, together: together, values: make(map[K]watched[V])}
}

// see changes the key's value by with, and reports whether what it shows is still
// to be reported: this caller is the one who does.
func (w *window[K, V]) see(now time.Time, key K, with func(*V)) (owed bool) {
	w.change(now, key, func(v *watched[V]) {
		with(&v.value)
		owed, v.owed = v.owed, false
	})
	return owed
}

// owe leaves it to the next who sees the key to report what could not be.
func (w *window[K, V]) owe(now time.Time, key K) {
	w.change(now, key, func(v *watched[V]) { v.owed = true })
}

func (w *window[K, V]) change(now time.Time, key K, with func(*watched[V])) {
	w.mu.Lock()
	defer w.mu.Unlock()
	began := w.since(now)
	late := began.Add(w.limit.Within).Equal(w.began) // it counts with those that came before it
	if !late && !began.Equal(w.began) {
		w.began = began
		clear(w.values)
	}
	value, there := w.values[key]
	if there || len(w.values) < maxWatched {
		with(&value)
		w.values[key] = value
	}
}

// since is when the stretch of time that now is in began.
func (w *window[K, V]) since(now time.Time) time.Time { return now.Truncate(w.limit.Within) }

// passes reports whether what was just seen of who is what passes the limit: on
// all replicas, where they count together now, or else by what this one saw
// alone.
func (w *window[K, V]) passes(now time.Time, who string, alone ports.Sighted, ask func(ports.Sightings, ports.SightingKey) (ports.Sighted, error)) bool {
	seen := alone
	if w.together != nil {
		key := ports.SightingKey{Rule: w.rule, Who: who, Since: w.since(now), Within: w.limit.Within}
		if all, err := ask(w.together, key); err == nil {
			seen = all
		}
	}
	return w.limit.PassedBy(seen.Before, seen.After)
}
