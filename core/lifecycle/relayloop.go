package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Replicas tell each other of changed sessions through a relay, which may lose,
// repeat and reorder what it carries:
//
//  1. Announce adds sessions to unsent. The sender takes them in batches and
//     sends them; a batch that failed goes back, and is sent again after
//     relayRetry.
//  2. The receiver wakes this replica's watchers of the sessions that it hears
//     of. Whenever it connects, it wakes all of them, because it may have missed
//     announcements before.
//  3. Every heartbeatInterval the replica sends an empty batch, which it must
//     receive itself. After maxMissedHeartbeats without any message, it gives the
//     connection up and connects again: a dead connection shows no other sign.
//  4. While sending or receiving fails, the replica reports itself degraded. No
//     change is lost to watchers: they also poll.
const (
	relayTimeout        = 2 * time.Second // of one Send
	relayRetry          = time.Second
	heartbeatInterval   = 10 * time.Second
	maxMissedHeartbeats = 3
)

var errNoHeartbeat = errors.New("the relay does not return this replica's own heartbeats")

var _ ports.Degradable = (*Announcer)(nil)

// What can fail separately: the indices of Announcer.failures.
const (
	sending = iota
	receiving
)

// Run connects this replica to the others until ctx ends, and then sends what is
// still unsent, for at most relayTimeout.
func (a *Announcer) Run(ctx context.Context) {
	if a.relay == nil {
		return
	}
	var receiver sync.WaitGroup
	receiver.Go(func() { a.receiveLoop(ctx) })
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), relayTimeout)
			_ = a.sendUnsent(last)
			cancel()
			receiver.Wait()
			return
		case <-a.sendable:
			if a.sendUnsent(ctx) != nil {
				pause(ctx, relayRetry)
				signal(a.sendable)
			}
		}
	}
}

// sendUnsent sends all unsent sessions. Those of a batch that fails stay unsent.
func (a *Announcer) sendUnsent(ctx context.Context) error {
	for {
		batch := a.takeBatch()
		if len(batch) == 0 {
			return nil
		}
		if err := a.send(ctx, batch); err != nil {
			a.putBack(batch)
			return err
		}
	}
}

func (a *Announcer) takeBatch() []session.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	var batch []session.ID
	for id := range a.unsent {
		if len(batch) == ports.RelayBatch {
			break
		}
		batch = append(batch, id)
		delete(a.unsent, id)
	}
	return batch
}

func (a *Announcer) putBack(batch []session.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range batch {
		a.unsent[id] = struct{}{}
	}
}

func (a *Announcer) send(ctx context.Context, ids []session.ID) error {
	bounded, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	err := a.relay.Send(bounded, ids)
	if ctx.Err() == nil {
		a.setHealth(sending, err)
	}
	return err
}

// receiveLoop receives until ctx ends, and connects again whenever that fails.
func (a *Announcer) receiveLoop(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.receive(ctx)
		if ctx.Err() == nil {
			a.setHealth(receiving, err)
			pause(ctx, relayRetry)
		}
	}
}

// receive receives over one connection, until it fails or misses heartbeats.
func (a *Announcer) receive(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	connected, heard := make(chan struct{}, 1), make(chan struct{}, 1)
	var heart sync.WaitGroup
	heart.Go(func() { a.heartbeat(ctx, giveUp, connected, heard) })
	err := a.relay.Receive(ctx, func() {
		a.wakeAll()
		signal(connected)
	}, func(ids []session.ID) {
		signal(heard)
		a.wake(ids)
	})
	giveUp(err)
	heart.Wait()
	return context.Cause(ctx)
}

// heartbeat sends heartbeats until ctx ends, and gives the connection up when too
// many intervals pass in which it hears nothing.
func (a *Announcer) heartbeat(ctx context.Context, giveUp context.CancelCauseFunc, connected, heard <-chan struct{}) {
	ticker := time.NewTicker(heartbeatInterval)
	defer ticker.Stop()
	for missed := 0; missed < maxMissedHeartbeats; {
		select {
		case <-ctx.Done():
			return
		case <-heard:
			missed = 0
			a.setHealth(receiving, nil)
			continue
		case <-connected:
		case <-ticker.C:
			missed++
		}
		_ = a.send(ctx, nil) // send stores its error in a.failures
	}
	giveUp(session.Wrap(session.KindUnavailable, errNoHeartbeat))
}

// setHealth stores the result of sending or receiving, and calls onHealth when
// that changes whether the replica is degraded.
func (a *Announcer) setHealth(direction int, err error) {
	a.healthMu.Lock()
	defer a.healthMu.Unlock()
	before := errors.Join(a.failures[:]...)
	a.failures[direction] = err
	if now := errors.Join(a.failures[:]...); (now == nil) != (before == nil) {
		a.onHealth(now)
	}
}

// Degraded implements ports.Degradable.
func (a *Announcer) Degraded() string {
	a.healthMu.Lock()
	defer a.healthMu.Unlock()
	if errors.Join(a.failures[:]...) == nil {
		return ""
	}
	return "events arrive late: this replica does not exchange changes with the others"
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
