package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports/portmock"
)

// cleanerStore has the mocks of a CleanerStore.
type cleanerStore struct {
	*portmock.MockSessionCleaner
	*portmock.MockStoreProbe
}

func newCleanerStore(ctrl *gomock.Controller) cleanerStore {
	return cleanerStore{portmock.NewMockSessionCleaner(ctrl), portmock.NewMockStoreProbe(ctrl)}
}

// EXPECT records calls of the clean-up; both mocks have a method of this name.
func (s cleanerStore) EXPECT() *portmock.MockSessionCleanerMockRecorder {
	return s.MockSessionCleaner.EXPECT()
}

// A replica whose clock differs from the store's changes nothing.
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
	t.Run("UntilABatchIsShort", func(t *testing.T) {
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
	// Batches before a failure are counted; no batch follows it.
	for name, c := range map[string]struct {
		steps int // that succeed
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

// The pauses are three times as long as the batches, and bounded when the clock
// is set.
func TestCleaner_Clean_Pauses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ set, rests time.Duration }{
		"ThreeBatches":    {0, 6 * time.Second},
		"ClockSetForward": {time.Hour, time.Minute},
		"ClockSetBack":    {-time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { cleanerPauses(t, c.set, c.rests) })
		})
	}
}

// cleanerPauses sets the clock by this much during each batch and checks the
// pauses.
func cleanerPauses(t *testing.T, by, rests time.Duration) {
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
		t.Errorf("took %v, want 3 s of batches and %v of pauses", took, rests)
	}
}
