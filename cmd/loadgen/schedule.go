package main

import (
	"sync/atomic"
	"time"
)

// schedule says when requests are due. With a rate they are due at even
// steps, whether or not those before are answered (open loop): a client out
// there does not wait for another one's answer, so the wait of a request that
// could not be sent in time is part of how long it took. Without a rate a
// request is due whenever somebody is free (closed loop).
type schedule struct {
	start    time.Time
	duration time.Duration
	rate     float64 // a second; 0 is the closed loop
	most     int64   // requests; 0 is any number
	taken    atomic.Int64
}

// take returns the number of the next request and when it is due. It is false
// when there is none any more.
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

// asked is how many requests the schedule has by rate; 0 in the closed loop,
// which has as many as there is time for.
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
