package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// ether connects the relays of one test.
type ether struct {
	mu sync.Mutex
	// lost closes connections and refuses new ones; deaf keeps them but drops
	// batches; hangs blocks calls until goesOn is closed.
	lost, deaf, hangs bool
	goesOn            chan struct{}
	receivers         map[*receiver]struct{}
	sent              [][]session.ID // batches, without heartbeats
	attempts          int            // to send
}

type receiver struct {
	heard func([]session.ID)
	gone  chan struct{}
}

// relay is the relay of one replica.
type relay struct{ *ether }

func (r relay) Send(ctx context.Context, ids []session.ID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts++
	if r.hangs {
		goesOn := r.goesOn
		r.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-goesOn:
		}
		r.mu.Lock()
	}
	if r.lost || ctx.Err() != nil {
		return errDown
	}
	if len(ids) > 0 {
		r.sent = append(r.sent, slices.Clone(ids))
	}
	for to := range r.receivers {
		if !r.deaf {
			to.heard(ids)
		}
	}
	return nil
}

func (r relay) Receive(ctx context.Context, ready func(), heard func([]session.ID)) error {
	one := &receiver{heard, make(chan struct{})}
	if !r.join(one) {
		return errDown
	}
	if !r.hangs {
		ready()
	}
	defer r.leave(one)
	select {
	case <-ctx.Done():
		return errDown
	case <-one.gone:
		return errDown
	}
}

func (e *ether) join(one *receiver) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.receivers[one] = struct{}{}
	return !e.lost
}

func (e *ether) leave(one *receiver) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.receivers, one)
}

// batches returns the batches sent since the last call.
func (e *ether) batches() [][]session.ID {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	sent := e.sent
	e.sent = nil
	return sent
}

// tries returns the number of attempts to send.
func (e *ether) tries() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.attempts
}

// is sets how the ether behaves.
func (e *ether) is(lost, deaf, hangs bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hangs {
		close(e.goesOn)
	}
	e.lost, e.deaf, e.hangs, e.goesOn = lost, deaf, hangs, make(chan struct{})
	if !lost {
		return
	}
	for one := range e.receivers {
		close(one.gone)
		delete(e.receivers, one)
	}
}

// net has the announcers of some replicas, in a synctest bubble.
type net struct {
	*ether
	announcers []*lifecycle.Announcer
	stop       func()

	logMu sync.Mutex
	log   []string // reported health changes
}

func newNet(t *testing.T, replicas int) *net {
	t.Helper()
	n := &net{ether: &ether{receivers: map[*receiver]struct{}{}}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range replicas {
		announcer := lifecycle.NewAnnouncer(relay{n.ether}, func(lost error) {
			n.logMu.Lock()
			defer n.logMu.Unlock()
			n.log = append(n.log, fmt.Sprint(i, " ", map[bool]string{true: "back", false: "lost"}[lost == nil]))
		})
		n.announcers = append(n.announcers, announcer)
		running.Go(func() { announcer.Run(ctx) })
	}
	n.stop = func() { cancel(); running.Wait() }
	t.Cleanup(n.stop)
	synctest.Wait()
	return n
}

// said returns the health changes that replicas reported since the last call,
// in order.
func (n *net) said() string {
	synctest.Wait()
	n.logMu.Lock()
	defer n.logMu.Unlock()
	slices.Sort(n.log)
	text := strings.Join(n.log, ", ")
	n.log = nil
	return text
}

// A replica sends each announced session once, in batches; heartbeats carry
// none.
func TestAnnouncer_Sends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNet(t, 2)
		n.announcers[0].Announce()
		n.announcers[0].Announce(id("a"), id("a"))
		if got := fmt.Sprint(n.batches()); got != "[[a]]" {
			t.Errorf("sent %s", got)
		}
		n.is(false, false, true)
		n.announcers[1].Announce(id("first"))
		synctest.Wait() // for the first send
		for i := range 2*ports.RelayBatch + 1 {
			n.announcers[1].Announce(id(fmt.Sprint(i)))
		}
		n.is(false, false, false)
		pass(5 * time.Second)
		count, seen := 0, map[session.ID]bool{}
		for _, batch := range n.batches() {
			if count += len(batch); len(batch) > ports.RelayBatch {
				t.Errorf("a batch has %d sessions", len(batch))
			}
			for _, id := range batch {
				seen[id] = true
			}
		}
		if count != 2*ports.RelayBatch+2 || len(seen) != count {
			t.Errorf("sent %d sessions, %d distinct", count, len(seen))
		}
	})
}

