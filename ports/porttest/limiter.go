package porttest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// RateLimiters are two replicas' limiters that share counts, or one limiter twice.
type RateLimiters struct {
	One, Two ports.RateLimiter
	// Advance advances the clock of both and of the shared store; nil if the store
	// has a clock of its own.
	Advance func(time.Duration)
}

// RateLimiter tests ports.RateLimiter. open returns new, unused limiters.
func RateLimiter(t *testing.T, open func(t *testing.T) RateLimiters) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, RateLimiters){
		"Counts":     testLimiterCounts,
		"ComesBack":  testLimiterComesBack,
		"Apart":      testLimiterApart,
		"AnyName":    testLimiterAnyName,
		"Cancelled":  testLimiterCancelled,
		"Race":       testLimiterRace,
		"RaceOfKeys": testLimiterRaceOfKeys,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// slowly is a limit that returns nothing during a test.
var slowly = session.Limit{Most: 10, Within: 10 * time.Hour}

func opensOf(who string) ports.LimitKey { return ports.LimitKey{Group: ports.LimitOpens, Subject: who} }

func allow(t *testing.T, limiter ports.RateLimiter, key ports.LimitKey, limit session.Limit) ports.Allowance {
	t.Helper()
	got, err := limiter.Allow(t.Context(), key, limit)
	if err != nil {
		t.Fatalf("Allow = %v", err)
	}
	return got
}

// Calls on either replica take one each until none is left. Refused calls change
// nothing.
func testLimiterCounts(t *testing.T, limiters RateLimiters) {
	for n := range slowly.Most + 3 {
		limiter := []ports.RateLimiter{limiters.One, limiters.Two}[n%2]
		got := allow(t, limiter, opensOf("alice"), slowly)
		if want := n < slowly.Most; got.Allowed != want || got.Remaining != max(slowly.Most-n-1, 0) {
			t.Errorf("call %d = %+v", n+1, got)
		}
		if got.Next <= slowly.Interval()-time.Hour/2 || got.Next > slowly.Interval() {
			t.Errorf("after call %d, Next = %s", n+1, got.Next)
		}
	}
}

// They return one by one, up to the limit.
func testLimiterComesBack(t *testing.T, limiters RateLimiters) {
	if limiters.Advance == nil {
		testLimiterComesBackByItself(t, limiters)
		return
	}
	limit, key := session.Limit{Most: 3, Within: time.Minute}, opensOf("alice")
	take := func(want ports.Allowance) {
		t.Helper()
		if got := allow(t, limiters.One, key, limit); got != want {
			t.Errorf("Allow = %+v, want %+v", got, want)
		}
	}
	take(ports.Allowance{Allowed: true, Remaining: 2, Next: 20 * time.Second})
	limiters.Advance(5 * time.Second)
	take(ports.Allowance{Allowed: true, Remaining: 1, Next: 15 * time.Second})
	take(ports.Allowance{Allowed: true, Remaining: 0, Next: 15 * time.Second})
	limiters.Advance(15*time.Second - time.Microsecond)
	take(ports.Allowance{Next: time.Microsecond})
	limiters.Advance(time.Microsecond)
	take(ports.Allowance{Allowed: true, Remaining: 0, Next: 20 * time.Second})
	take(ports.Allowance{Next: 20 * time.Second})
	limiters.Advance(40 * time.Second)
	take(ports.Allowance{Allowed: true, Remaining: 1, Next: 20 * time.Second})
	limiters.Advance(time.Hour)
	take(ports.Allowance{Allowed: true, Remaining: 2, Next: 20 * time.Second})
}

// RateLimiterClockBack tests that setting the clock back delays nothing: the next
// one returns after at most one interval. Advance is required.
func RateLimiterClockBack(t *testing.T, limiters RateLimiters) {
	t.Helper()
	for range slowly.Most {
		allow(t, limiters.One, opensOf("alice"), slowly)
	}
	limiters.Advance(-100 * time.Hour)
	if got, want := allow(t, limiters.One, opensOf("alice"), slowly), (ports.Allowance{Next: slowly.Interval()}); got != want {
		t.Errorf("after the clock was set back, Allow = %+v, want %+v", got, want)
	}
	limiters.Advance(slowly.Interval())
	if got := allow(t, limiters.One, opensOf("alice"), slowly); !got.Allowed {
		t.Errorf("after an interval, Allow = %+v", got)
	}
}

// A store with a clock of its own only lets us test that one returns at some time.
func testLimiterComesBackByItself(t *testing.T, limiters RateLimiters) {
	quickly := session.Limit{Most: 1, Within: 50 * time.Millisecond}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(quickly.Within / 10)
	defer tick.Stop()
	for allowed := 0; allowed < 2; {
		if allow(t, limiters.One, opensOf("alice"), quickly).Allowed {
			allowed++
			continue
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %d allowed calls, none returned", allowed)
		case <-tick.C:
		}
	}
}

// Subjects and groups have separate allowances.
func testLimiterApart(t *testing.T, limiters RateLimiters) {
	once := session.Limit{Most: 1, Within: 10 * time.Hour}
	for _, key := range []ports.LimitKey{
		opensOf("alice"), opensOf("bob"), opensOf("alice "),
		{Group: ports.LimitReads, Subject: "alice"},
		{Group: ports.LimitChanges, Subject: "alice"},
		{Group: ports.LimitAdmin, Subject: "alice"},
		{Group: ports.LimitFailuresOfAddress, Subject: "alice"},
	} {
		if got := allow(t, limiters.One, key, once); !got.Allowed {
			t.Errorf("first call of %v = %+v", key, got)
		}
		if got := allow(t, limiters.Two, key, once); got.Allowed {
			t.Errorf("second call of %v = %+v", key, got)
		}
	}
}

// anyNames are unusual subjects.
var anyNames = []string{"", "{", "}", "{}", "{a}b", "a:b", "a b", "a\nb", "\x00", "\xff", "2001:db8::/64", "用户"}

// A subject may be any text.
func testLimiterAnyName(t *testing.T, limiters RateLimiters) {
	once := session.Limit{Most: 1, Within: 10 * time.Hour}
	for _, who := range anyNames {
		if first, second := allow(t, limiters.One, opensOf(who), once), allow(t, limiters.Two, opensOf(who), once); !first.Allowed || second.Allowed {
			t.Errorf("subject %q: Allow = %+v, then %+v", who, first, second)
		}
	}
}

func testLimiterCancelled(t *testing.T, limiters RateLimiters) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := limiters.One.Allow(ctx, opensOf("alice"), slowly); !errors.Is(err, session.KindUnavailable) || got != (ports.Allowance{}) {
		t.Errorf("Allow = %+v, %v", got, err)
	}
	for n := range slowly.Most {
		if got := allow(t, limiters.One, opensOf("alice"), slowly); !got.Allowed {
			t.Errorf("call %d was refused", n+1)
		}
	}
}

