package redis_test

import (
	"context"
	"testing"
	"time"

	"chatkit-session/adapters/redis"
	"chatkit-session/adapters/redis/redistest"
	"chatkit-session/core/session"
	"chatkit-session/ports/porttest"
)

func newClient(t testing.TB, url string, timeout time.Duration) *redis.Client {
	t.Helper()
	client, err := redis.Connect(t.Context(), redis.Config{URL: url, Timeout: timeout, Retry: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func newRelay(t testing.TB, url string, timeout time.Duration) *redis.Relay {
	t.Helper()
	return redis.NewRelay(newClient(t, url, timeout))
}

func TestRelay_Contract(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t testing.TB) *redistest.Server{
		"Alone":   func(t testing.TB) *redistest.Server { return redistest.New(t) },
		"Cluster": redistest.NewCluster,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			porttest.Relay(t, func(t *testing.T) porttest.Relays {
				server := start(t)
				return porttest.Relays{One: newRelay(t, server.URL, long), Two: newRelay(t, server.URL, long)}
			})
		})
	}
	t.Run("Lost", func(t *testing.T) { // a cluster would go on with the rest of its nodes
		t.Parallel()
		porttest.RelayLost(t, func(t *testing.T) porttest.Relays {
			server := redistest.New(t)
			return porttest.Relays{
				One: newRelay(t, server.URL, long), Two: newRelay(t, server.URL, long),
				Lose: server.Kill, Recover: func() { server.Start(t) },
			}
		})
	})
}

// A Redis that hangs does not hold up who stops waiting, and takes nobody for
// longer than its timeout who sends.
func TestRelay_RedisHangs(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	relay := newRelay(t, server.URL, 2*time.Second) // which bounds connecting, whichever side stops waiting
	for _, connected := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		ready, done := make(chan struct{}), make(chan error, 1)
		if !connected {
			server.Hang(t, true)
		}
		go func() { done <- relay.Receive(ctx, func() { close(ready) }, func([]session.ID) {}) }()
		if connected {
			<-ready
		}
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("it waits for ever")
		}
	}
	server.Hang(t, false)
}

// Others on the channel are heard as what they are: of no session.
func TestRelay_Receive_Foreign(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	relay := newRelay(t, server.URL, long)
	said, ready := make(chan []session.ID, 10), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = relay.Receive(ctx, func() { close(ready) }, func(ids []session.ID) { said <- ids }) }()
	<-ready
	server.Ask(t, "PUBLISH chatkit:sessions {a/b}")
	if ids := <-said; len(ids) != 0 {
		t.Errorf("heard is %v", ids)
	}
	server.Ask(t, "PUBLISH chatkit:sessions a-1")
	if ids := <-said; len(ids) != 1 || ids[0].String() != "a-1" {
		t.Errorf("heard is %v", ids)
	}
}

// hearsItself expects what is sent to come back.
func hearsItself(t *testing.T, relay *redis.Relay) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	var sent error
	heard := false
	err := relay.Receive(ctx, func() { sent = relay.Send(ctx, nil) }, func([]session.ID) {
		heard = true
		cancel()
	})
	if sent != nil || !heard {
		t.Errorf("sent with %v, received with %v", sent, err)
	}
}
