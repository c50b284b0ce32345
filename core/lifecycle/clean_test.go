package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports/portmock"
)

// cleanerStore is what a Cleaner needs of a store, as mocks.
type cleanerStore struct {
	*portmock.MockSessionCleaner
	*portmock.MockStoreProbe
}

func newCleanerStore(ctrl *gomock.Controller) cleanerStore {
	return cleanerStore{portmock.NewMockSessionCleaner(ctrl), portmock.NewMockStoreProbe(ctrl)}
}

// EXPECT is that of what cleans up.
func (s cleanerStore) EXPECT() *portmock.MockSessionCleanerMockRecorder {
	return s.MockSessionCleaner.EXPECT()
}

// A replica whose clock is not the store's ends and deletes nothing.
func TestCleaner_Clean_ClocksDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now    time.Time
		answer error
	}{
		"Ahead":     {noon.Add(26 * time.Hour), nil},
		"Behind":    {noon.Add(-26 * time.Hour), nil},
		"StoreDown": {noon, errDown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctrl := gomock.NewController(t)
			store, clock := newCleanerStore(ctrl), portmock.NewMockClock(ctrl)
			clock.EXPECT().Now().Return(c.now).AnyTimes()
			store.MockStoreProbe.EXPECT().Now(gomock.Any()).Return(noon, c.answer)
			got, err := lifecycle.NewCleaner(store, clock, lifecycle.Retention{}, 10).Clean(t.Context())
			if session.KindOf(err) != session.KindUnavailable || got != (lifecycle.Cleaned{}) {
				t.Errorf("Clean = %+v, %v", got, err)
			}
		})
	}
}

func TestCleaner_Clean(t *testing.T) {
	t.Parallel()
	retention := lifecycle.Retention{Ended: 30 * day, Activity: 90 * day, SignIns: 400 * day}
	ended, activity, signIns := noon.Add(-30*day), noon.Add(-90*day), noon.Add(-400*day)
	setup := func(t *testing.T) (*portmock.MockSessionCleaner, *lifecycle.Cleaner) {
		t.Helper()
		ctrl := gomock.NewController(t)
		store, clock := newCleanerStore(ctrl), portmock.NewMockClock(ctrl)
		clock.EXPECT().Now().Return(noon.Add(-time.Second)).AnyTimes()
		store.MockStoreProbe.EXPECT().Now(gomock.Any()).Return(noon, nil).AnyTimes()
		return store.MockSessionCleaner, lifecycle.NewCleaner(store, clock, retention, 10)
	}
	t.Run("UntilABatchIsNotFull", func(t *testing.T) {
		t.Parallel()
		store, cleaner := setup(t)
		gomock.InOrder(
			store.EXPECT().ExpireDue(gomock.Any(), noon, 10).Return(10, nil),
			store.EXPECT().ExpireDue(gomock.Any(), noon, 10).Return(3, nil),
			store.EXPECT().PurgeEnded(gomock.Any(), ended, 10).Return(10, nil),
			store.EXPECT().PurgeEnded(gomock.Any(), ended, 10).Return(0, nil),
			store.EXPECT().PurgeActivity(gomock.Any(), activity, 10).Return(10, nil),
			store.EXPECT().PurgeActivity(gomock.Any(), activity, 10).Return(9, nil),
			store.EXPECT().PurgeSignIns(gomock.Any(), signIns, 10).Return(10, nil),
			store.EXPECT().PurgeSignIns(gomock.Any(), signIns, 10).Return(1, nil),
		)
		if got, err := cleaner.Clean(t.Context()); err != nil || got != (lifecycle.Cleaned{Expired: 13, Purged: 10, Activity: 19, SignIns: 11}) {
			t.Errorf("Clean = %+v, %v", got, err)
		}
	})
	// What was done before a failure counts, and nothing is begun after it.
	for name, c := range map[string]struct {
		steps int // that go well
		want  lifecycle.Cleaned
	}{
		"ExpiringFails":        {0, lifecycle.Cleaned{Expired: 11}},
		"PurgingFails":         {1, lifecycle.Cleaned{Expired: 1, Purged: 11}},
		"PurgingActivityFails": {2, lifecycle.Cleaned{Expired: 1, Purged: 1, Activity: 11}},
		"PurgingSignInsFails":  {3, lifecycle.Cleaned{Expired: 1, Purged: 1, Activity: 1, SignIns: 11}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, cleaner := setup(t)
			calls := []func(n int, err error) *gomock.Call{
				func(n int, err error) *gomock.Call {
					return store.EXPECT().ExpireDue(gomock.Any(), noon, 10).Return(n, err).Call
				},
				func(n int, err error) *gomock.Call {
					return store.EXPECT().PurgeEnded(gomock.Any(), ended, 10).Return(n, err).Call
				},
				func(n int, err error) *gomock.Call {
					return store.EXPECT().PurgeActivity(gomock.Any(), activity, 10).Return(n, err).Call
				},
				func(n int, err error) *gomock.Call {
					return store.EXPECT().PurgeSignIns(gomock.Any(), signIns, 10).Return(n, err).Call
				},
			}
			for _, call := range calls[:c.steps] {
				call(1, nil)
			}
			gomock.InOrder(calls[c.steps](10, nil), calls[c.steps](1, errDown))
			if got, err := cleaner.Clean(t.Context()); !errors.Is(err, errDown) || got != c.want {
				t.Errorf("Clean = %+v, %v", got, err)
			}
		})
	}
}

