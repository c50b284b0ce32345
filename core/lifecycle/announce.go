package lifecycle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// How announcements are carried between replicas.
const (
	// relayTimeout bounds a Send.
	relayTimeout = 2 * time.Second
	// relayRetry is after what time what failed is tried again.
	relayRetry = time.Second
	// relayProbe is how often this replica sends itself something; after
	// maxUnheard of them in vain the connection is given up.
	relayProbe = 10 * time.Second
	maxUnheard = 3
	// maxAnnounced bounds how many sessions wait to be sent; more are left to
	// those who watch them, who look from time to time.
	maxAnnounced = 10_000
)

var errSilent = errors.New("what this replica sends does not come back to it")

// Announcer wakes those who watch a session when it changes, on this replica
// and, through a relay, on all. It says only that something changed: what is
// said can be lost, and nobody waits for it.
type Announcer struct {
	relay   ports.Relay
	changed func(error)
	// filled has something when there is something to send.
	filled chan struct{}

	mu      sync.Mutex
	bells   map[session.ID][]*bell
	waiting map[session.ID]struct{}

	// states guards failures: the last error of sending and of receiving.
	states   sync.Mutex
	failures [2]error
}

var _ ports.Degradable = (*Announcer)(nil)

// What can fail on its own.
const (
	sending = iota
	receiving
)

// bell wakes somebody who watches a session: now, or, because anything may
// have been missed, soon. However often it rings, it is heard once.
type bell struct{ now, soon chan struct{} }

// NewAnnouncer returns an Announcer that Run connects to other replicas; relay
// may be nil for none. changed hears when replicas do not hear of each other,
// and why, and, with nil, when they do again.
func NewAnnouncer(relay ports.Relay, changed func(lost error)) *Announcer {
	return &Announcer{
		relay: relay, changed: changed, filled: make(chan struct{}, 1),
		bells: make(map[session.ID][]*bell), waiting: make(map[session.ID]struct{}),
	}
}

// Announce says that these sessions changed. It does not wait.
func (a *Announcer) Announce(ids ...session.ID) {
	a.wake(ids)
	if a.relay == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if len(a.waiting) < maxAnnounced {
			a.waiting[id] = struct{}{}
			ring(a.filled)
		}
	}
}

// listen returns a bell that rings for the session until stop is called.
func (a *Announcer) listen(id session.ID) (b *bell, stop func()) {
	b = &bell{now: make(chan struct{}, 1), soon: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bells[id] = append(a.bells[id], b)
	return b, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		left := slices.DeleteFunc(a.bells[id], func(other *bell) bool { return other == b })
		if a.bells[id] = left; len(left) == 0 {
			delete(a.bells, id)
		}
	}
}

func (a *Announcer) wake(ids []session.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		for _, b := range a.bells[id] {
			ring(b.now)
		}
	}
}

// wakeAll lets everybody look: announcements may have been missed.
func (a *Announcer) wakeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, bells := range a.bells {
		for _, b := range bells {
			ring(b.soon)
		}
	}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// Run carries announcements between replicas until ctx ends, and then sends
// what still waits.
func (a *Announcer) Run(ctx context.Context) {
	if a.relay == nil {
		return
	}
	var receiver sync.WaitGroup
	receiver.Go(func() { a.receive(ctx) })
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), relayTimeout)
			_ = a.sendWaiting(last)
			cancel()
			receiver.Wait()
			return
		case <-a.filled:
			if a.sendWaiting(ctx) != nil {
				pause(ctx, relayRetry)
				ring(a.filled)
			}
		}
	}
}

// sendWaiting sends what waits. What it could not send waits on.
func (a *Announcer) sendWaiting(ctx context.Context) error {
	for {
		batch := a.take()
		if len(batch) == 0 {
			return nil
		}
		if err := a.send(ctx, batch); err != nil {
			a.putBack(batch)
			return err
		}
	}
}

func (a *Announcer) take() []session.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	var batch []session.ID
	for id := range a.waiting {
		if len(batch) == ports.RelayBatch {
			break
		}
		batch = append(batch, id)
		delete(a.waiting, id)
	}
	return batch
}

