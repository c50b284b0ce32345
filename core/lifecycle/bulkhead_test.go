package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

// stuck is a store whose calls block until they are released, in a synctest
// bubble.
type stuck struct {
	lifecycle.UserStore
	release chan struct{}

	mu     sync.Mutex
	inside map[string]int
}

func (s *stuck) call(name string) {
	s.mu.Lock()
	s.inside[name]++
	s.mu.Unlock()
	<-s.release
	s.mu.Lock()
	s.inside[name]--
	s.mu.Unlock()
}

func (s *stuck) Find(context.Context, session.Slot, session.SignInID) (session.Session, error) {
	s.call("Find")
	return active("found"), nil
}

func (s *stuck) FindByID(context.Context, session.UserID, session.ID, session.Bearer) (session.Session, error) {
	s.call("FindByID")
	return active("found"), nil
}

func (s *stuck) FindByOffer(context.Context, session.TokenHash, session.Bearer) (session.Session, error) {
	s.call("FindByOffer")
	return active("found"), nil
}

func (s *stuck) FindByToken(context.Context, session.TokenHash) (session.Session, error) {
	s.call("FindByToken")
	return active("found"), nil
}

func (s *stuck) List(context.Context, ports.ListQuery) ([]session.Session, error) {
	s.call("List")
	return nil, nil
}

func (s *stuck) ListActivity(context.Context, ports.ActivityQuery) ([]session.Activity, error) {
	s.call("ListActivity")
	return nil, nil
}

func (s *stuck) OwnerOf(context.Context, session.ID, session.Bearer) (session.UserID, error) {
	s.call("OwnerOf")
	return user, nil
}

func (s *stuck) Stats(context.Context, session.Bearer, session.Cutoff, time.Time) (ports.Stats, error) {
	s.call("Stats")
	return ports.Stats{}, nil
}

func (s *stuck) Update(context.Context, ports.Scope, func(ports.Seen) (ports.Changes, error)) error {
	s.call("Update")
	return errBug
}

// busy returns how many calls of a kind ("" for all) are in the store.
func (s *stuck) busy(name string) (n int) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for each, calls := range s.inside {
		if name == "" || name == each {
			n += calls
		}
	}
	return n
}

// newBulkhead returns a Bulkhead for a pool of this many connections.
func newBulkhead(t *testing.T, connections int) (*stuck, *lifecycle.Bulkhead) {
	t.Helper()
	clock := portmock.NewMockClock(gomock.NewController(t))
	clock.EXPECT().Now().DoAndReturn(time.Now).AnyTimes()
	store := &stuck{release: make(chan struct{}), inside: map[string]int{}}
	return store, lifecycle.NewBulkhead(store, connections, clock)
}

// Checks and users' requests cannot use each other's connections, nor the
// reserved ones.
func TestBulkhead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ connections, users, checks int }{{32, 20, 10}, {4, 1, 1}, {2, 1, 1}, {1, 1, 1}} {
		t.Run(fmt.Sprint(c.connections), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, shares := newBulkhead(t, c.connections)
				ctx := t.Context()
				for n := range 40 {
					go shares.FindByToken(ctx, session.TokenHash{})                   //nolint:errcheck // see below
					go shares.Find(ctx, session.Slot{User: user}, session.SignInID{}) //nolint:errcheck // see below
					go shares.FindByID(ctx, user, id("s"), session.Bearer{})          //nolint:errcheck // see below
					go shares.FindByOffer(ctx, session.TokenHash{}, session.Bearer{}) //nolint:errcheck // see below
					go shares.List(ctx, ports.ListQuery{})                            //nolint:errcheck // see below
					go shares.ListActivity(ctx, ports.ActivityQuery{})
					go shares.OwnerOf(ctx, id("s"), session.Bearer{})              //nolint:errcheck // see below
					go shares.Stats(ctx, session.Bearer{}, session.Cutoff{}, noon) //nolint:errcheck // see below
					go update(ctx, shares, fmt.Sprint("user_", n))                 //nolint:errcheck // see below
				}
				if checks, all := store.busy("FindByToken"), store.busy(""); checks != c.checks || all != c.checks+c.users {
					t.Errorf("%d checks and %d other calls in the store", checks, all-checks)
				}
				if stats := store.busy("Stats"); stats > 1 {
					t.Errorf("%d calls of Stats at once", stats)
				}
				close(store.release)
			})
		})
	}
}

func update(ctx context.Context, store ports.SessionStore, name string) error {
	return store.Update(ctx, ports.Scope{User: session.Must(session.ParseUserID(name))}, nil)
}

// A user whose lock is stuck uses one connection, a bounded queue, and delays
// nobody else.
func TestBulkhead_OneUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, shares := newBulkhead(t, 8)
		said, resting := make(chan error, 60), 0
		ctx := ports.WithRelease(t.Context(), func() { resting++ })
		for range 60 {
			go func() { said <- update(ctx, shares, "user_1") }()
			synctest.Wait()
		}
		if n := store.busy("Update"); n != 1 || resting != 59 {
			t.Errorf("%d updates of a user in the store, %d not counted as in flight", n, resting)
		}
		for range 44 {
			if err := <-said; !errors.Is(err, session.KindOverloaded) {
				t.Errorf("got %v", err)
			}
		}
		gaveUp, cancel := context.WithCancel(t.Context())
		cancel()
		go func() { _ = update(ctx, shares, "user_2") }()
		go func() { _ = update(gaveUp, shares, "user_3") }()
		if n := store.busy("Update"); n != 3 {
			t.Errorf("%d updates of three users in the store", n)
		}
		close(store.release)
		for range 16 {
			if err := <-said; !errors.Is(err, errBug) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// A caller that gives up while it waits for a connection does not reach the
// store.
func TestBulkhead_GaveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, shares := newBulkhead(t, 1)
		go shares.Find(t.Context(), session.Slot{User: user}, session.SignInID{}) //nolint:errcheck // it succeeds
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		said := make(chan error, 2)
		go func() { _, err := shares.Find(ctx, session.Slot{User: user}, session.SignInID{}); said <- err }()
		go func() { said <- update(ctx, shares, "user_1") }()
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-said; !errors.Is(err, session.KindUnavailable) {
				t.Errorf("got %v", err)
			}
		}
		if n := store.busy(""); n != 1 {
			t.Errorf("%d calls in the store", n)
		}
		close(store.release)
	})
}

// Few calls of Stats may wait.
func TestBulkhead_Stats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, shares := newBulkhead(t, 8)
		for range 5 {
			go shares.Stats(t.Context(), session.Bearer{}, session.Cutoff{}, noon) //nolint:errcheck // it succeeds
		}
		synctest.Wait()
		if _, err := shares.Stats(t.Context(), session.Bearer{}, session.Cutoff{}, noon); !errors.Is(err, session.KindOverloaded) {
			t.Errorf("got %v", err)
		}
		close(store.release)
	})
}
