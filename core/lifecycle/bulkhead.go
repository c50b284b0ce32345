package lifecycle

import (
	"context"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// reservedConnections is how many connections are left for the service's own
// tasks, such as clean-up and readiness probes.
const reservedConnections = 2

// maxStatsQueue is how many calls of Stats may wait.
const maxStatsQueue = 4

// UserStore is the part of a store that requests use.
type UserStore interface {
	ports.SessionStore
	ports.SecretFinder
	ports.ActivityStore
	ports.AdminStore
}

// Bulkhead is a decorator that divides a store's connection pool into bulkheads,
// so that an overload of one kind of work leaves connections for the others:
// token checks have a share, users' requests have a share, and a few connections
// are reserved for the service's own tasks, which do not use the decorator. Updates
// of one user are made one after the other (see userQueue), so that they take one
// connection, however long the user's lock is held elsewhere.
type Bulkhead struct {
	UserStore
	users, checks *inFlightLimit
	// stats lets one call of Stats run at a time: it reads whole tables.
	stats *inFlightLimit
	clock ports.Clock

	mu     sync.Mutex
	queues map[session.UserID]*userQueue
}

var _ UserStore = (*Bulkhead)(nil)

// NewBulkhead decorates a store whose pool has this many connections.
func NewBulkhead(store UserStore, connections int, clock ports.Clock) *Bulkhead {
	shared := max(connections-reservedConnections, 0)
	users := max(shared*2/3, 1)
	return &Bulkhead{
		UserStore: store, clock: clock, queues: make(map[session.UserID]*userQueue),
		users: &inFlightLimit{clock: clock, capacity: users}, checks: &inFlightLimit{clock: clock, capacity: max(shared-users, 1)},
		stats: &inFlightLimit{clock: clock, capacity: 1, maxQueue: maxStatsQueue},
	}
}

// within calls the store when limit admits the caller.
func within[T any](ctx context.Context, limit *inFlightLimit, call func() (T, error)) (T, error) {
	leave, err := limit.enter(ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer leave()
	return call()
}

// FindByToken implements ports.SecretFinder.
func (b *Bulkhead) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	return within(ctx, b.checks, func() (session.Session, error) { return b.UserStore.FindByToken(ctx, hash) })
}

// FindByOffer implements ports.SecretFinder.
func (b *Bulkhead) FindByOffer(ctx context.Context, code session.TokenHash, by session.Bearer) (session.Session, error) {
	return within(ctx, b.users, func() (session.Session, error) { return b.UserStore.FindByOffer(ctx, code, by) })
}

// Find implements ports.SessionStore.
func (b *Bulkhead) Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	return within(ctx, b.users, func() (session.Session, error) { return b.UserStore.Find(ctx, slot, by) })
}

// FindByID implements ports.SessionStore.
func (b *Bulkhead) FindByID(ctx context.Context, user session.UserID, id session.ID, by session.Bearer) (session.Session, error) {
	return within(ctx, b.users, func() (session.Session, error) { return b.UserStore.FindByID(ctx, user, id, by) })
}

// List implements ports.SessionStore.
func (b *Bulkhead) List(ctx context.Context, query ports.ListQuery) ([]session.Session, error) {
	return within(ctx, b.users, func() ([]session.Session, error) { return b.UserStore.List(ctx, query) })
}

// ListActivity implements ports.ActivityStore.
func (b *Bulkhead) ListActivity(ctx context.Context, query ports.ActivityQuery) ([]session.Activity, error) {
	return within(ctx, b.users, func() ([]session.Activity, error) { return b.UserStore.ListActivity(ctx, query) })
}

// OwnerOf implements ports.AdminStore.
func (b *Bulkhead) OwnerOf(ctx context.Context, id session.ID, by session.Bearer) (session.UserID, error) {
	return within(ctx, b.users, func() (session.UserID, error) { return b.UserStore.OwnerOf(ctx, id, by) })
}

// Stats implements ports.AdminStore. It returns KindOverloaded at once when too
// many calls of Stats wait.
func (b *Bulkhead) Stats(ctx context.Context, by session.Bearer, cutoff session.Cutoff, since time.Time) (ports.Stats, error) {
	return within(ctx, b.stats, func() (ports.Stats, error) {
		return within(ctx, b.users, func() (ports.Stats, error) { return b.UserStore.Stats(ctx, by, cutoff, since) })
	})
}

// Update implements ports.SessionStore. It returns KindOverloaded at once when too
// many Updates of the same user wait.
func (b *Bulkhead) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	leave, err := b.enterUser(ctx, scope.User)
	if err != nil {
		return err
	}
	defer leave()
	_, err = within(ctx, b.users, func() (struct{}, error) { return struct{}{}, b.UserStore.Update(ctx, scope, change) })
	return err
}
