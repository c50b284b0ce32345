package redis_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/adapters/redis"
	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			porttest.RateLimiter(t, func(t *testing.T) porttest.RateLimiters {
				server := start(t)
				one, two := connect(t, server.URL, long), connect(t, server.URL, long)
				t.Cleanup(func() {
					if got := append(one.log.messages(t), two.log.messages(t)...); len(got) > 0 {
						t.Errorf("the log has %q", got)
					}
				})
				return porttest.RateLimiters{One: one, Two: two}
			})
		})
	}
}

// What Redis allows the local one hears of, what it refuses it does not; and
// what that says does not count.
func TestLimiter_TellsTheLocalOne(t *testing.T) {
	t.Parallel()
	s := connect(t, redistest.New(t).URL, long)
	s.local.refuse()
	if !s.allowsTwo(t, "alice") {
		t.Error("Redis does not decide")
	}
	if got := s.local.count(); got != 2 {
		t.Errorf("the local one heard of %d, want 2", got)
	}
	if s.Degraded() != "" {
		t.Errorf("it says %q", s.Degraded())
	}
}

// Redis is killed and comes back: meanwhile the local one answers, and each
// is said once, however many ask.
func TestLimiter_RedisGoesAndComes(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, long)
	s.allows(t, "alice")
	server.Kill()
	s.local.refuse()
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if s.allows(t, "alice") {
				t.Error("the local one does not decide")
			}
		})
	}
	group.Wait()
	if got := s.log.await(t, 1); got[0] != lost {
		t.Errorf("the log has %q", got)
	}
	if !strings.Contains(s.Degraded(), "this replica alone") {
		t.Errorf("it says %q", s.Degraded())
	}
	server.Start(t)
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
	if s.Degraded() != "" {
		t.Errorf("it says %q", s.Degraded())
	}
	if !s.allowsTwo(t, "alice") {
		t.Error("Redis, empty as it is, does not decide")
	}
	s.log.await(t, 2)
}

// A Redis that takes connections and answers nothing is lost as well, and the caller that
// asks after that does not wait.
func TestLimiter_RedisHangs(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, redis.DefaultTimeout)
	s.allows(t, "alice")
	server.Hang(t, true)
	s.local.refuse()
	if s.allows(t, "alice") {
		t.Error("the local one does not decide")
	}
	s.log.await(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 1000 { // that would take minutes, if each waited
		if _, err := s.Allow(ctx, ports.LimitKey{Subject: "alice"}, session.Limit{Most: 1, Within: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	server.Hang(t, false)
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
	if !s.allowsTwo(t, "bob") {
		t.Error("Redis does not decide")
	}
}

// It is lost after some timeouts, not after many: with this one, 60 would be more
// than a test has patience for.
func TestLimiter_RedisHangs_ForSomeTimeouts(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, patience/40)
	server.Hang(t, true)
	s.allows(t, "alice")
	if got := s.log.await(t, 1); got[0] != lost || s.local.count() != 1 {
		t.Errorf("the log has %q, and %d were counted here", got, s.local.count())
	}
	server.Hang(t, false)
}

// A Redis that answers, and each time too late, is lost as well: callers would
// queue for it.
func TestLimiter_RedisIsSlow(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	var slow atomic.Bool
	address := proxy(t, server.Address(), func([]byte) bool {
		if slow.Load() {
			<-time.After(3 * redis.DefaultTimeout) // as long as its way takes
		}
		return true
	})
	s := connect(t, "redis://"+address, redis.DefaultTimeout)
	slow.Store(true)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() { s.allows(t, "alice") })
	}
	group.Wait()
	if got := s.log.await(t, 1); got[0] != lost {
		t.Errorf("the log has %q", got)
	}
	slow.Store(false)
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
}

// A Redis that only answers what it need not write is lost, too: a replica
// that was not promoted, or one that is full.
func TestLimiter_RedisWritesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, long)
	s.allows(t, "alice")
	server.Ask(t, "REPLICAOF 127.0.0.1 1")
	s.allows(t, "alice")
	s.log.await(t, 1)
	s.allows(t, "alice")
	if got := s.local.count(); got != 3 {
		t.Errorf("the local one heard of %d, want 3", got)
	}
	server.Await(t, "set", "rejected_calls", 3) // it was looked for and not found
	s.log.await(t, 1)
	server.Ask(t, "REPLICAOF NO ONE")
	if got := s.log.await(t, 2); got[1] != back {
		t.Errorf("the log has %q", got)
	}
}

