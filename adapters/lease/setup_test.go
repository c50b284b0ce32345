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
	leaseToken = session.TokenHash{1}
	errLost    = errors.New("the store is lost")
)

// wall is the clock of a bubble.
type wall struct{}

func (wall) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// behind is the clock of a replica that is late.
type behind struct{ by time.Duration }

func (b behind) Now() time.Time { return wall{}.Now().Add(-b.by) }

// stored is a session of an hour.
func stored(change ...func(*session.Stored)) session.Session {
	now := wall{}.Now()
	s := session.Stored{
		ID: "id_1", User: "user_1", Device: "phone", Workflow: "workflow_1", Status: session.StatusActive, SignIn: "sess_1",
		Credential: session.Credential{Hash: leaseToken}, CreatedAt: now, LastActivityAt: now, ExpiresAt: now.Add(time.Hour),
	}
	for _, c := range change {
		c(&s)
	}
	return session.Restore(s)
}

// truth is a store of one session.
type truth struct {
	ports.SessionStore
	ports.SecretFinder
	session session.Session
	lost    bool
	reads   int
	// looks counts those that memory answered, and those that it did not.
	looks  struct{ remembered, asked atomic.Int32 }
	commit chan struct{} // holds an Update before it is durable; nil does not
}

// held holds a read before and after the store looks.
type held struct{ look, answer chan struct{} }

type heldKey struct{}

func (s *truth) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	s.reads++
	hold, isHeld := ctx.Value(heldKey{}).(held)
	if isHeld {
		<-hold.look
	}
	found, lost := s.session.Outline(), s.lost
	if isHeld {
		<-hold.answer
	}
	previous, _ := found.Previous()
	switch {
	case lost:
		return session.Session{}, session.Wrap(session.KindUnavailable, errLost)
	case found.Status() != session.StatusActive || (hash != found.Credential().Hash && hash != previous):
		return session.Session{}, session.Wrap(session.KindNotFound, errLost)
	}
	return found, nil
}

func (s *truth) Update(_ context.Context, _ ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	if s.lost {
		return session.Wrap(session.KindUnavailable, errLost)
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

func leases(t *testing.T, s *truth, sessions int) *lease.Cache {
	t.Helper()
	return leasesBy(t, s, sessions, wall{})
}

func leasesBy(t *testing.T, s *truth, sessions int, clock ports.Clock) *lease.Cache {
	t.Helper()
	policy := session.DefaultPolicy()
	policy.Usual.IdleTimeout = 10 * time.Minute
	looked := func(remembered bool) {
		if remembered {
			s.looks.remembered.Add(1)
		} else {
			s.looks.asked.Add(1)
		}
	}
	l, err := lease.New(lease.Config{Lease: leaseLength, Sessions: sessions, Policy: policy, Clock: clock, OnLookup: looked}, s, s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func revoke(s *session.Session) { s.Revoke(session.EndUser, wall{}.Now()) }

func revokes(seen ports.Seen) (ports.Changes, error) {
	revoke(&seen.Sessions[0])
	return ports.Changes{Sessions: seen.Sessions}, nil
}

// update changes the session and returns how long that took.
func update(t *testing.T, l *lease.Cache, scope ports.Scope, change func(*session.Session)) time.Duration {
	t.Helper()
	began := time.Now()
	err := l.Update(t.Context(), scope, func(seen ports.Seen) (ports.Changes, error) {
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

func finds(t *testing.T, l *lease.Cache, want error) {
	t.Helper()
	if found, err := l.FindByToken(t.Context(), leaseToken); !errors.Is(err, want) || (err == nil && found.User() != stored().User()) {
		t.Errorf("FindByToken = %v, %v", found.User(), err)
	}
}
