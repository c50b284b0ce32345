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

// stats is what became of the requests of some connections.
type stats struct {
	mu        sync.Mutex
	latencies *hdrhistogram.Histogram // of good answers
	failures  *hdrhistogram.Histogram // of the others; nil where there are none
	good      int64
	errors    map[string]int64
}

func newStats() *stats {
	return &stats{latencies: newHistogram(), errors: map[string]int64{}}
}

// record counts a request that took so long since it was due. How long a failed
// one took is kept apart: a refusal at once would make a service look fast, and
// one that comes late tells of the client's patience.
func (t *stats) record(took time.Duration, err error) {
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

// maxStats is how many there are at most: each has a histogram of some hundred
// kilobytes, and all are summed up every second.
const maxStats = 64

// workerStats are those of all connections.
type workerStats struct{ each []*stats }

// newWorkerStats returns workerStats for n connections.
func newWorkerStats(n int) *workerStats {
	all := &workerStats{}
	for range min(n, maxStats) {
		all.each = append(all.each, newStats())
	}
	return all
}

// of is the stats of connection number i.
func (t *workerStats) of(i int) *stats { return t.each[i%len(t.each)] }

// sum is all of them together, as they are now.
func (t *workerStats) sum() *stats {
	total := newStats()
	for _, each := range t.each {
		each.addTo(total)
	}
	return total
}

func (t *stats) addTo(total *stats) {
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
func (t *stats) failed() (n int64) {
	for _, count := range t.errors {
		n += count
	}
	return n
}