// slowRelay takes a second for each batch and receives nothing.
type slowRelay struct{}

func (slowRelay) Send(ctx context.Context, _ []session.ID) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
		return nil
	}
}

func (slowRelay) Receive(ctx context.Context, _ func(), _ func([]session.ID)) error {
	<-ctx.Done()
	return ctx.Err()
}

// Run ends within the send timeout, however many sessions are unsent and
// however slow the relay is.
func TestAnnouncer_Run_EndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		announcer := lifecycle.NewAnnouncer(slowRelay{}, func(error) {})
		for n := range 10 * ports.RelayBatch {
			announcer.Announce(id(fmt.Sprint(n)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		if announcer.Run(ctx); time.Since(began) > 3*time.Second {
			t.Errorf("Run ended after %v", time.Since(began))
		}
	})
}

// Announce never blocks, even while the relay fails or hangs. Sessions above
// the bound are dropped.
func TestAnnouncer_Bounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNet(t, 1)
		n.is(true, false, true)
		began := time.Now()
		for i := range 12_000 {
			n.announcers[0].Announce(id(fmt.Sprint(i)))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Announce took %s", took)
		}
		n.is(false, false, false)
		pass(time.Minute)
		count := 0
		for _, batch := range n.batches() {
			count += len(batch)
		}
		if count < 10_000 || count > 10_000+ports.RelayBatch {
			t.Errorf("sent %d sessions", count)
		}
	})
}

// A replica reports once that it is degraded, whatever fails and however often,
// and once that it has recovered.
func TestAnnouncer_ReportsHealth(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*net){
		"Lost":  func(n *net) { n.is(true, false, false) },
		"Deaf":  func(n *net) { n.is(false, true, false) },
		"Hangs": func(n *net) { n.is(false, false, true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNet(t, 2)
				pass(time.Hour)
				if got := n.said(); got != "" || n.announcers[0].Degraded() != "" {
					t.Errorf("while healthy, reported %q and Degraded = %q", got, n.announcers[0].Degraded())
				}
				lose(n)
				pass(time.Minute)
				for i := range 3 {
					n.announcers[0].Announce(id(fmt.Sprint(i)))
					pass(time.Minute)
				}
				if got := n.said(); got != "0 lost, 1 lost" || !strings.Contains(n.announcers[1].Degraded(), "events arrive late") {
					t.Errorf("reported %q and Degraded = %q", got, n.announcers[1].Degraded())
				}
				n.is(false, false, false)
				pass(time.Minute)
				if got := n.said(); got != "0 back, 1 back" || n.announcers[1].Degraded() != "" {
					t.Errorf("reported %q and Degraded = %q", got, n.announcers[1].Degraded())
				}
			})
		})
	}
}

// Sessions that could not be sent are sent when the relay recovers, and at the
// latest when Run ends. A lost relay does not delay the end.
func TestAnnouncer_RetriesUnsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNet(t, 1)
		n.is(true, false, false)
		n.announcers[0].Announce(id("a"))
		pass(time.Minute)
		if tries := n.tries(); tries < 30 || tries > 80 {
			t.Errorf("tried %d times in a minute", tries)
		}
		n.is(false, false, false)
		pass(2 * time.Second)
		if got := fmt.Sprint(n.batches()); got != "[[a]]" {
			t.Errorf("sent %s", got)
		}
		n.announcers[0].Announce(id("b"))
		n.stop()
		if got := fmt.Sprint(n.batches()); got != "[[b]]" {
			t.Errorf("at the end, sent %s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n := newNet(t, 1)
		n.is(false, false, true)
		n.announcers[0].Announce(id("a"))
		began := time.Now()
		n.stop()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("Run ended after %s", took)
		}
	})
}

// Without a relay, Run returns at once.
func TestAnnouncer_Run_WithoutRelay(t *testing.T) {
	t.Parallel()
	alone := lifecycle.NewAnnouncer(nil, func(error) { t.Error("reported a health change") })
	alone.Announce(id("a"))
	alone.Run(t.Context())
	if got := alone.Degraded(); got != "" {
		t.Errorf("Degraded = %q", got)
	}
}

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // no time passes for the test
