package memory_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"chatkit-session/adapters/memory"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

// clock is a ports.Clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	open := func(*testing.T) porttest.RateLimiters {
		clock := newClock()
		limiter := memory.NewLimiter(memory.Config{Clock: clock})
		return porttest.RateLimiters{One: limiter, Two: limiter, Advance: clock.advance}
	}
	porttest.RateLimiter(t, open)
	t.Run("ClockBack", func(t *testing.T) {
		t.Parallel()
		porttest.RateLimiterClockBack(t, open(t))
	})
}

var once = session.Limit{Most: 1, Within: time.Hour}

func allowed(t testing.TB, limiter *memory.Limiter, who string) bool {
	t.Helper()
	got, err := limiter.Allow(t.Context(), ports.LimitKey{Group: ports.LimitOpens, Subject: who}, once)
	if err != nil {
		t.Fatal(err)
	}
	return got.Allowed
}

// More keys than it may know push out those that were not used for longest:
// not one that is still asked for, even if it is refused.
func TestLimiter_Bounded(t *testing.T) {
	t.Parallel()
	const keys = 10
	limiter := memory.NewLimiter(memory.Config{Keys: keys, Clock: newClock()})
	for _, who := range []string{"idle", "busy"} {
		if !allowed(t, limiter, who) {
			t.Errorf("the first of %s is refused", who)
		}
	}
	for n := range 100 {
		if !allowed(t, limiter, strconv.Itoa(n)) {
			t.Errorf("the first of %d is refused", n)
		}
		if allowed(t, limiter, "busy") {
			t.Fatalf("after %d others, busy is forgotten", n)
		}
		if known := limiter.Known(); known > keys {
			t.Fatalf("after %d others, %d keys are known", n, known)
		}
	}
	if !allowed(t, limiter, "idle") {
		t.Error("idle is not forgotten")
	}
}

// A client that makes up addresses, however many, evicts no user.
func TestLimiter_BoundedByGroup(t *testing.T) {
	t.Parallel()
	limiter := memory.NewLimiter(memory.Config{Keys: 10, Clock: newClock()})
	allowed(t, limiter, "alice")
	for n := range 100 {
		key := ports.LimitKey{Group: ports.LimitFailuresOfAddress, Subject: strconv.Itoa(n)}
		if _, err := limiter.Allow(t.Context(), key, once); err != nil {
			t.Fatal(err)
		}
	}
	if allowed(t, limiter, "alice") {
		t.Error("alice is forgotten for others' addresses")
	}
}

func BenchmarkLimiter(b *testing.B) {
	limiter := memory.NewLimiter(memory.Config{Clock: newClock()})
	limit := session.Limit{Most: 10, Within: time.Minute}
	keys := make([]ports.LimitKey, 1<<10)
	for n := range keys {
		keys[n] = ports.LimitKey{Group: ports.LimitOpens, Subject: "user_" + strconv.Itoa(n)}
	}
	for n := 0; b.Loop(); n++ {
		if _, err := limiter.Allow(b.Context(), keys[n%len(keys)], limit); err != nil {
			b.Fatal(err)
		}
	}
}
