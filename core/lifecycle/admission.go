package lifecycle

import (
	"context"
	"errors"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The bounds of the queues for users' work and checks. With them, admitted
// requests are answered well within half a second, on machines of any speed.
const (
	// queuePerPlace is how many requests may wait for each one in flight. It
	// bounds bursts; maxQueueTime bounds how slowly a queue may be served.
	queuePerPlace = 8
	maxQueueTime  = 200 * time.Millisecond
	// maxWait is reached only when no request completes at all.
	maxWait = 400 * time.Millisecond
)

// The bounds of checks for suspects: networks whose checks failed too often.
const (
	suspectCapacity = 2
	// suspectPause is how long a failed check keeps its place.
	suspectPause = 20 * time.Millisecond
	// suspectMaxWait is long, to slow down clients that retry at once. Each waits
	// for at least half of it.
	suspectMaxWait = time.Second
)

// Admission sheds load: it bounds the work in flight of each kind, queues a
// little more, and refuses the rest at once. It implements ports.Admission.
type Admission struct {
	meter  ports.Meter
	limits map[ports.Work]*inFlightLimit
}

var _ ports.Admission = (*Admission)(nil)

// NewAdmission returns an Admission with capacity places for each of users' work
// and checks, and a few for suspects.
func NewAdmission(capacity int, meter ports.Meter, clock ports.Clock) *Admission {
	usual := func() *inFlightLimit {
		return &inFlightLimit{clock: clock, capacity: capacity, maxQueue: queuePerPlace * capacity, maxQueueTime: maxQueueTime, maxWait: maxWait}
	}
	return &Admission{meter: meter, limits: map[ports.Work]*inFlightLimit{
		ports.WorkUsers:    usual(),
		ports.WorkChecks:   usual(),
		ports.WorkSuspects: {clock: clock, capacity: suspectCapacity, maxWait: suspectMaxWait, spread: true},
	}}
}

// Enter implements ports.Admission.
func (a *Admission) Enter(ctx context.Context, work ports.Work) (leave func(), err error) {
	leave, err = a.limits[work].enter(ctx)
	if errors.Is(err, session.KindOverloaded) {
		a.meter.Overloaded(work)
	}
	return leave, err
}

// Suspected implements ports.Admission.
func (a *Admission) Suspected(ctx context.Context, check func() error) error {
	ports.ReleaseInFlight(ctx)
	leave, err := a.Enter(ctx, ports.WorkSuspects)
	if err != nil {
		return err
	}
	checked := false
	defer func() {
		if checked {
			leave()
			return
		}
		time.AfterFunc(suspectPause, leave) // also when check panics
	}()
	err = check()
	checked = err == nil
	return err
}
