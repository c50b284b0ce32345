package redis_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/adapters/redis"
	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// However many ask at once, and however long this process takes for them, Redis
// answers: no call is allowed that it did not count, and it is never lost.
func TestLimiter_Burst(t *testing.T) {
	t.Parallel()
	for _, calls := range []int{60, 150, 1000} {
		t.Run(strconv.Itoa(calls), func(t *testing.T) {
			t.Parallel()
			server := redistest.New(t)
			var replicas [3]*subject
			for i := range replicas {
				replicas[i] = connect(t, server.URL, redis.DefaultTimeout)
			}
			limit := session.Limit{Most: 10, Within: 10 * time.Hour}
			var group sync.WaitGroup
			var allowed atomic.Int32
			start := make(chan struct{})
			for n := range calls {
				group.Go(func() {
					<-start
					got, err := replicas[n%len(replicas)].Allow(t.Context(), ports.LimitKey{Group: ports.LimitOpens, Subject: "alice"}, limit)
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
			if allowed.Load() != 10 {
				t.Errorf("%d of %d were allowed, want 10", allowed.Load(), calls)
			}
			for i, s := range replicas {
				if got := s.log.messages(t); s.Degraded() != "" || len(got) > 0 {
					t.Errorf("replica %d says %q, its log %q", i, s.Degraded(), got)
				}
			}
		})
	}
}
