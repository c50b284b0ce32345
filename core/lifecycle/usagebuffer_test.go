package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports/portmock"
)

// touches is a UsageBuffer on a store that keeps the batches.
type touches struct {
	*lifecycle.UsageBuffer
	now     time.Time
	batches [][]session.Use
	busy    []session.ID // in the next batch
	fails   error
	during  func() // runs during the next batch
}

func newTouches(t *testing.T) *touches {
	t.Helper()
	ctrl := gomock.NewController(t)
	store, clock := portmock.NewMockUsageStore(ctrl), portmock.NewMockClock(ctrl)
	s := &touches{now: noon}
	s.UsageBuffer = lifecycle.NewUsageBuffer(store, clock, time.Minute)
	clock.EXPECT().Now().DoAndReturn(func() time.Time { return s.now }).AnyTimes()
	store.EXPECT().Touch(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, uses []session.Use) ([]session.ID, error) {
		busy, during := s.busy, s.during
		s.busy, s.during = nil, nil
		if during != nil {
			during()
		}
		if s.fails != nil {
			return nil, s.fails
		}
		s.batches = append(s.batches, slices.DeleteFunc(slices.Clone(uses), func(use session.Use) bool { return slices.Contains(busy, use.Session) }))
		return busy, nil
	}).AnyTimes()
	return s
}

// flush flushes this long after noon and returns what was written: "id
// opens/checks@after noon".
func (s *touches) flush(t *testing.T, after time.Duration) string {
	t.Helper()
	s.now, s.batches = noon.Add(after), nil
	if err := s.Flush(t.Context()); err != nil {
		t.Fatalf("Flush = %v", err)
	}
	return s.written()
}

