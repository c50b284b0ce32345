package lease_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/adapters/lease"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const leaseLength = 2 * time.Second

var (
	tokenHash = session.TokenHash{1}
	errDown   = errors.New("the store is down")
)

// bubbleClock is a ports.Clock in a synctest bubble.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// slowClock is the clock of a replica that is behind by a fixed time.
type slowClock struct{ by time.Duration }

func (b slowClock) Now() time.Time { return bubbleClock{}.Now().Add(-b.by) }

// stored returns a session that lasts an hour.
func stored(change ...func(*session.Stored)) session.Session {
	now := bubbleClock{}.Now()
	s := session.Stored{
		ID: "id_1", User: "user_1", Device: "phone", Workflow: "workflow_1", Status: session.StatusActive, SignIn: "sess_1",
		Credential: session.Credential{Hash: tokenHash}, CreatedAt: now, LastActivityAt: now, ExpiresAt: now.Add(time.Hour),
	}
	for _, c := range change {
		c(&s)
	}
	return session.Restore(s)
}

// fakeStore is a store with one session.
type fakeStore struct {
	ports.SessionStore
	ports.SecretFinder
	session session.Session
	down    bool
	reads   int
	hits    atomic.Int32
	misses  atomic.Int32
	commit  chan struct{} // if not nil, Update receives from it before it commits
}

// held delays a read of the store: it receives from look before it reads the
// session and from answer before it returns.
type held struct{ look, answer chan struct{} }

type heldKey struct{}

func (s *fakeStore) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	s.reads++
	hold, isHeld := ctx.Value(heldKey{}).(held)
	if isHeld {
		<-hold.look
	}
	found, down := s.session.Outline(), s.down
	if isHeld {
		<-hold.answer
	}
	previous, _ := found.Previous()
	switch {
	case down:
		return session.Session{}, session.Wrap(session.KindUnavailable, errDown)
	case found.Status() != session.StatusActive || (hash != found.Credential().Hash && hash != previous):
		return session.Session{}, session.Wrap(session.KindNotFound, errDown)
	}
	return found, nil
}

func (s *fakeStore) Update(_ context.Context, _ ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	if s.down {
		return session.Wrap(session.KindUnavailable, errDown)
	}
	changes, err := change(ports.Seen{Sessions: []session.Session{s.session}})
	if err != nil {
		return err
	}
	if s.commit != nil {
		<-s.commit
	}
	for _, changed := range changes.Sessions {
		if changed.ID() == s.session.ID() {
			s.session = changed
		}
	}
	return nil
}

func newCache(t *testing.T, s *fakeStore, sessions int) *lease.Cache {
	t.Helper()
	return newCacheWith(t, s, sessions, bubbleClock{})
}

func newCacheWith(t *testing.T, s *fakeStore, sessions int, clock ports.Clock) *lease.Cache {
	t.Helper()
	policy := session.DefaultPolicy()
	policy.Usual.IdleTimeout = 10 * time.Minute
	onLookup := func(hit bool) {
		if hit {
			s.hits.Add(1)
		} else {
			s.misses.Add(1)
		}
	}
	c, err := lease.New(lease.Config{Lease: leaseLength, Sessions: sessions, Policy: policy, Clock: clock, OnLookup: onLookup}, s, s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func revoke(s *session.Session) { s.Revoke(session.EndUser, bubbleClock{}.Now()) }

func revokes(seen ports.Seen) (ports.Changes, error) {
	revoke(&seen.Sessions[0])
	return ports.Changes{Sessions: seen.Sessions}, nil
}

// update changes the session, or nothing if change is nil, and returns how long
// Update took.
func update(t *testing.T, c *lease.Cache, scope ports.Scope, change func(*session.Session)) time.Duration {
	t.Helper()
	began := time.Now()
	err := c.Update(t.Context(), scope, func(seen ports.Seen) (ports.Changes, error) {
		if change == nil {
			return ports.Changes{}, nil
		}
		change(&seen.Sessions[0]) // in place, as callers may
		return ports.Changes{Sessions: seen.Sessions}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func lookUp(t *testing.T, c *lease.Cache, want error) {
	t.Helper()
	if found, err := c.FindByToken(t.Context(), tokenHash); !errors.Is(err, want) || (err == nil && found.User() != stored().User()) {
		t.Errorf("FindByToken = %v, %v", found.User(), err)
	}
}
