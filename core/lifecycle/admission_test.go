package lifecycle_test

import (
	"context"
	"errors"
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

// gatekeeper is an Admission with two places for each kind of work, in a
// synctest bubble.
type gatekeeper struct {
	*lifecycle.Admission
	refused map[ports.Work]int
	mu      sync.Mutex
}

func newGatekeeper(t *testing.T) *gatekeeper {
	t.Helper()
	ctrl := gomock.NewController(t)
	clock, meter := portmock.NewMockClock(ctrl), portmock.NewMockMeter(ctrl)
	clock.EXPECT().Now().DoAndReturn(time.Now).AnyTimes()
	g := &gatekeeper{Admission: lifecycle.NewAdmission(2, meter, clock), refused: map[ports.Work]int{}}
	meter.EXPECT().Overloaded(gomock.Any()).Do(func(work ports.Work) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.refused[work]++
	}).AnyTimes()
	return g
}

// enters enters and must be admitted at once.
func (g *gatekeeper) enters(t *testing.T, work ports.Work) (leave func()) {
	t.Helper()
	began := time.Now()
	leave, err := g.Enter(t.Context(), work)
	if err != nil || time.Since(began) > 0 {
		t.Fatalf("Enter = %v after %s", err, time.Since(began))
	}
	return leave
}

// waits enters in the background and sends the result.
func (g *gatekeeper) waits(ctx context.Context, work ports.Work) <-chan error {
	said := make(chan error, 1)
	go func() {
		leave, err := g.Enter(ctx, work)
		if err == nil {
			defer leave()
		}
		said <- err
	}()
	synctest.Wait()
	return said
}

func isRefused(t *testing.T, got error, want session.Kind) {
	t.Helper()
	if session.KindOf(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, *gatekeeper){
		"FirstInFirstOut": func(t *testing.T, g *gatekeeper) {
			leave, other := g.enters(t, ports.WorkUsers), g.enters(t, ports.WorkUsers)
			var order []int
			for n := range 3 {
				go func() {
					mine, err := g.Enter(t.Context(), ports.WorkUsers)
					if err != nil {
						t.Error(err)
						return
					}
					order = append(order, n)
					mine()
				}()
				synctest.Wait()
			}
			leave()
			leave() // repeated: no effect
			synctest.Wait()
			other()
			if len(order) != 3 || order[0] != 0 || order[1] != 1 || order[2] != 2 {
				t.Errorf("admitted in the order %v", order)
			}
			g.enters(t, ports.WorkUsers)
			g.enters(t, ports.WorkUsers)
		},
		// Each kind of work has its own places.
		"KindsApart": func(t *testing.T, g *gatekeeper) {
			for _, work := range ports.Works() {
				g.enters(t, work)
				g.enters(t, work)
			}
		},
		// A full queue refuses at once.
		"TooManyWait": func(t *testing.T, g *gatekeeper) {
			leave, _ := g.enters(t, ports.WorkChecks), g.enters(t, ports.WorkChecks)
			var waiting []<-chan error
			for range 16 {
				waiting = append(waiting, g.waits(t.Context(), ports.WorkChecks))
			}
			began := time.Now()
			isRefused(t, <-g.waits(t.Context(), ports.WorkChecks), session.KindOverloaded)
			if took := time.Since(began); took != 0 || g.refused[ports.WorkChecks] != 1 {
				t.Errorf("took %s, counted %v", took, g.refused)
			}
			leave()
			for _, said := range waiting {
				isRefusedNot(t, <-said)
			}
		},
		// A queue that would take too long, as callers were in flight of late,
		// refuses at once, and so none that has joined is refused later.
		"WouldWaitTooLong": func(t *testing.T, g *gatekeeper) {
			serve := func(n int, takes time.Duration) {
				for range n {
					leave := g.enters(t, ports.WorkUsers)
					<-time.After(takes)
					leave()
				}
			}
			joins := func(takes time.Duration) (joined int) {
				first, second := g.enters(t, ports.WorkUsers), g.enters(t, ports.WorkUsers)
				said := make(chan error, 20)
				for range 20 {
					go func() {
						leave, err := g.Enter(t.Context(), ports.WorkUsers)
						if err == nil {
							<-time.After(takes)
							leave()
						}
						said <- err
					}()
					synctest.Wait()
				}
				refused := len(said)
				<-time.After(takes)
				first()
				second()
				for n := range 20 {
					if err := <-said; (err != nil) != (n < refused) {
						t.Errorf("caller %d of 20, of whom %d were refused at once: %v", n, refused, err)
					}
				}
				return 20 - refused
			}
			serve(200, 100*time.Millisecond)
			if n := joins(100 * time.Millisecond); n != 4 {
				t.Errorf("%d join a queue that is served every 50 ms, want 4", n)
			}
			serve(200, time.Millisecond)
			if n := joins(time.Millisecond); n != 16 {
				t.Errorf("%d join a queue that is served every 0.5 ms, want 16, all that may", n)
			}
		},
		// A short queue whose head has waited too long refuses, too.
		"HeadWaitsTooLong": func(t *testing.T, g *gatekeeper) {
			leave, _ := g.enters(t, ports.WorkUsers), g.enters(t, ports.WorkUsers)
			first := g.waits(t.Context(), ports.WorkUsers)
			<-time.After(200 * time.Millisecond)
			second := g.waits(t.Context(), ports.WorkUsers)
			<-time.After(time.Millisecond)
			isRefused(t, <-g.waits(t.Context(), ports.WorkUsers), session.KindOverloaded)
			leave()
			isRefusedNot(t, <-first)
			isRefusedNot(t, <-second)
			g.enters(t, ports.WorkUsers)()
		},
		// A waiter is refused when no request completes.
		"MaxWait": func(t *testing.T, g *gatekeeper) {
			g.enters(t, ports.WorkUsers)
			leave := g.enters(t, ports.WorkUsers)
			began := time.Now()
			isRefused(t, <-g.waits(t.Context(), ports.WorkUsers), session.KindOverloaded)
			if took := time.Since(began); took != 400*time.Millisecond {
				t.Errorf("waited for %s", took)
			}
			leave()
			g.enters(t, ports.WorkUsers)
		},
		"GaveUp": func(t *testing.T, g *gatekeeper) {
			g.enters(t, ports.WorkUsers)
			leave := g.enters(t, ports.WorkUsers)
			ctx, cancel := context.WithCancel(t.Context())
			said := g.waits(ctx, ports.WorkUsers)
			cancel()
			isRefused(t, <-said, session.KindUnavailable)
			leave()
			g.enters(t, ports.WorkUsers)
			if len(g.refused) != 0 {
				t.Errorf("counted %v", g.refused)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, newGatekeeper(t)) })
		})
	}
}

