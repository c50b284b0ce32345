package main

import (
	"maps"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// failure is why a request counts as failed, in words that are few enough to
// count by.
type failure string

func (f failure) Error() string { return string(f) }

// The histograms know latencies from a microsecond to ten minutes, to three
// digits.
const (
	slowest = 10 * time.Minute
	digits  = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, slowest.Microseconds(), digits)
}

// tally is what became of the requests of some connections.
type tally struct {
	mu        sync.Mutex
	latencies *hdrhistogram.Histogram // of good answers
	failures  *hdrhistogram.Histogram // of the others; nil where there are none
	good      int64
	errors    map[string]int64
}

func newTally() *tally {
	return &tally{latencies: newHistogram(), errors: map[string]int64{}}
}

// record counts a request that took so long since it was due. How long a failed
// one took is kept apart: a refusal at once would make a service look fast, and
// one that comes late tells of the client's patience.
func (t *tally) record(took time.Duration, err error) {
	microseconds := min(max(took, time.Microsecond), slowest).Microseconds()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.good++
		_ = t.latencies.RecordValue(microseconds) // it is within the bounds
		return
	}
	t.errors[err.Error()]++
	if t.failures == nil {
		t.failures = newHistogram()
	}
	_ = t.failures.RecordValue(microseconds)
}

// mostTallies is how many there are at most: each has a histogram of some hundred
// kilobytes, and all are summed up every second.
const mostTallies = 64

// tallies are those of all connections.
type tallies struct{ each []*tally }

// newTallies returns tallies for n connections.
func newTallies(n int) *tallies {
	all := &tallies{}
	for range min(n, mostTallies) {
		all.each = append(all.each, newTally())
	}
	return all
}

// of is the tally of connection number i.
func (t *tallies) of(i int) *tally { return t.each[i%len(t.each)] }

// sum is all of them together, as they are now.
func (t *tallies) sum() *tally {
	total := newTally()
	for _, each := range t.each {
		each.addTo(total)
	}
	return total
}

func (t *tally) addTo(total *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	total.latencies.Merge(t.latencies)
	total.good += t.good
	if t.failures != nil {
		if total.failures == nil {
			total.failures = newHistogram()
		}
		total.failures.Merge(t.failures)
	}
	for reason, n := range maps.All(t.errors) {
		total.errors[reason] += n
	}
}

// failed is how many requests did not go well.
func (t *tally) failed() (n int64) {
	for _, count := range t.errors {
		n += count
	}
	return n
}
