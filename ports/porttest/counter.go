package porttest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Counters are two replicas' clients of one shared counter.
type Counters struct{ One, Two ports.SharedCounter }

// SharedCounter checks that an implementation satisfies ports.SharedCounter. open
// returns the clients of a new, empty counter.
func SharedCounter(t *testing.T, open func(t *testing.T) Counters) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Counters){
		"Add":            testCounterAdd,
		"AddDistinct":    testCounterAddDistinct,
		"SeparateKeys":   testCounterSeparateKeys,
		"AnyText":        testCounterAnyText,
		"Cancelled":      testCounterCancelled,
		"ConcurrentAdds": testCounterConcurrentAdds,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// counterKeyOf returns a key whose window outlasts the test.
func counterKeyOf(rule session.Rule, subject string) ports.CounterKey {
	return ports.CounterKey{Rule: rule, Subject: subject, Start: noon, Window: time.Hour}
}

func add(t *testing.T, s ports.SharedCounter, key ports.CounterKey, n int) ports.Count {
	t.Helper()
	got, err := s.Add(t.Context(), key, n)
	if err != nil {
		t.Fatalf("Add = %v", err)
	}
	return got
}

func addDistinct(t *testing.T, s ports.SharedCounter, key ports.CounterKey, value string) ports.Count {
	t.Helper()
	got, err := s.AddDistinct(t.Context(), key, value)
	if err != nil {
		t.Fatalf("AddDistinct = %v", err)
	}
	return got
}

func testCounterAdd(t *testing.T, s Counters) {
	key := counterKeyOf(session.RuleOpens, "alice")
	for i, step := range []struct {
		by   ports.SharedCounter
		n    int
		want ports.Count
	}{
		{s.One, 1, ports.Count{Before: 0, After: 1}},
		{s.Two, 6, ports.Count{Before: 1, After: 7}},
		{s.One, 100_000, ports.Count{Before: 7, After: 100_007}},
	} {
		if got := add(t, step.by, key, step.n); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

// A value counts once, whichever replica adds it.
func testCounterAddDistinct(t *testing.T, s Counters) {
	key := counterKeyOf(session.RuleAddresses, "alice")
	for i, step := range []struct {
		by    ports.SharedCounter
		value string
		want  ports.Count
	}{
		{s.One, "192.0.2.1/32", ports.Count{Before: 0, After: 1}},
		{s.Two, "192.0.2.1/32", ports.Count{Before: 1, After: 1}},
		{s.Two, "2001:db8::/64", ports.Count{Before: 1, After: 2}},
		{s.One, "", ports.Count{Before: 2, After: 3}},
		{s.One, "2001:db8::/64", ports.Count{Before: 3, After: 3}},
	} {
		if got := addDistinct(t, step.by, key, step.value); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

// A count belongs to one rule, one subject and one window.
func testCounterSeparateKeys(t *testing.T, s Counters) {
	later := counterKeyOf(session.RuleOpens, "alice")
	later.Start = later.Start.Add(time.Microsecond)
	for _, key := range []ports.CounterKey{
		counterKeyOf(session.RuleOpens, "alice"), counterKeyOf(session.RuleOpens, "bob"), counterKeyOf(session.RuleAddresses, "alice"), later,
	} {
		if got, want := add(t, s.One, key, 2), (ports.Count{After: 2}); got != want {
			t.Errorf("Add to %+v = %+v, want %+v", key, got, want)
		}
		if got, want := addDistinct(t, s.Two, key, "one"), (ports.Count{After: 1}); got != want {
			t.Errorf("AddDistinct to %+v = %+v, want %+v", key, got, want)
		}
	}
}

// Subjects and values may be any text.
func testCounterAnyText(t *testing.T, s Counters) {
	for _, name := range anyNames {
		key := counterKeyOf(session.RuleAddresses, name)
		if first, second := addDistinct(t, s.One, key, name), addDistinct(t, s.Two, key, name); first.After != 1 || second.Before != 1 || second.After != 1 {
			t.Errorf("AddDistinct %q = %+v, then %+v", name, first, second)
		}
	}
}

func testCounterCancelled(t *testing.T, s Counters) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := counterKeyOf(session.RuleOpens, "alice")
	if got, err := s.One.Add(ctx, key, 1); !errors.Is(err, session.KindUnavailable) || got != (ports.Count{}) {
		t.Errorf("Add = %+v, %v", got, err)
	}
	if got, err := s.One.AddDistinct(ctx, key, "one"); !errors.Is(err, session.KindUnavailable) || got != (ports.Count{}) {
		t.Errorf("AddDistinct = %+v, %v", got, err)
	}
	if got := add(t, s.One, key, 1); got.Before != 0 {
		t.Errorf("a cancelled addition was counted: %+v", got)
	}
}

// Of concurrent additions on two replicas, exactly one reaches each count.
func testCounterConcurrentAdds(t *testing.T, s Counters) {
	addKey, distinctKey := counterKeyOf(session.RuleOpens, "alice"), counterKeyOf(session.RuleAddresses, "alice")
	var group sync.WaitGroup
	reached := map[string]chan int{"Add": make(chan int, 2*racers), "AddDistinct": make(chan int, 2*racers)}
	note := func(method string, got ports.Count, err error) {
		if err != nil {
			t.Errorf("%s = %v", method, err)
		}
		if got.After > got.Before {
			reached[method] <- got.After
		}
	}
	start := make(chan struct{})
	for n := range racers {
		group.Go(func() {
			<-start
			for i := range 2 { // the same value on one replica, then on the other
				replica := []ports.SharedCounter{s.One, s.Two}[(n+i)%2]
				got, err := replica.AddDistinct(t.Context(), distinctKey, string(rune('a'+n)))
				note("AddDistinct", got, err)
			}
			got, err := []ports.SharedCounter{s.One, s.Two}[n%2].Add(t.Context(), addKey, 1)
			note("Add", got, err)
		})
	}
	close(start)
	group.Wait()
	for method, numbers := range reached {
		close(numbers)
		seen := map[int]int{}
		for n := range numbers {
			seen[n]++
		}
		for n := range racers {
			if seen[n+1] != 1 {
				t.Errorf("%s: %d calls reached count %d, want 1", method, seen[n+1], n+1)
			}
		}
	}
}