// Concurrent calls on two replicas take exactly the allowance.
func testLimiterRace(t *testing.T, limiters RateLimiters) {
	if got := limiters.race(t, func(int) ports.LimitKey { return opensOf("alice") }); got != slowly.Most {
		t.Errorf("%d of %d concurrent calls were allowed, want %d", got, racers, slowly.Most)
	}
}

// Other subjects' concurrent calls take nothing.
func testLimiterRaceOfKeys(t *testing.T, limiters RateLimiters) {
	if got := limiters.race(t, func(n int) ports.LimitKey { return opensOf(string(rune('a' + n/2))) }); got != racers {
		t.Errorf("%d of %d were allowed", got, racers)
	}
}

// race makes concurrent calls, half on each replica, and returns how many were
// allowed.
func (l RateLimiters) race(t *testing.T, key func(n int) ports.LimitKey) int {
	var group sync.WaitGroup
	var allowed atomic.Int32
	start := make(chan struct{})
	for n := range racers {
		group.Go(func() {
			<-start
			got, err := []ports.RateLimiter{l.One, l.Two}[n%2].Allow(t.Context(), key(n), slowly)
			if err != nil {
				t.Error(err)
			}
			if got.Allowed {
				allowed.Add(1)
			}
		})
	}
	close(start)
	group.Wait()
	return int(allowed.Load())
}