func isRefusedNot(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("refused: %v", err)
	}
}

// A waiter gives up at the moment it is admitted: its place goes to the next
// waiter.
func TestAdmission_AdmittedWhileGivingUp(t *testing.T) {
	t.Parallel()
	g := newGatekeeper(t)
	var places []func()
	for range 2 {
		leave, err := g.Enter(t.Context(), ports.WorkUsers)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, leave)
	}
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		said := make(chan error, 1)
		var mine func()
		go func() {
			leave, err := g.Enter(ctx, ports.WorkUsers)
			mine = leave
			said <- err
		}()
		go cancel()
		places[0]()
		if err := <-said; err != nil {
			leave, err := g.Enter(t.Context(), ports.WorkUsers)
			if err != nil {
				t.Fatal("a place was lost:", err)
			}
			mine = leave
		}
		places[0] = mine
	}
}

// Two checks for suspects run at a time. A failed check keeps its place for a
// while, a successful one frees it at once. A waiting check does not count as
// in flight.
func TestAdmission_Suspected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGatekeeper(t)
		began, counts := time.Now(), 1
		ctx := ports.WithRelease(t.Context(), func() { counts-- })
		none := errors.New("no such token")
		for range 2 {
			if err := g.Suspected(ctx, func() error { return none }); !errors.Is(err, none) {
				t.Errorf("got %v", err)
			}
		}
		if counts != -1 {
			t.Errorf("%d requests in flight", counts)
		}
		for range 3 { // after the pause of the first two
			isRefusedNot(t, g.Suspected(t.Context(), func() error { return nil }))
		}
		if took := time.Since(began); took != 20*time.Millisecond {
			t.Errorf("took %s", took)
		}
		never := make(chan struct{})
		for range 2 {
			go func() { _ = g.Suspected(t.Context(), func() error { <-never; return nil }) }()
		}
		synctest.Wait()
		began = time.Now()
		isRefused(t, g.Suspected(t.Context(), func() error { t.Error("admitted"); return nil }), session.KindOverloaded)
		if took := time.Since(began); took < time.Second/2 || took > time.Second || g.refused[ports.WorkSuspects] != 1 {
			t.Errorf("waited for %s, counted %v", took, g.refused)
		}
		began = time.Now()
		ends := make(chan time.Duration, 100)
		for range cap(ends) { // clients that come together do not come back together
			go func() {
				_ = g.Suspected(t.Context(), func() error { return nil })
				ends <- time.Since(began)
			}()
		}
		together := map[time.Duration]int{}
		for range cap(ends) {
			together[(<-ends).Truncate(50*time.Millisecond)]++
		}
		for at, n := range together {
			if at < time.Second/2 || at > time.Second || n > 12 {
				t.Errorf("%d of 100 waits end at %s", n, at)
			}
		}
		close(never)
	})
}

// A check that panics frees its place like one that fails.
func TestAdmission_Suspected_Panics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGatekeeper(t)
		for range 2 {
			func() {
				defer func() { _ = recover() }()
				_ = g.Suspected(t.Context(), func() error { panic("a bug") })
			}()
		}
		isRefusedNot(t, g.Suspected(t.Context(), func() error { return nil }))
	})
}

// ReleaseInFlight does nothing for a request that does not count as in flight.
func TestReleaseInFlight_NotCounted(t *testing.T) {
	t.Parallel()
	ports.ReleaseInFlight(t.Context())
}
