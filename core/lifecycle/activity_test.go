package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports/portmock"
)

// numbered is a session that was last active at noon.
func numbered(n int) session.Session {
	return session.Restore(session.Stored{ID: fmt.Sprintf("0194f3a0-0000-7000-8000-%012d", n), Status: session.StatusActive, LastActivityAt: noon})
}

// touches is a store that keeps what it was told.
type touches struct {
	*portmock.MockActivityStore
	written map[session.ID]time.Time
	batches []int
	fails   error
}

func newTouches(t *testing.T) *touches {
	t.Helper()
	s := &touches{MockActivityStore: portmock.NewMockActivityStore(gomock.NewController(t)), written: map[session.ID]time.Time{}}
	s.EXPECT().Touch(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, seen map[session.ID]time.Time) error {
		if s.fails != nil {
			return s.fails
		}
		s.batches = append(s.batches, len(seen))
		maps.Copy(s.written, seen)
		return nil
	}).AnyTimes()
	return s
}

func flush(t *testing.T, a *lifecycle.Activity) {
	t.Helper()
	if err := a.Flush(t.Context()); err != nil {
		t.Fatalf("Flush = %v", err)
	}
}

func TestActivity_See(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	for name, test := range map[string]struct {
		after   time.Duration
		written bool
	}{
		"WithinTheResolution": {time.Minute - us, false},
		"AtTheResolution":     {time.Minute, true},
		"BeforeItsOwnTime":    {-time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newTouches(t)
			a := lifecycle.NewActivity(store, time.Minute)
			a.See(numbered(1), noon.Add(test.after))
			flush(t, a)
			if at, written := store.written[numbered(1).ID()]; written != test.written || (written && !at.Equal(noon.Add(test.after))) {
				t.Errorf("written is %v", store.written)
			}
		})
	}
}

// However often a session is seen, it is written once; what was written is not
// written again; nothing is written when nothing was seen.
func TestActivity_WritesOnce(t *testing.T) {
	t.Parallel()
	store := newTouches(t)
	a := lifecycle.NewActivity(store, time.Minute)
	var group sync.WaitGroup
	for n := range 64 {
		group.Go(func() { a.See(numbered(n%2), noon.Add(time.Hour)) })
	}
	group.Wait()
	flush(t, a)
	flush(t, a)
	if fmt.Sprint(store.batches) != "[2]" {
		t.Errorf("batches of %v", store.batches)
	}
}

func TestActivity_Flush_InBatches(t *testing.T) {
	t.Parallel()
	store := newTouches(t)
	a := lifecycle.NewActivity(store, time.Minute)
	for n := range 2500 {
		a.See(numbered(n), noon.Add(time.Hour))
	}
	flush(t, a)
	if fmt.Sprint(store.batches) != "[1000 1000 500]" || len(store.written) != 2500 {
		t.Errorf("batches of %v", store.batches)
	}
}

// What could not be written is kept, but for what was seen anew.
func TestActivity_Flush_StoreDown(t *testing.T) {
	t.Parallel()
	store := newTouches(t)
	a := lifecycle.NewActivity(store, time.Minute)
	for n := range 1500 {
		a.See(numbered(n), noon.Add(time.Hour))
	}
	store.fails = errDown
	if err := a.Flush(t.Context()); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Flush = %v", err)
	}
	store.fails = nil
	flush(t, a)
	if len(store.written) != 1500 {
		t.Errorf("%d of 1500 are written", len(store.written))
	}
}

// What waits is bounded.
func TestActivity_Bounded(t *testing.T) {
	t.Parallel()
	store := newTouches(t)
	a := lifecycle.NewActivity(store, time.Minute)
	for n := range 100_001 {
		a.See(numbered(n), noon.Add(time.Hour))
	}
	store.fails = errDown
	_ = a.Flush(t.Context())
	a.See(numbered(200_000), noon.Add(time.Hour)) // there is no room
	store.fails = nil
	flush(t, a)
	if len(store.written) != 100_000 {
		t.Errorf("%d are written", len(store.written))
	}
}

// Opening again notes the session's use, without a write of its own.
func TestOpener_Open_NotesActivity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	current := phoneSession(20*time.Hour, "old")
	b.finds(phoneSlot, current)
	b.open(t, onPhone)
	b.touched.EXPECT().Touch(gomock.Any(), map[session.ID]time.Time{current.ID(): noon}).Return(nil)
	flush(t, b.activity)
}
