package lifecycle

import (
	"context"
	"errors"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// The bounds of what waits for its turn. They leave those who are answered well
// under half a second, their work included, on machines of any speed.
const (
	// waitingForOne is how many may wait for each that is in flight: what a
	// burst brings, not what a machine cannot do.
	waitingForOne = 8
	// oldestWaiting is how long the first may have waited when another joins.
	oldestWaiting = 200 * time.Millisecond
	// longestWait is after what time somebody who waits is refused after all:
	// nothing is served any more.
	longestWait = 400 * time.Millisecond
)

// The bounds of checks for networks whose checks failed too often.
const (
	suspectsAtOnce = 2
	// suspectPause is for how long a check that failed keeps its place.
	suspectPause = 20 * time.Millisecond
	// suspectPatience is how long they wait: those who ask again at once are
	// slowed down by that, too.
	suspectPatience = time.Second
)

// Admission bounds the work in flight. It implements ports.Admission.
type Admission struct {
	meter ports.Meter
	lines map[ports.Work]*line
}

var _ ports.Admission = (*Admission)(nil)

// NewAdmission returns an Admission that lets most of each kind of work be in
// flight at a time, and few of those of suspects.
func NewAdmission(most int, meter ports.Meter, clock ports.Clock) *Admission {
	usual := func() *line {
		return &line{clock: clock, most: most, longest: waitingForOne * most, oldest: oldestWaiting, patience: longestWait}
	}
	return &Admission{meter: meter, lines: map[ports.Work]*line{
		ports.WorkUsers:    usual(),
		ports.WorkChecks:   usual(),
		ports.WorkSuspects: {clock: clock, most: suspectsAtOnce, patience: suspectPatience},
	}}
}

// Enter implements ports.Admission.
func (a *Admission) Enter(ctx context.Context, work ports.Work) (leave func(), err error) {
	leave, err = a.lines[work].enter(ctx)
	if errors.Is(err, session.KindOverloaded) {
		a.meter.Overloaded(work)
	}
	return leave, err
}

// Suspected implements ports.Admission.
func (a *Admission) Suspected(ctx context.Context, check func() error) error {
	ports.Rest(ctx)
	leave, err := a.Enter(ctx, ports.WorkSuspects)
	if err != nil {
		return err
	}
	if err = check(); err != nil {
		time.AfterFunc(suspectPause, leave)
		return err
	}
	leave()
	return nil
}
