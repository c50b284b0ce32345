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

func TestReadiness_Ready(t *testing.T) {
	t.Parallel()
	limit := session.MaxClockSkew
	cases := map[string]struct {
		store  time.Time
		took   time.Duration
		answer error
		reason session.Reason
	}{
		"SameTime":                {noon, 0, nil, ""},
		"StoreJustWithinBehind":   {noon.Add(-limit), 0, nil, ""},
		"StoreBehind":             {noon.Add(-limit - us), 0, nil, session.ReasonClock},
		"StoreJustWithinAhead":    {noon.Add(limit), 0, nil, ""},
		"StoreAhead":              {noon.Add(limit + us), 0, nil, session.ReasonClock},
		"SlowAnswer":              {noon.Add(8 * time.Second), 9 * time.Second, nil, ""},
		"StoreDown":               {time.Time{}, 0, errDown, session.ReasonStore},
		"StoreFailsWithoutReason": {time.Time{}, 0, errors.New("a bug"), session.ReasonStore},
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
				t.Errorf("degraded %q", degraded)
			}
			if session.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") || (err != nil && session.KindOf(err) != session.KindUnavailable) {
				t.Errorf("Ready = %v, want the reason %q", err, c.reason)
			}
		})
	}
}

// The store is probed once a second and once at a time, for all callers
// together. A caller that gives up does not end the probe.
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
		// asks calls Ready this often at once, and wants the same answer for all.
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
				t.Errorf("probed %d times, want %d", probes, probed)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		go func() { _, _ = ready.Ready(gone) }()
		synctest.Wait()
		cancel()
		if _, err := ready.Ready(gone); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("the caller that gave up got %v", err)
		}
		asks(nil, 1)
		answer = errDown
		<-time.After(899 * time.Millisecond)
		asks(nil, 1)
		<-time.After(time.Millisecond)
		asks(errDown, 2)
		answer = nil
		asks(errDown, 2) // an error is reused, too
		<-time.After(time.Second)
		asks(nil, 3)
	})
}

// A draining replica is not ready, and does not probe the store.
func TestReadiness_Drain(t *testing.T) {
	t.Parallel()
	ctrl := gomock.NewController(t)
	ready := lifecycle.NewReadiness(portmock.NewMockStoreProbe(ctrl), portmock.NewMockClock(ctrl))
	if ready.Draining() {
		t.Error("draining before Drain")
	}
	ready.Drain()
	if !ready.Draining() {
		t.Error("not draining after Drain")
	}
	if _, err := ready.Ready(t.Context()); session.KindOf(err) != session.KindUnavailable || session.ReasonOf(err) != session.ReasonStopping {
		t.Errorf("Ready = %v", err)
	}
}
