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

func TestSightings_Contract(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			porttest.SharedSightings(t, func(t *testing.T) porttest.Sightings {
				server := start(t)
				return porttest.Sightings{
					One: redis.NewSightings(newClient(t, server.URL, long)),
					Two: redis.NewSightings(newClient(t, server.URL, long)),
				}
			})
		})
	}
}

func BenchmarkSightings(b *testing.B) {
	sightings := redis.NewSightings(newClient(b, redistest.New(b).URL, long))
	for b.Loop() {
		if _, err := sightings.Things(b.Context(), sighting, "one"); err != nil {
			b.Fatal(err)
		}
	}
}

var sighting = ports.SightingKey{Rule: session.RuleOpens, Who: "alice", Since: time.Unix(0, 0), Within: time.Minute}

// counts expects that what is seen counts.
func counts(t *testing.T, sightings *redis.Sightings) {
	t.Helper()
	if got, err := sightings.Times(t.Context(), sighting, 2); err != nil || got != (ports.Sighted{After: 2}) {
		t.Errorf("Times = %+v, %v", got, err)
	}
	if got, err := sightings.Things(t.Context(), sighting, "one"); err != nil || got != (ports.Sighted{After: 1}) {
		t.Errorf("Things = %+v, %v", got, err)
	}
}

// What was counted is gone when nobody needs it any more.
func TestSightings_AreForgotten(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	counts(t, redis.NewSightings(newClient(t, server.URL, long)))
	for _, key := range []string{"rate:chatkit:times:{opens:alice}:0", "rate:chatkit:things:{opens:alice}:0"} {
		left, err := strconv.Atoi(strings.TrimPrefix(server.Ask(t, "PTTL "+key), ":"))
		if err != nil || left <= 0 || left > 61_000 {
			t.Errorf("%s is kept for %d ms, %v", key, left, err)
		}
	}
}

// Whoever uses a token does not wait until it is known that Redis is lost.
func TestSightings_RedisHangs(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	client := newClient(t, server.URL, time.Second/2) // lost after five of them
	server.Hang(t, true)
	if _, err := redis.NewSightings(client).Things(t.Context(), sighting, "one"); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Things = %v", err)
	}
	if got := redis.NewLimiter(client, nil).Degraded(); got != "" {
		t.Errorf("it waited until Redis was lost: %s", got)
	}
	server.Hang(t, false)
}

// A Redis that is not there counts nothing, and counts again when it is back.
func TestSightings_RedisGoesAndComes(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	sightings := redis.NewSightings(newClient(t, server.URL, long))
	server.Kill()
	for range 3 {
		if _, err := sightings.Times(t.Context(), sighting, 1); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Times = %v", err)
		}
		if _, err := sightings.Things(t.Context(), sighting, "one"); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Things = %v", err)
		}
	}
	server.Start(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if _, err := sightings.Times(t.Context(), sighting, 1); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("Times = %v", err)
		}
	}
}
