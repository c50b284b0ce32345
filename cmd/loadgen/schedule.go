package main

import (
	"sync/atomic"
	"time"
)

// schedule decides when requests are due. With a rate it is an open loop: requests
// are due at even intervals, whether or not earlier ones are answered. Clients do
// not wait for each other, so the latency of a request includes the time that it
// waited to be sent. Without a rate it is a closed loop: a request is due whenever
// a connection is free.
type schedule struct {
	start    time.Time
	duration time.Duration
	rate     float64 // per second; 0 means a closed loop
	most     int64   // number of requests; 0 means no bound
	taken    atomic.Int64
}

// take returns the number of the next request and when it is due. ok is false
// after the last one.
func (s *schedule) take() (n int64, due time.Time, ok bool) {
	n = s.taken.Add(1) - 1
	if s.most > 0 && n >= s.most {
		return n, time.Time{}, false
	}
	if s.rate > 0 {
		due = s.due(n)
		return n, due, due.Sub(s.start) < s.duration
	}
	now := time.Now()
	return n, now, now.Sub(s.start) < s.duration
}

func (s *schedule) due(n int64) time.Time {
	return s.start.Add(time.Duration(float64(n) / s.rate * float64(time.Second)))
}

// asked returns the number of requests in an open loop, and 0 in a closed loop.
func (s *schedule) asked() int64 {
	if s.rate <= 0 {
		return 0
	}
	n := int64(s.rate * s.duration.Seconds())
	for s.due(n).Sub(s.start) < s.duration { // the first is due at once
		n++
	}
	if s.most > 0 {
		n = min(n, s.most)
	}
	return n
}
