package redis_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/redis"
	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/porttest"
)

func TestCounter_Contract(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			porttest.SharedCounter(t, func(t *testing.T) porttest.Counters {
				server := start(t)
				return porttest.Counters{
					One: redis.NewCounter(newClient(t, server.URL, long)),
					Two: redis.NewCounter(newClient(t, server.URL, long)),
				}
			})
		})
	}
}

func BenchmarkCounter(b *testing.B) {
	counter := redis.NewCounter(newClient(b, redistest.New(b).URL, long))
	for b.Loop() {
		if _, err := counter.AddDistinct(b.Context(), counterKey, "one"); err != nil {
			b.Fatal(err)
		}
	}
}

var counterKey = ports.CounterKey{Rule: session.RuleOpens, Subject: "alice", Start: time.Unix(0, 0), Window: time.Minute}

// counts expects that what is seen counts.
func counts(t *testing.T, counter *redis.Counter) {
	t.Helper()
	if got, err := counter.Add(t.Context(), counterKey, 2); err != nil || got != (ports.Count{After: 2}) {
		t.Errorf("Add = %+v, %v", got, err)
	}
	if got, err := counter.AddDistinct(t.Context(), counterKey, "one"); err != nil || got != (ports.Count{After: 1}) {
		t.Errorf("AddDistinct = %+v, %v", got, err)
	}
}

// What was counted is gone when nobody needs it any more.
func TestCounter_AreForgotten(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	counts(t, redis.NewCounter(newClient(t, server.URL, long)))
	for _, key := range []string{"rate:chatkit:times:{opens:alice}:0", "rate:chatkit:things:{opens:alice}:0"} {
		left, err := strconv.Atoi(strings.TrimPrefix(server.Ask(t, "PTTL "+key), ":"))
		if err != nil || left <= 0 || left > 61_000 {
			t.Errorf("%s is kept for %d ms, %v", key, left, err)
		}
	}
}

// A check does not wait until it is known that Redis is lost.
func TestCounter_RedisHangs(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	client := newClient(t, server.URL, time.Second/2) // lost after five of them
	server.Hang(t, true)
	if _, err := redis.NewCounter(client).AddDistinct(t.Context(), counterKey, "one"); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("AddDistinct = %v", err)
	}
	if got := redis.NewLimiter(client, nil).Degraded(); got != "" {
		t.Errorf("it waited until Redis was lost: %s", got)
	}
	server.Hang(t, false)
}

// A Redis that is not there counts nothing, and counts again when it is back.
func TestCounter_RedisGoesAndComes(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	counter := redis.NewCounter(newClient(t, server.URL, long))
	server.Kill()
	for range 3 {
		if _, err := counter.Add(t.Context(), counterKey, 1); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Add = %v", err)
		}
		if _, err := counter.AddDistinct(t.Context(), counterKey, "one"); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("AddDistinct = %v", err)
		}
	}
	server.Start(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if _, err := counter.Add(t.Context(), counterKey, 1); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("Add = %v", err)
		}
	}
}
