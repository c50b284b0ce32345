package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A sender sends request number n and checks the answer. Each belongs to one
// connection and is used by one goroutine.
type sender interface {
	send(ctx context.Context, n int64) error
}

// drainTime is how long after the end of the schedule late requests are still sent
// and awaited.
const drainTime = 5 * time.Second

// drive sends the requests of the schedule, with one goroutine per sender, and
// records their results. It returns when all are answered, when drainTime is over,
// or when ctx ends. Requests that were due but never sent count as failed, with the
// time that they waited. Requests that the end of ctx interrupted do not count.
func drive(ctx context.Context, s *schedule, senders []sender, into *workerStats) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, s.duration+drainTime)
	defer cancel()
	var group sync.WaitGroup
	for i, each := range senders {
		group.Go(func() { work(ctx, s, each, into.of(i)) })
	}
	group.Wait()
	took := time.Since(s.start)
	if ctx.Err() != nil {
		recordUnsent(s, into.of(0))
	}
	return took
}

func work(ctx context.Context, s *schedule, by sender, into *stats) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for ctx.Err() == nil {
		n, due, ok := s.take()
		if !ok {
			return
		}
		if !wait(ctx, timer, due) {
			return // it was not due yet
		}
		err := by.send(ctx, n)
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			return // interrupted: its result is unknown
		}
		into.record(time.Since(due), err)
	}
}

// wait waits until due. It returns false if ctx ends before.
func wait(ctx context.Context, timer *time.Timer, due time.Time) bool {
	left := time.Until(due)
	if left <= 0 {
		return true
	}
	timer.Reset(left)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// recordUnsent records the requests that were due by now but not sent.
func recordUnsent(s *schedule, into *stats) {
	now := time.Now()
	for n := s.taken.Load(); n < s.asked(); n++ {
		due := s.due(n)
		if due.After(now) {
			return
		}
		into.record(now.Sub(due), failure("not sent"))
	}
}
