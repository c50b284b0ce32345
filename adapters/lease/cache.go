package lease

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Config says what of a store's answers to keep.
type Config struct {
	// Lease is for how long an answer is good from when it was asked for; with
	// 0 none is kept.
	Lease time.Duration
	// Sessions is how many answers are kept at most; with 0 none is, and what
	// ends is waited for all the same.
	Sessions int
	// Registry says which lease is in force for all replicas that share the
	// store. Keep must run then. Nil is for a store that nobody shares.
	Registry ports.LeaseRegistry
	// Longest is the longest Lease that any replica may have.
	MaxLease time.Duration
	// Trust is for how long a replica goes by what the registry said; 0 means 3
	// seconds.
	Trust time.Duration
	// Changed hears when remembering begins and ends, and which lease is in
	// force then; nil hears nothing.
	OnChange func(remembers bool, inForce time.Duration)
	// Policy says which tokens are good. It must be the service's.
	Policy session.Policy
	// Clock is the time of the policy; it must be set.
	Clock ports.Clock
	// OnLookup hears of each look for a token, and whether memory answered it;
	// nil hears nothing.
	OnLookup func(remembered bool)
}

// Cache is a store whose answers about good tokens count for the length of a
// lease, so that checks that come soon again cost no statement. Whoever takes a
// token away waits a lease before it says so: then nobody goes by an older
// answer any more, on any replica, whatever failed meanwhile. LEASES.md says
// why that holds.
//
// It implements ports.SessionStore and ports.SecretFinder.
type Cache struct {
	ports.SessionStore
	ports.SecretFinder
	config    Config
	agreement agreement
	kept      *otter.Cache[session.TokenHash, answer] // nil when none is
}

var (
	_ ports.SessionStore = (*Cache)(nil)
	_ ports.SecretFinder = (*Cache)(nil)
	_ ports.Degradable   = (*Cache)(nil)
)

// answer is a session as the store said it is.
type answer struct {
	session session.Session
	asked   time.Time // before the store looked
}

// New returns a store that keeps what sessions and secrets, of one store,
// answer.
func New(config Config, sessions ports.SessionStore, secrets ports.SecretFinder) (*Cache, error) {
	if config.OnLookup == nil {
		config.OnLookup = func(bool) {}
	}
	if config.OnChange == nil {
		config.OnChange = func(bool, time.Duration) {}
	}
	if config.Trust == 0 {
		config.Trust = defaultTrust
	}
	remembers := config.Sessions > 0 && config.Lease > 0
	l := &Cache{SessionStore: sessions, SecretFinder: secrets, config: config, agreement: agreement{
		registry: config.Registry, trust: config.Trust, own: config.Lease, longest: config.MaxLease, remembers: remembers, changed: config.OnChange,
	}}
	if !remembers {
		return l, nil
	}
	var err error
	l.kept, err = otter.New(&otter.Options[session.TokenHash, answer]{
		MaximumSize:      config.Sessions,
		Clock:            wallClock{},
		ExpiryCalculator: otter.ExpiryWriting[session.TokenHash, answer](config.Lease),
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache of sessions: %w", err)
	}
	return l, nil
}

// wallClock lets the cache forget what is too old to count. It needs no ticks:
// leases are not its business.
type wallClock struct{}

func (wallClock) NowNano() int64 { return time.Now().UnixNano() }

func (wallClock) Tick(time.Duration) <-chan time.Time { return nil }

// FindByToken implements ports.SecretFinder. What was kept only ever lets
// somebody in: for any other answer the store is asked.
func (l *Cache) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	if l.kept == nil {
		return l.SecretFinder.FindByToken(ctx, hash)
	}
	known, found := l.kept.GetIfPresent(hash)
	remembered := found && time.Since(known.asked) < l.config.Lease && l.agreement.counts(known.asked) && l.good(known.session, hash)
	l.config.OnLookup(remembered)
	if remembered {
		return known.session, nil
	}
	return l.ask(ctx, hash)
}

// ask asks the store, and keeps what it finds.
func (l *Cache) ask(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	asked := time.Now()
	found, err := l.SecretFinder.FindByToken(ctx, hash)
	if err == nil && l.agreement.counts(asked) {
		l.kept.Set(hash, answer{found, asked})
	}
	return found, err
}

func (l *Cache) good(s session.Session, hash session.TokenHash) bool {
	return l.config.Policy.Accepts(l.config.Clock.Now(), s, hash)
}

// Update implements ports.SessionStore.
func (l *Cache) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	var replaced []ports.Replacement
	var from time.Time
	err := l.SessionStore.Update(ctx, scope, func(seen ports.Seen) (ports.Changes, error) {
		was := slices.Clone(seen.Sessions)
		from = l.config.Clock.Now().Add(-skew)
		changes, err := change(seen)
		replaced, _ = changes.Split(was)
		return changes, err
	})
	if err == nil {
		l.settle(ctx, scope.Settled, from, replaced)
	}
	return err
}

// skew is how far two replicas' clocks may be apart: each is ready within five
// seconds of the database's.
const skew = 10 * time.Second

// misleads reports whether what others keep of the sessions from before they
// changed, which is durable now, may let somebody in who is not to come in any
// more, by any replica's clock, in the time that is waited.
func (l *Cache) misleads(from time.Time, wait time.Duration, replaced []ports.Replacement) bool {
	until := l.config.Clock.Now().Add(wait + skew)
	for _, r := range replaced {
		if l.config.Policy.StaleCopyAccepts(from, until, r.Was, r.Is) {
			return true
		}
	}
	return false
}

// slowest is a lease by the slowest clock: no two run apart by a tenth.
func slowest(lease time.Duration) time.Duration { return lease + lease/10 }

// settle waits until no lease runs any more that began before it was called, if
// that matters. It does not end with its caller: what is stored is to be so for
// everybody. Who waits is not in flight.
func (l *Cache) settle(ctx context.Context, settled bool, from time.Time, replaced []ports.Replacement) {
	if !settled && !l.misleads(from, slowest(max(l.config.Lease, l.config.MaxLease)), replaced) {
		return // whatever lease is in force
	}
	ports.Rest(ctx)
	wait := slowest(l.agreement.lease()) //nolint:contextcheck // it does not end with its caller
	if wait > 0 && (settled || l.misleads(from, wait, replaced)) {
		<-time.After(wait)
	}
}
