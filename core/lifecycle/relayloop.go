package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errSilent = errors.New("what this replica sends does not come back to it")

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
