package lifecycle_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports/portmock"
)

func TestCleaner_Clean(t *testing.T) {
	t.Parallel()
	const retention = 30 * 24 * time.Hour
	setup := func(t *testing.T) (*portmock.MockSessionCleaner, *lifecycle.Cleaner) {
		t.Helper()
		ctrl := gomock.NewController(t)
		store, clock := portmock.NewMockSessionCleaner(ctrl), portmock.NewMockClock(ctrl)
		clock.EXPECT().Now().Return(noon)
		return store, lifecycle.NewCleaner(store, clock, retention, 10)
	}
	t.Run("UntilABatchIsNotFull", func(t *testing.T) {
		t.Parallel()
		store, cleaner := setup(t)
		gomock.InOrder(
			store.EXPECT().ExpireDue(gomock.Any(), noon, 10).Return(10, nil),
			store.EXPECT().ExpireDue(gomock.Any(), noon, 10).Return(3, nil),
			store.EXPECT().PurgeEnded(gomock.Any(), noon.Add(-retention), 10).Return(10, nil),
			store.EXPECT().PurgeEnded(gomock.Any(), noon.Add(-retention), 10).Return(0, nil),
		)
		if got, err := cleaner.Clean(t.Context()); err != nil || got != (lifecycle.Cleaned{Expired: 13, Purged: 10}) {
			t.Errorf("Clean = %+v, %v", got, err)
		}
	})
	t.Run("ExpiringFails", func(t *testing.T) {
		t.Parallel()
		store, cleaner := setup(t)
		gomock.InOrder(
			store.EXPECT().ExpireDue(gomock.Any(), noon, 10).Return(10, nil),
			store.EXPECT().ExpireDue(gomock.Any(), noon, 10).Return(0, errDown),
		)
		if got, err := cleaner.Clean(t.Context()); !errors.Is(err, errDown) || got.Expired != 10 {
			t.Errorf("Clean = %+v, %v", got, err)
		}
	})
	t.Run("PurgingFails", func(t *testing.T) {
		t.Parallel()
		store, cleaner := setup(t)
		store.EXPECT().ExpireDue(gomock.Any(), noon, 10).Return(1, nil)
		store.EXPECT().PurgeEnded(gomock.Any(), gomock.Any(), 10).Return(0, errDown)
		if got, err := cleaner.Clean(t.Context()); !errors.Is(err, errDown) || got.Expired != 1 {
			t.Errorf("Clean = %+v, %v", got, err)
		}
	})
}

func TestReadiness_Ready(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	limit := lifecycle.MaxClockSkew
	cases := map[string]struct {
		store  time.Time
		took   time.Duration
		answer error
		ready  bool
	}{
		"SameTime":              {noon, 0, nil, true},
		"StoreJustWithinBehind": {noon.Add(-limit), 0, nil, true},
		"StoreBehind":           {noon.Add(-limit - us), 0, nil, false},
		"StoreJustWithinAhead":  {noon.Add(limit), 0, nil, true},
		"StoreAhead":            {noon.Add(limit + us), 0, nil, false},
		"ASlowAnswerIsNoSkew":   {noon.Add(8 * time.Second), 9 * time.Second, nil, true},
		"StoreDown":             {time.Time{}, 0, errDown, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctrl := gomock.NewController(t)
			store, clock := portmock.NewMockStoreProbe(ctrl), portmock.NewMockClock(ctrl)
			clock.EXPECT().Now().Return(noon)
			clock.EXPECT().Now().Return(noon.Add(c.took)).AnyTimes()
			store.EXPECT().Now(gomock.Any()).Return(c.store, c.answer)
			err := lifecycle.NewReadiness(store, clock).Ready(t.Context())
			if c.ready != (err == nil) || (err != nil && session.KindOf(err) != session.KindUnavailable) {
				t.Errorf("Ready = %v, want ready %v", err, c.ready)
			}
		})
	}
}
