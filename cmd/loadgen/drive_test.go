package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// sendFunc is a sender that a test writes.
type sendFunc func(ctx context.Context, n int64) error

func (f sendFunc) send(ctx context.Context, n int64) error { return f(ctx, n) }

// pass lets d go by on the clock of the test.
func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return failure("no answer in time")
	}
}

// A server that stalls for 200 ms once holds everybody up who comes meanwhile:
// at 1000 requests a second a fifth of a second's. The open loop must show
// that, a client that measures by waiting for answers sees one slow request.
func TestDrive_Stall(t *testing.T) {
	t.Parallel()
	stalling := func(ctx context.Context, n int64) error {
		if n == 100 {
			return pass(ctx, 200*time.Millisecond)
		}
		return pass(ctx, 100*time.Microsecond)
	}
	for name, test := range map[string]struct {
		rate           float64
		requests       int64
		p50, p90, p99  float64 // bounds from below, in milliseconds
		most90, most99 float64 // and from above
	}{
		"OpenLoop":   {rate: 1000, requests: 1000, p50: 0.1, p90: 100, p99: 185, most90: 125, most99: 200},
		"ClosedLoop": {requests: 8001, p50: 0.1, p90: 0.1, p99: 0.1, most90: 0.2, most99: 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				all := newWorkerStats(1)
				drive(t.Context(), &schedule{start: time.Now(), duration: time.Second, rate: test.rate}, []sender{sendFunc(stalling)}, all)
				total := all.sum()
				p50, p90, p99 := total.milliseconds(50), total.milliseconds(90), total.milliseconds(99)
				if total.good != test.requests || p50 < test.p50 || p90 < test.p90 || p99 < test.p99 || p90 > test.most90 || p99 > test.most99 {
					t.Errorf("%d requests, p50 %v, p90 %v, p99 %v ms", total.good, p50, p90, p99)
				}
				if most := float64(total.latencies.Max()) / 1000; most < 199 || most > 201 {
					t.Errorf("the slowest took %v ms", most)
				}
			})
		})
	}
}

// A server that answers nobody any more ends no run late, and those who could
// not even ask are counted.
func TestDrive_Hang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hanging := sendFunc(func(ctx context.Context, _ int64) error {
			<-ctx.Done()
			return failure("no answer in time")
		})
		all := newWorkerStats(2)
		took := drive(t.Context(), &schedule{start: time.Now(), duration: time.Second, rate: 100}, []sender{hanging, hanging}, all)
		total := all.sum()
		if took != time.Second+drainTime || total.errors["no answer in time"] != 2 || total.errors["not sent"] != 98 || total.good != 0 {
			t.Errorf("after %s: %d good, %v", took, total.good, total.errors)
		}
		if got := percentilesOf(total.failures).P50; got < 5400 || got > 5600 {
			t.Errorf("half of them waited %v ms", got)
		}
	})
}

func TestDrive_Bounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rate     float64
		duration time.Duration
		most     int64
		want     int64
	}{
		"Rate":       {250, time.Second, 0, 250},
		"Slow":       {0.5, time.Second, 0, 1},
		"Most":       {250, time.Second, 7, 7},
		"ClosedMost": {0, time.Second, 7, 7},
		"Closed":     {0, time.Second, 0, 3 * 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				all := newWorkerStats(3)
				each := sendFunc(func(ctx context.Context, _ int64) error { return pass(ctx, 10*time.Millisecond) })
				s := schedule{start: time.Now(), rate: test.rate, duration: test.duration, most: test.most}
				drive(t.Context(), &s, []sender{each, each, each}, all)
				if got := all.sum().good; got != test.want {
					t.Errorf("%d requests, want %d", got, test.want)
				}
			})
		})
	}
}

// A run that is stopped reports what there is: what is due later, and what is cut
// off under way, did not fail. What was due and could not be sent did.
func TestDrive_Stopped(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rate         float64
		takes        time.Duration
		good, unsent int64
	}{
		"BetweenTwo": {10, time.Millisecond, 10, 0},
		"UnderWay":   {10, 80 * time.Millisecond, 9, 0},
		"Behind":     {10, 400 * time.Millisecond, 4, 4},
		"ClosedLoop": {0, 100 * time.Millisecond, 18, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				const stopped = 950 * time.Millisecond
				time.AfterFunc(stopped, cancel)
				all := newWorkerStats(2)
				each := sendFunc(func(ctx context.Context, _ int64) error { return pass(ctx, test.takes) })
				took := drive(ctx, &schedule{start: time.Now(), duration: time.Hour, rate: test.rate}, []sender{each, each}, all)
				if total := all.sum(); took != stopped || total.good != test.good || total.failed() != test.unsent || total.errors["not sent"] != test.unsent {
					t.Errorf("after %s: %d good, %v", took, total.good, total.errors)
				}
			})
		})
	}
}
