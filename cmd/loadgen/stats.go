package main

import (
	"maps"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// failure is the reason why a request failed. There are few reasons, so that they
// can be counted.
type failure string

func (f failure) Error() string { return string(f) }

// The histograms hold latencies from a microsecond to ten minutes, with three
// significant digits.
const (
	slowest = 10 * time.Minute
	digits  = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, slowest.Microseconds(), digits)
}

// stats holds the results of the requests of some connections.
type stats struct {
	mu        sync.Mutex
	latencies *hdrhistogram.Histogram // of successful requests
	failures  *hdrhistogram.Histogram // of failed requests; nil if there are none
	good      int64
	errors    map[string]int64
}

func newStats() *stats {
	return &stats{latencies: newHistogram(), errors: map[string]int64{}}
}

// record counts a request with the time since it was due. Failed requests have a
// histogram of their own: fast refusals would make a service look fast, and slow
// ones only show the client's timeout.
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

// maxStats bounds the number of stats: each has a histogram of some hundred
// kilobytes, and all are summed every second.
const maxStats = 64

// workerStats holds the stats of all connections.
type workerStats struct{ each []*stats }

// newWorkerStats returns empty stats for n connections.
func newWorkerStats(n int) *workerStats {
	all := &workerStats{}
	for range min(n, maxStats) {
		all.each = append(all.each, newStats())
	}
	return all
}

// of returns the stats of connection number i.
func (t *workerStats) of(i int) *stats { return t.each[i%len(t.each)] }

// sum returns the current total.
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

// failed returns the number of failed requests.
func (t *stats) failed() (n int64) {
	for _, count := range t.errors {
		n += count
	}
	return n
}
