package ports

import "context"

// Work is what requests do that is bounded together: how much of each kind is
// in flight at a time does not depend on the others.
type Work string

// The kinds of work.
const (
	// WorkUsers is what users and admins ask.
	WorkUsers Work = "users"
	// WorkChecks is checks of tokens.
	WorkChecks Work = "checks"
	// WorkSuspects is checks for networks whose checks failed too often.
	WorkSuspects Work = "suspects"
)

// Works are all kinds of work.
func Works() []Work { return []Work{WorkUsers, WorkChecks, WorkSuspects} }

type leaveKey struct{}

// WithLeave returns a context for a request that counts as work in flight.
// leave is what takes it out of the count; it may be called more than once.
func WithLeave(ctx context.Context, leave func()) context.Context {
	return context.WithValue(ctx, leaveKey{}, leave)
}

// Rest says that ctx's request is about to wait for long, for something that is
// not this replica's or its database's work: for a lease to end, for events to
// tell of, for another service, for its client. From now on it does not count as
// work in flight, also once its wait is over. Nothing happens where it does not
// count.
func Rest(ctx context.Context) {
	if leave, counts := ctx.Value(leaveKey{}).(func()); counts {
		leave()
	}
}
