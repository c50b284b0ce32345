package lifecycle

import (
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