func (s *touches) written() string {
	var lines []string
	for _, use := range slices.Concat(s.batches...) {
		lines = append(lines, fmt.Sprintf("%s %d/%d@%s", use.Session, use.Opens, use.Checks, use.At.Sub(noon)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// checked adds a check of a session this long after noon. The session was read
// with its last activity at stored after noon.
func (s *touches) checked(id string, at, stored time.Duration) {
	s.Checked(session.Restore(session.Stored{ID: id, LastActivityAt: noon.Add(stored)}), noon.Add(at), atHome)
}

// check compares what was written.
func check(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

// A use is due by the time since its session was last written, not since the
// use: otherwise the last use before a pause would never be written.
func TestUsageBuffer_Flush_WhenDue(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	s.checked("a", time.Second, 0)
	check(t, s.flush(t, time.Minute-us), "")
	check(t, s.flush(t, time.Minute), "a 0/1@1s")
	check(t, s.flush(t, time.Hour), "")
	s.checked("b", 30*time.Second, -time.Hour)
	s.checked("ahead", 30*time.Second, time.Hour)
	check(t, s.flush(t, 30*time.Second), "b 0/1@30s")
}

// A use of a session that was read before or during a flush does not show what
// the flush wrote. It stays pending until it is due anyway.
func TestUsageBuffer_Flush_OnceInAResolution(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	s.checked("a", time.Minute, 0)
	s.during = func() { s.checked("a", time.Minute+us, 0) }
	check(t, s.flush(t, time.Minute), "a 0/1@1m0s")
	s.checked("a", time.Minute+time.Second, 0)
	check(t, s.flush(t, time.Minute+time.Second), "")
	check(t, s.flush(t, 2*time.Minute-us), "")
	check(t, s.flush(t, 2*time.Minute), "a 0/2@1m1s")
	s.checked("a", 2*time.Minute, time.Minute+time.Second) // read after it was written
	check(t, s.flush(t, 2*time.Minute), "")
	check(t, s.flush(t, 2*time.Minute+time.Second), "a 0/1@2m0s")
	// A session with a pending use is read again, written by another replica.
	s.checked("b", 0, -time.Hour)
	s.checked("b", time.Second, time.Second)
	check(t, s.flush(t, time.Minute), "")
	check(t, s.flush(t, time.Minute+time.Second), "b 0/2@1s")
	s.checked("c", 0, time.Second)
	s.checked("c", 0, -time.Hour) // read before the write
	check(t, s.flush(t, time.Minute), "")
}

func TestUsageBuffer_SumsUp(t *testing.T) {
	t.Parallel()
	address, client := session.Source{Address: atHome.Address}, session.Source{Client: thief().Client}
	for name, c := range map[string]struct {
		first, second session.Source // one second apart
		want          session.Source
	}{
		"TheLatestWins":        {atHome, thief(), thief()},
		"UnknownStays":         {atHome, session.Source{}, atHome},
		"TheFirstThatIsKnown":  {session.Source{}, atHome, atHome},
		"UnknownAddressFilled": {address, client, session.Source{Address: atHome.Address, Client: thief().Client}},
		"UnknownClientFilled":  {client, address, session.Source{Address: atHome.Address, Client: thief().Client}},
		"UnknownVerification":  {session.Source{}, session.Source{}, session.Source{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := func(s *touches) { s.Opened(active("a"), noon, c.first) }
			second := func(s *touches) { s.Checked(active("a"), noon.Add(time.Second), c.second) }
			for _, order := range [][]func(*touches){{first, second}, {second, first}} {
				s := newTouches(t)
				for _, use := range order {
					use(s)
				}
				check(t, s.flush(t, time.Hour), "a 1/1@1s")
				if got := s.batches[0][0].Source; got != c.want {
					t.Errorf("source %v, want %v", got, c.want)
				}
			}
		})
	}
}

// Concurrent uses of a session all count, and are written once.
func TestUsageBuffer_Concurrent(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	var group sync.WaitGroup
	for n := range 64 {
		group.Go(func() { s.checked(fmt.Sprint(n%2), 0, -time.Hour) })
	}
	group.Wait()
	check(t, s.flush(t, 0), "0 0/32@0s; 1 0/32@0s")
	check(t, s.flush(t, 0), "")
	if len(s.batches) != 0 {
		t.Error("the store was called with an empty batch")
	}
}

// A use of a busy session stays pending together with newer uses. It was not
// written, so it is due at once.
func TestUsageBuffer_Flush_Busy(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	s.checked("a", 0, -time.Hour)
	s.checked("b", 0, -time.Hour)
	s.busy = []session.ID{id("a")}
	s.during = func() { s.Opened(active("a"), noon.Add(time.Second), thief()) }
	check(t, s.flush(t, 0), "b 0/1@0s")
	check(t, s.flush(t, time.Second), "a 1/1@1s")
	if got := s.batches[0][0].Source; got != thief() {
		t.Errorf("from %v", got)
	}
	s.checked("c", 0, -time.Hour)
	s.busy = []session.ID{id("c")}
	check(t, s.flush(t, 0), "")
	s.checked("c", 0, -time.Hour) // read before the flush, used after
	check(t, s.flush(t, 0), "c 0/2@0s")
}

// Unwritten uses stay pending, and written ones are not written again.
func TestUsageBuffer_Flush_StoreDown(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	for n := range 2500 {
		s.checked(fmt.Sprint(n), 0, -time.Hour)
	}
	s.during = func() {
		s.during = func() { s.fails = errDown }
	}
	if err := s.Flush(t.Context()); !errors.Is(err, session.KindUnavailable) {
		t.Errorf("Flush = %v", err)
	}
	if len(s.batches) != 1 || len(s.batches[0]) != 1000 {
		t.Fatalf("%d batches succeeded", len(s.batches))
	}
	first := s.batches[0]
	s.fails = nil
	s.during = func() { s.checked(first[0].Session.String(), us, -time.Hour) }
	s.flush(t, 0)
	if len(s.batches) != 2 || len(s.batches[0]) != 1000 || len(s.batches[1]) != 500 {
		t.Errorf("%d batches, the first with %d uses", len(s.batches), len(s.batches[0]))
	}
	all := map[session.ID]bool{}
	for _, use := range slices.Concat(append(s.batches, first)...) {
		all[use.Session] = true
	}
	if len(all) != 2500 {
		t.Errorf("wrote %d of 2500", len(all))
	}
}

func TestUsageBuffer_FlushAll(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	s.checked("a", 0, 0)
	s.checked("b", 0, -time.Hour)
	if err := s.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, s.written(), "a 0/1@0s; b 0/1@0s")
}

// Many pending uses are written early.
func TestUsageBuffer_Flush_ManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	for n := range 49_999 {
		s.checked(fmt.Sprint(n), 0, 0)
	}
	check(t, s.flush(t, 0), "")
	s.checked("one-more", 0, 0)
	s.flush(t, 0)
	if len(s.batches) != 50 {
		t.Errorf("%d batches", len(s.batches))
	}
}

// The number of sessions with pending uses is bounded. Further uses of those
// sessions still count.
func TestUsageBuffer_Bounded(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	for n := range 100_001 {
		s.checked(fmt.Sprint(n), 0, 0)
	}
	s.checked("99999", time.Second, 0)
	s.fails = errDown
	if err := s.Flush(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("Flush = %v", err)
	}
	s.checked("200000", 0, 0) // dropped: the buffer is full
	s.fails = nil
	s.flush(t, 0)
	counts := map[string]int{}
	for _, use := range slices.Concat(s.batches...) {
		counts[use.Session.String()] += use.Checks
	}
	if len(counts) != 100_000 || counts["99999"] != 2 || counts["100000"] != 0 || counts["200000"] != 0 {
		t.Errorf("wrote %d sessions, a pending one with %d checks", len(counts), counts["99999"])
	}
}

// Exact returns the same last activity before, during and after the flush that
// writes it.
func TestUsageBuffer_Exact(t *testing.T) {
	t.Parallel()
	s := newTouches(t)
	shown := func() string {
		t.Helper()
		stored := func(id string) session.Session {
			return session.Restore(session.Stored{ID: id, Status: session.StatusActive, LastActivityAt: noon})
		}
		read := []session.Session{stored("a"), stored("b")}
		var lines []string
		for _, one := range s.Exact(read) {
			lines = append(lines, fmt.Sprintf("%s@%s", one.ID(), one.LastActivityAt().Sub(noon)))
		}
		if !read[0].LastActivityAt().Equal(noon) {
			t.Error("Exact changed its argument")
		}
		return strings.Join(lines, "; ")
	}
	check(t, shown(), "a@0s; b@0s")
	s.checked("a", 2*time.Second, 0)
	s.checked("b", -time.Second, -time.Hour) // older than stored
	check(t, shown(), "a@2s; b@0s")
	s.during = func() { check(t, shown(), "a@2s; b@0s") }
	check(t, s.flush(t, time.Hour), "a 0/1@2s; b 0/1@-1s")
	s.checked("a", 3*time.Second, 0) // read before the write
	check(t, shown(), "a@3s; b@0s")
}