func TestReadiness_Ready(t *testing.T) {
	t.Parallel()
	limit := session.MaxClockSkew
	cases := map[string]struct {
		store  time.Time
		took   time.Duration
		answer error
		reason session.Reason
	}{
		"SameTime":              {noon, 0, nil, ""},
		"StoreJustWithinBehind": {noon.Add(-limit), 0, nil, ""},
		"StoreBehind":           {noon.Add(-limit - us), 0, nil, session.ReasonClock},
		"StoreJustWithinAhead":  {noon.Add(limit), 0, nil, ""},
		"StoreAhead":            {noon.Add(limit + us), 0, nil, session.ReasonClock},
		"ASlowAnswerIsNoSkew":   {noon.Add(8 * time.Second), 9 * time.Second, nil, ""},
		"StoreDown":             {time.Time{}, 0, errDown, session.ReasonStore},
		"StoreOdd":              {time.Time{}, 0, errors.New("a bug"), session.ReasonStore},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctrl := gomock.NewController(t)
			store, clock := portmock.NewMockStoreProbe(ctrl), portmock.NewMockClock(ctrl)
			clock.EXPECT().Now().Return(noon)
			clock.EXPECT().Now().Return(noon.Add(c.took)).AnyTimes()
			store.EXPECT().Now(gomock.Any()).Return(c.store, c.answer)
			well, ill := portmock.NewMockDegradable(ctrl), portmock.NewMockDegradable(ctrl)
			well.EXPECT().Degraded().Return("").AnyTimes()
			ill.EXPECT().Degraded().Return("no Redis").AnyTimes()
			degraded, err := lifecycle.NewReadiness(store, clock, well, ill).Ready(t.Context())
			if (err == nil) != slices.Equal(degraded, []string{"no Redis"}) {
				t.Errorf("degraded are %q", degraded)
			}
			if session.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") || (err != nil && session.KindOf(err) != session.KindUnavailable) {
				t.Errorf("Ready = %v, want the reason %q", err, c.reason)
			}
		})
	}
}

