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

// Sightings are two that count together, as those of two replicas.
type Sightings struct{ One, Two ports.Sightings }

// SharedSightings proves that the fresh ones that open returns keep what
// ports.Sightings promises.
func SharedSightings(t *testing.T, open func(t *testing.T) Sightings) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Sightings){
		"Times":     testSightingsTimes,
		"Things":    testSightingsThings,
		"Apart":     testSightingsApart,
		"AnyName":   testSightingsAnyName,
		"Cancelled": testSightingsCancelled,
		"Race":      testSightingsRace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// sightingsOf is a key whose time does not end before the test.
func sightingsOf(rule session.Rule, who string) ports.SightingKey {
	return ports.SightingKey{Rule: rule, Who: who, Since: noon, Within: time.Hour}
}

func times(t *testing.T, s ports.Sightings, key ports.SightingKey, n int) ports.Sighted {
	t.Helper()
	got, err := s.Times(t.Context(), key, n)
	if err != nil {
		t.Fatalf("Times = %v", err)
	}
	return got
}

func things(t *testing.T, s ports.Sightings, key ports.SightingKey, thing string) ports.Sighted {
	t.Helper()
	got, err := s.Things(t.Context(), key, thing)
	if err != nil {
		t.Fatalf("Things = %v", err)
	}
	return got
}

func testSightingsTimes(t *testing.T, s Sightings) {
	key := sightingsOf(session.RuleOpens, "alice")
	for i, step := range []struct {
		by   ports.Sightings
		n    int
		want ports.Sighted
	}{
		{s.One, 1, ports.Sighted{Before: 0, After: 1}},
		{s.Two, 6, ports.Sighted{Before: 1, After: 7}},
		{s.One, 100_000, ports.Sighted{Before: 7, After: 100_007}},
	} {
		if got := times(t, step.by, key, step.n); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

// A thing counts once, whoever sees it.
func testSightingsThings(t *testing.T, s Sightings) {
	key := sightingsOf(session.RuleAddresses, "alice")
	for i, step := range []struct {
		by    ports.Sightings
		thing string
		want  ports.Sighted
	}{
		{s.One, "192.0.2.1/32", ports.Sighted{Before: 0, After: 1}},
		{s.Two, "192.0.2.1/32", ports.Sighted{Before: 1, After: 1}},
		{s.Two, "2001:db8::/64", ports.Sighted{Before: 1, After: 2}},
		{s.One, "", ports.Sighted{Before: 2, After: 3}},
		{s.One, "2001:db8::/64", ports.Sighted{Before: 3, After: 3}},
	} {
		if got := things(t, step.by, key, step.thing); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

// Nothing counts for another rule, somebody else, or another time.
func testSightingsApart(t *testing.T, s Sightings) {
	later := sightingsOf(session.RuleOpens, "alice")
	later.Since = later.Since.Add(time.Microsecond)
	for _, key := range []ports.SightingKey{
		sightingsOf(session.RuleOpens, "alice"), sightingsOf(session.RuleOpens, "bob"), sightingsOf(session.RuleAddresses, "alice"), later,
	} {
		if got, want := times(t, s.One, key, 2), (ports.Sighted{After: 2}); got != want {
			t.Errorf("times of %+v: %+v", key, got)
		}
		if got, want := things(t, s.Two, key, "one"), (ports.Sighted{After: 1}); got != want {
			t.Errorf("things of %+v: %+v", key, got)
		}
	}
}

// Who and things may be any text.
func testSightingsAnyName(t *testing.T, s Sightings) {
	for _, name := range anyNames {
		key := sightingsOf(session.RuleAddresses, name)
		if first, second := things(t, s.One, key, name), things(t, s.Two, key, name); first.After != 1 || second.Before != 1 || second.After != 1 {
			t.Errorf("%q: %+v, then %+v", name, first, second)
		}
	}
}

func testSightingsCancelled(t *testing.T, s Sightings) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := sightingsOf(session.RuleOpens, "alice")
	if got, err := s.One.Times(ctx, key, 1); !errors.Is(err, session.KindUnavailable) || got != (ports.Sighted{}) {
		t.Errorf("Times = %+v, %v", got, err)
	}
	if got, err := s.One.Things(ctx, key, "one"); !errors.Is(err, session.KindUnavailable) || got != (ports.Sighted{}) {
		t.Errorf("Things = %+v, %v", got, err)
	}
	if got := times(t, s.One, key, 1); got.Before != 0 {
		t.Errorf("what was cancelled is counted: %+v", got)
	}
}

// Of those who race on two replicas, one passes each number.
func testSightingsRace(t *testing.T, s Sightings) {
	timesOf, thingsOf := sightingsOf(session.RuleOpens, "alice"), sightingsOf(session.RuleAddresses, "alice")
	var group sync.WaitGroup
	passed := map[string]chan int{"times": make(chan int, 2*racers), "things": make(chan int, 2*racers)}
	note := func(what string, got ports.Sighted, err error) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got.After > got.Before {
			passed[what] <- got.After
		}
	}
	start := make(chan struct{})
	for n := range racers {
		group.Go(func() {
			<-start
			for i := range 2 { // on one replica, then on the other
				replica := []ports.Sightings{s.One, s.Two}[(n+i)%2]
				got, err := replica.Things(t.Context(), thingsOf, string(rune('a'+n)))
				note("things", got, err)
			}
			got, err := []ports.Sightings{s.One, s.Two}[n%2].Times(t.Context(), timesOf, 1)
			note("times", got, err)
		})
	}
	close(start)
	group.Wait()
	for what, numbers := range passed {
		close(numbers)
		seen := map[int]int{}
		for n := range numbers {
			seen[n]++
		}
		for n := range racers {
			if seen[n+1] != 1 {
				t.Errorf("of %s, %d was passed %d times", what, n+1, seen[n+1])
			}
		}
	}
}
