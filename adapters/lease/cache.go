// Package lease answers checks of tokens from memory, so that a check repeated
// soon costs no statement. LEASES.md proves that a revoked token is refused
// anyway, whatever fails.
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

// Config configures a Cache.
type Config struct {
	// Lease is how long an entry may be used, counted from before the store was
	// read. 0 disables the cache.
	Lease time.Duration
	// Sessions is the maximum number of entries. 0 disables the cache, but
	// updates still wait for other replicas' leases.
	Sessions int
	// Registry knows the lease in force for all replicas that share the store;
	// Run must be running then. Nil means that no other replica uses the store.
	Registry ports.LeaseRegistry
	// MaxLease is the longest Lease that any replica may be configured with.
	MaxLease time.Duration
	// Trust is how long a replica relies on the registry's last reply; 0 means
	// 3 seconds.
	Trust time.Duration
	// OnChange is called when caching starts or stops, with the lease in force.
	// Nil is ignored.
	OnChange func(caching bool, inForce time.Duration)
	// Policy decides which tokens are valid. It must be the service's own.
	Policy session.Policy
	// Clock tells the policy's time. Required.
	Clock ports.Clock
	// OnLookup is called for each lookup of a token, with whether an entry
	// answered it. Nil is ignored.
	OnLookup func(hit bool)
}

// Cache decorates a store: it answers lookups of valid tokens from memory for
// the length of a lease.
//
//  1. A lookup uses an entry while its lease lasts and only if the entry still
//     makes the token valid. Otherwise it reads the store.
//  2. An update that makes a token invalid returns only once every entry that
//     was read before it is too old to be used, on every replica.
//
// It implements ports.SessionStore and ports.SecretFinder.
type Cache struct {
	ports.SessionStore
	ports.SecretFinder

	config    Config
	agreement agreement
	entries   *otter.Cache[session.TokenHash, entry] // nil when disabled
}

var (
	_ ports.SessionStore = (*Cache)(nil)
	_ ports.SecretFinder = (*Cache)(nil)
	_ ports.Degradable   = (*Cache)(nil)
)

// entry is a session as the store returned it.
type entry struct {
	session session.Session
	readAt  time.Time // before the statement was sent
}

// New returns a Cache of sessions and secrets, which must be of one store.
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
	enabled := config.Sessions > 0 && config.Lease > 0
	c := &Cache{SessionStore: sessions, SecretFinder: secrets, config: config, agreement: agreement{
		registry: config.Registry, trust: config.Trust, own: config.Lease, longest: config.MaxLease, caches: enabled, onChange: config.OnChange,
	}}
	if !enabled {
		return c, nil
	}
	var err error
	c.entries, err = otter.New(&otter.Options[session.TokenHash, entry]{
		MaximumSize:      config.Sessions,
		Clock:            evictionClock{},
		ExpiryCalculator: otter.ExpiryWriting[session.TokenHash, entry](config.Lease),
	})
	if err != nil {
		return nil, fmt.Errorf("create the cache of sessions: %w", err)
	}
	return c, nil
}

// evictionClock lets the library evict expired entries. FindByToken checks
// leases itself, so the library needs no ticks.
type evictionClock struct{}

func (evictionClock) NowNano() int64 { return time.Now().UnixNano() }

func (evictionClock) Tick(time.Duration) <-chan time.Time { return nil }

// FindByToken implements ports.SecretFinder. An entry can only make a token
// valid: every other answer comes from the store.
func (c *Cache) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	if c.entries == nil {
		return c.SecretFinder.FindByToken(ctx, hash)
	}
	cached, found := c.entries.GetIfPresent(hash)
	hit := found && time.Since(cached.readAt) < c.config.Lease && c.agreement.allows(cached.readAt) && c.accepts(cached.session, hash)
	c.config.OnLookup(hit)
	if hit {
		return cached.session, nil
	}
	return c.read(ctx, hash)
}

// read reads the store and adds an entry if it finds a session.
func (c *Cache) read(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	readAt := time.Now()
	found, err := c.SecretFinder.FindByToken(ctx, hash)
	if err == nil && c.agreement.allows(readAt) {
		c.entries.Set(hash, entry{found, readAt})
	}
	return found, err
}

func (c *Cache) accepts(s session.Session, hash session.TokenHash) bool {
	return c.config.Policy.Accepts(c.config.Clock.Now(), s, hash)
}

// Update implements ports.SessionStore. It waits after the commit, once the
// store's Update has returned and holds no lock, connection or slot any more.
func (c *Cache) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	var replaced []ports.Replacement
	var from time.Time
	err := c.SessionStore.Update(ctx, scope, func(seen ports.Seen) (ports.Changes, error) {
		before := slices.Clone(seen.Sessions)
		from = c.config.Clock.Now().Add(-maxClockSkew)
		changes, err := change(seen)
		replaced, _ = changes.Split(before)
		return changes, err
	})
	if err == nil {
		c.waitOut(ctx, scope.Settled, from, replaced)
	}
	return err
}

// maxClockSkew is how far the clocks of two replicas can be apart: readiness
// allows each of them five seconds from the database's clock.
const maxClockSkew = 10 * time.Second

// staleAccepts reports whether an entry from before the update could accept a
// token that the updated session refuses, by any replica's clock, at any time
// from from until wait has passed.
func (c *Cache) staleAccepts(from time.Time, wait time.Duration, replaced []ports.Replacement) bool {
	until := c.config.Clock.Now().Add(wait + maxClockSkew)
	for _, r := range replaced {
		if c.config.Policy.StaleCopyAccepts(from, until, r.Was, r.Is) {
			return true
		}
	}
	return false
}

// byAnyClock is how long a lease can last by the slowest clock: the rates of two
// clocks differ by less than a tenth.
func byAnyClock(lease time.Duration) time.Duration { return lease + lease/10 }

// waitOut waits until no entry that was read before the update can be used, if
// such an entry could accept a token that is refused now. It goes on when ctx
// ends, because the update is committed and holds for every caller. The request
// does not count as in flight while it waits.
func (c *Cache) waitOut(ctx context.Context, settled bool, from time.Time, replaced []ports.Replacement) {
	if !settled && !c.staleAccepts(from, byAnyClock(max(c.config.Lease, c.config.MaxLease)), replaced) {
		return // even for the longest lease
	}
	ports.ReleaseInFlight(ctx)
	wait := byAnyClock(c.agreement.longestInUse()) //nolint:contextcheck // it goes on when the caller is gone
	if wait > 0 && (settled || c.staleAccepts(from, wait, replaced)) {
		<-time.After(wait)
	}
}