// However many ask, the store is probed once at a time and once a second, for
// all of them; who gives up ends nobody else's probe.
func TestReadiness_ProbesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctrl := gomock.NewController(t)
		store, clock := portmock.NewMockStoreProbe(ctrl), portmock.NewMockClock(ctrl)
		clock.EXPECT().Now().DoAndReturn(time.Now).AnyTimes()
		probes := 0
		var answer error
		store.EXPECT().Now(gomock.Any()).DoAndReturn(func(ctx context.Context) (time.Time, error) {
			probes++
			select {
			case <-ctx.Done():
				return time.Time{}, session.Wrap(session.KindUnavailable, ctx.Err())
			case <-time.After(100 * time.Millisecond):
				return time.Now(), answer
			}
		}).AnyTimes()
		ready := lifecycle.NewReadiness(store, clock)
		// asks lets so many ask at once and wants one answer for all.
		asks := func(want error, probed int) {
			t.Helper()
			said := make(chan error, 100)
			for range 100 {
				go func() { _, err := ready.Ready(t.Context()); said <- err }()
			}
			for range 100 {
				if err := <-said; !errors.Is(err, want) {
					t.Errorf("Ready = %v, want %v", err, want)
				}
			}
			if probes != probed {
				t.Errorf("%d probes, want %d", probes, probed)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		go func() { _, _ = ready.Ready(gone) }()
		synctest.Wait()
		cancel()
		if _, err := ready.Ready(gone); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("who gave up was told %v", err)
		}
		asks(nil, 1)
		answer = errDown
		<-time.After(899 * time.Millisecond)
		asks(nil, 1)
		<-time.After(time.Millisecond)
		asks(errDown, 2)
		answer = nil
		asks(errDown, 2) // a no is remembered, too
		<-time.After(time.Second)
		asks(nil, 3)
	})
}

// One that is about to stop asks nobody, and says no.
func TestReadiness_Drain(t *testing.T) {
	t.Parallel()
	ctrl := gomock.NewController(t)
	ready := lifecycle.NewReadiness(portmock.NewMockStoreProbe(ctrl), portmock.NewMockClock(ctrl))
	if ready.Draining() {
		t.Error("it drains before it is told to")
	}
	ready.Drain()
	if !ready.Draining() {
		t.Error("it does not drain")
	}
	if _, err := ready.Ready(t.Context()); session.KindOf(err) != session.KindUnavailable || session.ReasonOf(err) != session.ReasonStopping {
		t.Errorf("Ready = %v", err)
	}
}

// Callers get three times as much of the store as the clean-up does, whatever
// becomes of the clock.
func TestCleaner_Rests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ set, rests time.Duration }{
		"ThriceABatch":    {0, 6 * time.Second},
		"ClockSetForward": {time.Hour, time.Minute},
		"ClockSetBack":    {-time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { cleanerRests(t, c.set, c.rests) })
		})
	}
}

// cleanerRests lets the clock be set by so much in each batch.
func cleanerRests(t *testing.T, by, rests time.Duration) {
	t.Helper()
	ctrl := gomock.NewController(t)
	store, clock := newCleanerStore(ctrl), portmock.NewMockClock(ctrl)
	store.MockStoreProbe.EXPECT().Now(gomock.Any()).Return(time.Now(), nil)
	var set time.Duration
	clock.EXPECT().Now().DoAndReturn(func() time.Time { return time.Now().Add(set) }).AnyTimes()
	left := []int{10, 10, 3}
	store.EXPECT().ExpireDue(gomock.Any(), gomock.Any(), 10).DoAndReturn(func(context.Context, time.Time, int) (int, error) {
		<-time.After(time.Second)
		set += by
		n := left[0]
		left = left[1:]
		return n, nil
	}).Times(3)
	store.EXPECT().PurgeEnded(gomock.Any(), gomock.Any(), 10).Return(0, nil)
	store.EXPECT().PurgeActivity(gomock.Any(), gomock.Any(), 10).Return(0, nil)
	store.EXPECT().PurgeSignIns(gomock.Any(), gomock.Any(), 10).Return(0, nil)
	began := time.Now()
	if _, err := lifecycle.NewCleaner(store, clock, lifecycle.Retention{}, 10).Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took != 3*time.Second+rests {
		t.Errorf("took %v, want 3 s of work and %v of rest", took, rests)
	}
}
