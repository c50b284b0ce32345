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

// drainTime is for how long after the last request was due those that are late
// are still sent and waited for.
const drainTime = 5 * time.Second

// drive sends what the schedule asks for, one goroutine a sender, and records
// into their workerStats. It returns when all is answered, when drainTime is
// over, or when ctx ends. Requests that were due and never sent count as
// failed, and with the time that they waited; those that whoever ended ctx cut
// off count for nothing.
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
			return // nobody knows how it would have gone
		}
		into.record(time.Since(due), err)
	}
}

// wait returns at due, or at once when that is over; false when ctx ends
// before.
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

// recordUnsent records those that were due by now and that nobody took.
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