func (a *Announcer) putBack(batch []session.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range batch {
		a.waiting[id] = struct{}{}
	}
}

// send tells other replicas, and notes whether it could.
func (a *Announcer) send(ctx context.Context, ids []session.ID) error {
	bounded, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	err := a.relay.Send(bounded, ids)
	if ctx.Err() == nil {
		a.note(sending, err)
	}
	return err
}

// receive hears of other replicas until ctx ends.
func (a *Announcer) receive(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.receiveOnce(ctx)
		if ctx.Err() == nil {
			a.note(receiving, err)
			pause(ctx, relayRetry)
		}
	}
}

// receiveOnce hears of other replicas for as long as it hears of itself: a
// connection that leads nowhere gives no other sign.
func (a *Announcer) receiveOnce(ctx context.Context) error {
	ctx, give := context.WithCancelCause(ctx)
	connected, alive := make(chan struct{}, 1), make(chan struct{}, 1)
	var prober sync.WaitGroup
	prober.Go(func() { a.probe(ctx, give, connected, alive) })
	err := a.relay.Receive(ctx, func() {
		a.wakeAll()
		ring(connected)
	}, func(ids []session.ID) {
		ring(alive)
		a.wake(ids)
	})
	give(err)
	prober.Wait()
	return context.Cause(ctx)
}

// probe sends until ctx ends, and gives up when nothing comes back.
func (a *Announcer) probe(ctx context.Context, give context.CancelCauseFunc, connected, alive <-chan struct{}) {
	ticker := time.NewTicker(relayProbe)
	defer ticker.Stop()
	for unheard := 0; unheard < maxUnheard; {
		select {
		case <-ctx.Done():
			return
		case <-alive:
			unheard = 0
			a.note(receiving, nil)
			continue
		case <-connected:
		case <-ticker.C:
			unheard++
		}
		_ = a.send(ctx, nil) // noted
	}
	give(session.Wrap(session.KindUnavailable, errSilent))
}

// note remembers how one of them went, and says so when that changes something.
func (a *Announcer) note(which int, err error) {
	a.states.Lock()
	defer a.states.Unlock()
	before := errors.Join(a.failures[:]...)
	a.failures[which] = err
	if now := errors.Join(a.failures[:]...); (now == nil) != (before == nil) {
		a.changed(now)
	}
}

// Degraded implements ports.Degradable.
func (a *Announcer) Degraded() string {
	a.states.Lock()
	defer a.states.Unlock()
	if errors.Join(a.failures[:]...) == nil {
		return ""
	}
	return "events come late: replicas do not hear of each other's changes"
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// announcing is a store whose changes are announced.
type announcing struct {
	ports.SessionStore
	announcer *Announcer
}

// Announcing returns store with an Update that announces the sessions that it
// changed, once that is durable, if that may be news to their clients. Where it
// blocks sign-ins, it announces all that it showed: a sign-in that is blocked
// may be watching a session of another.
func Announcing(store ports.SessionStore, announcer *Announcer) ports.SessionStore {
	return announcing{store, announcer}
}

// Update implements ports.SessionStore.
func (s announcing) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	var news []session.ID
	err := s.SessionStore.Update(ctx, scope, func(seen ports.Seen) (ports.Changes, error) {
		was := slices.Clone(seen.Sessions)
		changes, err := change(seen)
		replaced, _ := changes.Split(was)
		for _, r := range replaced {
			if r.Is.NewsSince(r.Was) {
				news = append(news, r.Is.ID())
			}
		}
		if blocks(changes) {
			for _, s := range was {
				news = append(news, s.ID())
			}
		}
		return changes, err
	})
	if err == nil {
		s.announcer.Announce(news...)
	}
	return err
}

func blocks(changes ports.Changes) bool {
	return !changes.Moment.IsZero() || slices.ContainsFunc(changes.SignIns, func(s session.SignIn) bool { return !s.BlockedAt().IsZero() })
}
