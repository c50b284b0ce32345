package lifecycle

import (
	"fmt"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The anomaly rules about rates (a sign-in's opens, the networks that use a
// session's token) count in fixed time windows. Each replica counts in its own
// memory, and all of them add to one shared counter, where there is one:
//
//  1. A window starts at a multiple of the limit's duration, so that it is the
//     same window on every replica. The first event in a new window drops all
//     local counts. An event that comes late, with a time in the window before,
//     is counted in the current one.
//  2. add changes the local count of the event's key.
//  3. exceeded adds the same change to the shared counter, which answers with
//     the total before and after it. Additions are ordered, so exactly one of
//     them takes the total past the limit: its caller, on one replica, reports
//     the anomaly.
//  4. If the shared counter fails, or has lost its counts, the local count
//     decides: the caller whose event takes it past the limit reports.
//  5. A lost answer may have been the one of step 3. After a failed call, the
//     replica reports at the next answer past the limit, even if the total was
//     past it before: an anomaly is rather reported twice than never.
//  6. A replica reports a key at most once per window.
//  7. If storing the report fails, retryReport marks the key as pending. The next
//     add of that key in the same window returns pending: its caller reports.

// maxWindowKeys bounds how many keys a window has. At the bound, keys without
// recent events are evicted and start again from zero.
const maxWindowKeys = 100_000

// windowKey identifies whose events a window counts.
type windowKey interface {
	comparable
	fmt.Stringer
}

// window counts the events of one anomaly rule. V is the local count of a key.
type window[K windowKey, V any] struct {
	rule  session.Rule
	limit session.Limit
	// shared counts for all replicas; nil when each counts on its own.
	shared ports.SharedCounter

	mu      sync.Mutex
	start   time.Time
	entries boundedMap[K, windowEntry[V]]
}

// windowEntry is the state of one key in the current window.
type windowEntry[V any] struct {
	count V
	// answerLost is whether the last call of the shared counter failed.
	answerLost bool
	// reported is whether a caller on this replica reports the anomaly; pending
	// is whether that failed and the next caller has to.
	reported, pending bool
}

func newWindow[K windowKey, V any](rule session.Rule, limit session.Limit, shared ports.SharedCounter) *window[K, V] {
	return &window[K, V]{rule: rule, limit: limit, shared: shared, entries: newBoundedMap[K, windowEntry[V]](maxWindowKeys)}
}

// add changes the local count of key. It returns the start of the window in
// which the event counts, and whether the caller has to report the key because
// an earlier report failed.
func (w *window[K, V]) add(now time.Time, key K, change func(count *V)) (pending bool, start time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	start = now.Truncate(w.limit.Within)
	late := start.Add(w.limit.Within).Equal(w.start)
	if !late && !start.Equal(w.start) {
		w.start = start
		w.entries.clear()
	}
	entry, _ := w.entries.get(key)
	change(&entry.count)
	pending, entry.pending = entry.pending, false
	w.entries.set(key, entry)
	return pending, w.start
}

// exceeded reports whether the caller has to report that key exceeds the limit.
// local is the local count before and after the caller's event; addShared adds
// that event to the shared counter.
func (w *window[K, V]) exceeded(start time.Time, key K, local ports.Count, addShared func(ports.SharedCounter, ports.CounterKey) (ports.Count, error)) (report bool) {
	total, err := local, error(nil)
	if w.shared != nil {
		total, err = addShared(w.shared, ports.CounterKey{Rule: w.rule, Subject: key.String(), Start: start, Window: w.limit.Within})
	}
	w.update(start, key, func(entry *windowEntry[V]) {
		exceeded := err == nil && w.limit.Passed(total.After)
		first := entry.answerLost || !w.limit.Passed(total.Before)
		if entry.answerLost = err != nil; !exceeded {
			exceeded, first = w.limit.Passed(local.After), true
		}
		report = exceeded && first && !entry.reported
		entry.reported = entry.reported || exceeded
	})
	return report
}

// retryReport makes the next caller that adds to key in the same window report
// it, because this caller's report was not stored.
func (w *window[K, V]) retryReport(now time.Time, key K) {
	w.update(now.Truncate(w.limit.Within), key, func(entry *windowEntry[V]) { entry.pending = true })
}

// update changes the entry of key, and drops the change when the window that
// began at start is over or the key was evicted.
func (w *window[K, V]) update(start time.Time, key K, change func(*windowEntry[V])) {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry, found := w.entries.get(key)
	current := found && start.Equal(w.start)
	if change(&entry); current {
		w.entries.set(key, entry)
	}
}
