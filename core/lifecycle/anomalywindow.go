package lifecycle

import (
	"fmt"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// maxWatched bounds how many keys a window has; when there are more, it forgets
// those that were not seen for longest. To be forgotten between two of one's own
// opens takes half as many of others'.
const maxWatched = 100_000

// key is what a window keeps values of.
type key interface {
	comparable
	fmt.Stringer
}

// window keeps a value for each key on this replica, what a rule is about, and
// forgets all of them when its stretch of time is over, so that it needs no care.
// Stretches follow each other by the clock: all replicas have the same.
type window[K key, V any] struct {
	rule  session.Rule
	limit session.Limit
	// together is what all replicas saw; nil where each counts for itself.
	together ports.SharedCounter

	mu     sync.Mutex
	began  time.Time
	values recent[K, watched[V]]
}

// watched is what this replica knows of a key.
type watched[V any] struct {
	value V
	// unsure is whether others may have counted what this replica was not told
	// of: it asked and got no answer.
	unsure bool
	// reported is whether somebody reports that the limit was passed, owed
	// whether the next who sees the key is to, because it could not be.
	reported, owed bool
}

func newWindow[K key, V any](rule session.Rule, limit session.Limit, together ports.SharedCounter) *window[K, V] {
	return &window[K, V]{rule: rule, limit: limit, together: together, values: newRecent[K, watched[V]](maxWatched)}
}

// see changes the key's value by with. It returns whether what it shows is still
// to be reported, by this caller, and when the stretch of time began in which
// that counts.
func (w *window[K, V]) see(now time.Time, key K, with func(*V)) (owed bool, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	began := now.Truncate(w.limit.Within)
	late := began.Add(w.limit.Within).Equal(w.began) // it counts with those that came before it
	if !late && !began.Equal(w.began) {
		w.began = began
		w.values.clear()
	}
	v, _ := w.values.get(key)
	with(&v.value)
	owed, v.owed = v.owed, false
	w.values.set(key, v)
	return owed, w.began
}

// know changes what is known of the key in the stretch that began then; nothing
// when that is over.
func (w *window[K, V]) know(since time.Time, key K, with func(*watched[V])) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, there := w.values.get(key)
	there = there && since.Equal(w.began)
	if with(&v); there {
		w.values.set(key, v)
	}
}

// owe leaves it to the next who sees the key to report what could not be.
func (w *window[K, V]) owe(now time.Time, key K) {
	w.know(now.Truncate(w.limit.Within), key, func(v *watched[V]) { v.owed = true })
}

// passes reports whether what was just seen of a key passes the limit and this
// caller is the one to report that: on all replicas, where they count together,
// the one that does so. What this one saw alone counts when they cannot, and
// when they have forgotten what they counted. Where an answer was lost, it may
// have been the one that said so: then it is reported rather twice than never.
func (w *window[K, V]) passes(since time.Time, key K, alone ports.Count, ask func(ports.SharedCounter, ports.CounterKey) (ports.Count, error)) (report bool) {
	all, err := alone, error(nil)
	if w.together != nil {
		all, err = ask(w.together, ports.CounterKey{Rule: w.rule, Subject: key.String(), Start: since, Window: w.limit.Within})
	}
	w.know(since, key, func(v *watched[V]) {
		passed := err == nil && w.limit.Passed(all.After)
		first := v.unsure || !w.limit.Passed(all.Before)
		if v.unsure = err != nil; !passed {
			passed, first = w.limit.Passed(alone.After), true
		}
		report = passed && first && !v.reported
		v.reported = v.reported || passed
	})
	return report
}
