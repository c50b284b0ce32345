package lifecycle

import (
	"slices"
	"sync"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// maxUnsent bounds how many changed sessions wait to be sent to other replicas.
// Changes beyond it are not sent: watchers poll, and find them later.
const maxUnsent = 10_000

// Announcer wakes the watchers of a session when it changes: those on this
// replica at once, those on other replicas through a relay. It is best effort: an
// announcement says only that something changed, may be lost, and blocks nobody.
type Announcer struct {
	relay ports.Relay
	// onHealth is called when the link between replicas is lost or back.
	onHealth func(error)
	// sendable has a value when unsent may not be empty.
	sendable chan struct{}

	mu            sync.Mutex
	subscriptions map[session.ID][]*subscription
	unsent        map[session.ID]struct{}

	// healthMu guards failures: the last error of sending and of receiving.
	healthMu sync.Mutex
	failures [2]error
}

// subscription wakes one watcher of a session. A channel holds one signal,
// however often it was given.
type subscription struct {
	// changed is signalled when the session changed; missed when announcements
	// may have been lost and the watcher should look at its session soon.
	changed, missed chan struct{}
}

// NewAnnouncer returns an Announcer whose Run connects it to other replicas;
// without a relay (nil) there are none. onHealth is called with an error when
// replicas stop hearing of each other's changes, and with nil when they hear
// again.
func NewAnnouncer(relay ports.Relay, onHealth func(lost error)) *Announcer {
	return &Announcer{
		relay: relay, onHealth: onHealth, sendable: make(chan struct{}, 1),
		subscriptions: make(map[session.ID][]*subscription), unsent: make(map[session.ID]struct{}),
	}
}

// Announce wakes the watchers of changed sessions. It does not block.
func (a *Announcer) Announce(ids ...session.ID) {
	a.wake(ids)
	if a.relay == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if len(a.unsent) < maxUnsent {
			a.unsent[id] = struct{}{}
			signal(a.sendable)
		}
	}
}

// subscribe wakes the caller when the session changes, until cancel is called.
func (a *Announcer) subscribe(id session.ID) (s *subscription, cancel func()) {
	s = &subscription{changed: make(chan struct{}, 1), missed: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subscriptions[id] = append(a.subscriptions[id], s)
	return s, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		rest := slices.DeleteFunc(a.subscriptions[id], func(other *subscription) bool { return other == s })
		if a.subscriptions[id] = rest; len(rest) == 0 {
			delete(a.subscriptions, id)
		}
	}
}

// wake wakes this replica's watchers of the sessions.
func (a *Announcer) wake(ids []session.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		for _, s := range a.subscriptions[id] {
			signal(s.changed)
		}
	}
}

// wakeAll makes every watcher look at its session soon, because announcements
// may have been missed.
func (a *Announcer) wakeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, subscriptions := range a.subscriptions {
		for _, s := range subscriptions {
			signal(s.missed)
		}
	}
}

// signal puts a signal into a channel of capacity 1, unless it holds one.
func signal(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}