// That its caller gave up, by a deadline or otherwise, says nothing of Redis.
func TestLimiter_CallerGivesUp(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, long)
	s.allows(t, "alice")
	server.Hang(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _ = s.Allow(ctx, ports.LimitKey{Subject: "alice"}, session.Limit{Most: 1, Within: time.Hour}) // as there is time left for it or not
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if got, err := s.Allow(ctx, ports.LimitKey{Subject: "alice"}, session.Limit{Most: 1, Within: time.Hour}); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Allow = %+v, %v", got, err)
	}
	server.Hang(t, false)
	if !s.allowsTwo(t, "bob") {
		t.Error("Redis does not decide")
	}
	if got := s.log.messages(t); s.Degraded() != "" || len(got) > 0 {
		t.Errorf("it says %q, the log %q", s.Degraded(), got)
	}
}

// Who has a deadline is answered before, with time left for what comes then,
// also where Redis takes longer and is not lost for it.
func TestLimiter_CallerHasADeadline(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	s := connect(t, server.URL, long)
	server.Hang(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	got, err := s.Allow(ctx, ports.LimitKey{Subject: "alice"}, session.Limit{Most: 1, Within: time.Hour})
	if err != nil || !got.Allowed || s.local.count() != 1 || ctx.Err() != nil {
		t.Errorf("Allow = %+v, %v", got, err)
	}
	server.Hang(t, false)
}

func BenchmarkLimiter(b *testing.B) {
	s := connect(b, redistest.New(b).URL, long)
	for b.Loop() {
		if _, err := s.Allow(b.Context(), ports.LimitKey{Group: ports.LimitOpens, Subject: "alice"}, session.Limit{Most: 10, Within: time.Minute}); err != nil {
			b.Fatal(err)
		}
	}
}

// What Redis knows of a time that does not come for long, since its clock was
// set back or another with an earlier one took over, is forgotten; once, however
// many see it.
func TestLimiter_ClockBack(t *testing.T) {
	t.Parallel()
	for name, expiry := range map[string]string{"Expires": " EX 36000", "Stays": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.New(t)
			s := connect(t, server.URL, long)
			const libraryEpoch = 1483228800
			full := time.Now().Add(10*time.Hour).Unix() - libraryEpoch
			server.Ask(t, "SET rate:chatkit:{opens:alice} "+strconv.FormatInt(full, 10)+expiry)
			var group sync.WaitGroup
			var allowed atomic.Int32
			for range 64 {
				group.Go(func() {
					if s.allows(t, "alice") {
						allowed.Add(1)
					}
				})
			}
			group.Wait()
			if allowed.Load() != 2 {
				t.Errorf("%d were allowed, want 2", allowed.Load())
			}
		})
	}
}

// What was counted and not answered is not counted twice: the connection breaks
// when Redis has heard. Redis is not lost for it.
func TestLimiter_NoAnswer(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			direct := connect(t, server.URL, long)
			for _, who := range []string{"a", "b", "c", "d", "e"} { // on each node, so that it has the script
				direct.allows(t, who)
			}
			var asked atomic.Int32
			url := breaking(t, server, "rate:chatkit:{opens:alice}", &asked)
			s := connect(t, url, long)
			if s.allows(t, "alice"); asked.Load() != 1 || s.local.count() != 1 {
				t.Errorf("Redis was asked %d times, the local one %d", asked.Load(), s.local.count())
			}
			if !s.allowsTwo(t, "bob") || s.Degraded() != "" {
				t.Errorf("it says %q, the log %q", s.Degraded(), s.log.messages(t))
			}
			if first, second := direct.allows(t, "alice"), direct.allows(t, "alice"); !first || second {
				t.Errorf("of two, %v and %v were left after one that was not answered", first, second)
			}
		})
	}
}

// Calls on connections that fell silent, as those through a firewall that forgot
// them, keep nobody from a Redis that was found again.
func TestLimiter_ConnectionsForgotten(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	s := connect(t, "redis://"+proxy(t, redistest.New(t).Address(), func([]byte) bool {
		if silent.Load() {
			<-end
		}
		return true
	}), redis.DefaultTimeout)
	s.allows(t, "alice")
	silent.Store(true)
	var group sync.WaitGroup
	for range 64 { // more than may ask at once
		group.Go(func() { s.allows(t, "alice") })
	}
	group.Wait()
	s.log.await(t, 1)
	silent.Store(false)
	s.log.await(t, 2)
	s.local.refuse()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // half of it is for Redis
	defer cancel()
	got, err := s.Allow(ctx, ports.LimitKey{Group: ports.LimitOpens, Subject: "bob"}, session.Limit{Most: 1, Within: time.Hour})
	if err != nil || !got.Allowed {
		t.Errorf("the local one decides: %v, %v", got, err)
	}
}
