package ports

import "context"

// Work is a kind of work. The number of requests in flight is limited for each
// kind on its own.
type Work string

// The kinds of work.
const (
	// WorkUsers is requests of users and admins.
	WorkUsers Work = "users"
	// WorkChecks is token checks.
	WorkChecks Work = "checks"
	// WorkSuspects is token checks for networks with too many failed checks.
	WorkSuspects Work = "suspects"
)

// Works lists every kind of work.
func Works() []Work { return []Work{WorkUsers, WorkChecks, WorkSuspects} }

type releaseKey struct{}

// WithRelease returns a context for a request that counts as in flight. release
// ends that; ReleaseInFlight calls it, perhaps more than once.
func WithRelease(ctx context.Context, release func()) context.Context {
	return context.WithValue(ctx, releaseKey{}, release)
}

// ReleaseInFlight stops counting ctx's request as in flight. Call it before a long
// wait for something external, such as the end of a lease, another service, the
// client, or the next event to send: a request that only waits must not take the
// place of one that could be served. The request does not count again after the
// wait. Without WithRelease, ReleaseInFlight does nothing.
func ReleaseInFlight(ctx context.Context) {
	if release, counts := ctx.Value(releaseKey{}).(func()); counts {
		release()
	}
}
