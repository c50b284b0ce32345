package lifecycle

import (
	"context"
	"sync"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// ownConnections is how many connections the service keeps for its own tasks.
const ownConnections = 2

// mostStats is how many may wait for totals.
const mostStats = 4

// UserStore is what requests need of a store.
type UserStore interface {
	ports.SessionStore
	ports.SecretFinder
	ports.ActivityStore
	ports.AdminStore
}

// Bulkhead is a store that lets checks of tokens and what users ask each use a
// share of the connections, so that neither waits for the other, and the
// service's own tasks, which do not come here, for none of them. The changes of
// a user's sessions are made one after the other: where that user's lock is
// held elsewhere they take one connection, however many there are.
type Bulkhead struct {
	UserStore
	users, checks *line
	// stats is for totals: they read whole tables.
	stats *line
	clock ports.Clock

	mu     sync.Mutex
	ofUser map[session.UserID]*userLine
}

var _ UserStore = (*Bulkhead)(nil)

// NewBulkhead shares the store's connections, of which there are this many.
func NewBulkhead(store UserStore, connections int, clock ports.Clock) *Bulkhead {
	shared := max(connections-ownConnections, 0)
	users := max(shared*2/3, 1)
	return &Bulkhead{
		UserStore: store, clock: clock, ofUser: make(map[session.UserID]*userLine),
		users: &line{clock: clock, most: users}, checks: &line{clock: clock, most: max(shared-users, 1)},
		stats: &line{clock: clock, most: 1, longest: mostStats},
	}
}

// within asks when it is the line's turn.
func within[T any](ctx context.Context, l *line, ask func() (T, error)) (T, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer leave()
	return ask()
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

// Stats implements ports.AdminStore, and returns a KindOverloaded error at once
// when too many wait for totals.
func (b *Bulkhead) Stats(ctx context.Context, by session.Bearer, cutoff session.Cutoff, since time.Time) (ports.Stats, error) {
	return within(ctx, b.stats, func() (ports.Stats, error) {
		return within(ctx, b.users, func() (ports.Stats, error) { return b.UserStore.Stats(ctx, by, cutoff, since) })
	})
}

// Update implements ports.SessionStore, and returns a KindOverloaded error at
// once when too many wait for the same user.
func (b *Bulkhead) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	mine, err := b.turnOf(ctx, scope.User)
	if err != nil {
		return err
	}
	defer mine()
	_, err = within(ctx, b.users, func() (struct{}, error) { return struct{}{}, b.UserStore.Update(ctx, scope, change) })
	return err
}
