package porttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Relays are two connected replicas' relays.
type Relays struct {
	One, Two ports.Relay
	// Lose breaks the link and all connections; Recover restores the link. Only
	// RelayLost needs them.
	Lose, Recover func()
}

// Relay tests ports.Relay. open returns new relays.
func Relay(t *testing.T, open func(t *testing.T) Relays) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Relays){
		"Carries":   testRelayCarries,
		"Batch":     testRelayBatch,
		"Nothing":   testRelayNothing,
		"Race":      testRelayRace,
		"Cancelled": testRelayCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// relayPatience is how long a message may take.
const relayPatience = 20 * time.Second

// ear is what a replica receives.
type ear struct {
	said  chan []session.ID
	ended chan error
	stop  func()
}

// listen makes a replica receive until the test ends.
func listen(t *testing.T, relay ports.Relay) *ear {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	e := &ear{said: make(chan []session.ID, 1000), ended: make(chan error, 1), stop: cancel}
	ready := make(chan struct{})
	go func() {
		e.ended <- relay.Receive(ctx, func() { close(ready) }, func(ids []session.ID) { e.said <- ids })
	}()
	t.Cleanup(cancel)
	select {
	case <-ready:
	case err := <-e.ended:
		t.Fatalf("Receive = %v", err)
	case <-time.After(relayPatience):
		t.Fatal("Receive never called ready")
	}
	return e
}

// hears waits until the replica received all ids.
func (e *ear) hears(t *testing.T, ids ...session.ID) {
	t.Helper()
	left, late := slices.Clone(ids), time.After(relayPatience)
	for len(left) > 0 {
		select {
		case said := <-e.said:
			left = slices.DeleteFunc(left, func(id session.ID) bool { return slices.Contains(said, id) })
		case err := <-e.ended:
			t.Fatalf("Receive = %v before %d ids were received", err, len(left))
		case <-late:
			t.Fatalf("%d of %d ids were not received: %.200v", len(left), len(ids), left)
		}
	}
}

// ends waits until Receive returns unavailable.
func (e *ear) ends(t *testing.T) {
	t.Helper()
	select {
	case err := <-e.ended:
		if !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Receive = %v", err)
		}
	case <-time.After(relayPatience):
		t.Fatal("Receive did not return")
	}
}

func send(t *testing.T, relay ports.Relay, ids ...session.ID) {
	t.Helper()
	if err := relay.Send(t.Context(), ids); err != nil {
		t.Fatalf("Send = %v", err)
	}
}

// someIDs returns ids of the maximum length, with every kind of character.
func someIDs(n int) []session.ID {
	ids := make([]session.ID, n)
	for i := range ids {
		ids[i] = session.Must(session.ParseID(fmt.Sprintf("%s%04d", strings.Repeat("Az.:_-", 10), i)))
	}
	return ids
}

// Both replicas receive what either sends.
func testRelayCarries(t *testing.T, r Relays) {
	one, two := listen(t, r.One), listen(t, r.Two)
	ids := someIDs(4)
	send(t, r.One, ids[0], ids[1])
	send(t, r.Two, ids[2])
	send(t, r.One, ids[3])
	one.hears(t, ids...)
	two.hears(t, ids...)
}

// A message of RelayBatch ids arrives.
func testRelayBatch(t *testing.T, r Relays) {
	two, ids := listen(t, r.Two), someIDs(ports.RelayBatch)
	send(t, r.One, ids...)
	two.hears(t, ids...)
}

// A message without ids arrives.
func testRelayNothing(t *testing.T, r Relays) {
	two := listen(t, r.Two)
	send(t, r.One)
	select {
	case said := <-two.said:
		if len(said) != 0 {
			t.Errorf("received %v, want no ids", said)
		}
	case <-time.After(relayPatience):
		t.Fatal("the message was not received")
	}
}

// All concurrent messages arrive.
func testRelayRace(t *testing.T, r Relays) {
	one, two, ids := listen(t, r.One), listen(t, r.Two), someIDs(racers)
	var group sync.WaitGroup
	start := make(chan struct{})
	for n, id := range ids {
		group.Go(func() {
			<-start
			if err := []ports.Relay{r.One, r.Two}[n%2].Send(t.Context(), []session.ID{id}); err != nil {
				t.Errorf("Send = %v", err)
			}
		})
	}
	close(start)
	group.Wait()
	one.hears(t, ids...)
	two.hears(t, ids...)
}

// Send and Receive give up when their context ends. Others continue.
func testRelayCancelled(t *testing.T, r Relays) {
	one, two := listen(t, r.One), listen(t, r.Two)
	two.stop()
	two.ends(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.One.Send(ctx, someIDs(1)); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Send = %v", err)
	}
	if err := r.One.Receive(ctx, func() {}, func([]session.ID) {}); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Receive = %v", err)
	}
	ids := someIDs(2)
	send(t, r.Two, ids[1])
	one.hears(t, ids[1])
	if len(two.said) > 0 {
		t.Errorf("received %v", <-two.said)
	}
}

// RelayLost tests that Receive fails when the link breaks, and works again after it
// recovers.
func RelayLost(t *testing.T, open func(t *testing.T) Relays) {
	t.Helper()
	r := open(t)
	one, two, ids := listen(t, r.One), listen(t, r.Two), someIDs(2)
	r.Lose()
	one.ends(t)
	two.ends(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // what joins them may wait for it to come back
	defer cancel()
	if err := r.One.Send(ctx, ids[:1]); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Send = %v", err)
	}
	if err := r.Two.Receive(t.Context(), func() { t.Error("ready was called") }, func([]session.ID) {}); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Receive = %v", err)
	}
	r.Recover()
	sendsAgain(t, r.Two)
	sendsAgain(t, r.One)
	again := listen(t, r.Two)
	send(t, r.One, ids[1])
	again.hears(t, ids[1])
}

func sendsAgain(t *testing.T, relay ports.Relay) {
	t.Helper()
	late, tick := time.After(relayPatience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for relay.Send(t.Context(), nil) != nil {
		select {
		case <-late:
			t.Fatal("Send does not recover")
		case <-tick.C:
		}
	}
}
