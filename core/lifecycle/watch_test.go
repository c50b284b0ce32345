package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

// shelf is an in-memory store of sessions that counts its reads.
type shelf struct {
	mu      sync.Mutex
	all     map[session.ID]session.Session
	reads   []time.Time
	fails   error
	hangs   bool
	blocked map[session.Holder]bool
}

// block blocks a sign-in.
func (s *shelf) block(holder session.Holder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked[holder] = true
}

// refuses returns KindSignedOut instead of err for a blocked sign-in.
func (s *shelf) refuses(by session.Bearer, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocked[by.Holder] && (err == nil || errors.Is(err, session.KindNotFound)) {
		return session.Wrap(session.KindSignedOut, errBug)
	}
	return err
}

func (s *shelf) put(one session.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[one.ID()] = one
}

func (s *shelf) is(fails error, hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails, s.hangs = fails, hangs
}

// count returns the number of reads since the last call.
func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.reads)
	s.reads = nil
	return n
}

func (s *shelf) find(ctx context.Context, matches func(session.Session) bool) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, time.Now())
	if s.hangs {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return session.Session{}, session.Wrap(session.KindUnavailable, ctx.Err())
	}
	for _, one := range s.all {
		if s.fails == nil && matches(one) {
			return one, nil
		}
	}
	if s.fails != nil {
		return session.Session{}, s.fails
	}
	return session.Session{}, session.KindNotFound
}

// theatre is a Watcher in a synctest bubble, on the bubble's clock.
type theatre struct {
	*lifecycle.Watcher
	shelf  *shelf
	news   *lifecycle.Announcer
	policy session.Policy
}

func newTheatre(t *testing.T, relay ports.Relay, limits lifecycle.WatchLimits) *theatre {
	t.Helper()
	ctrl := gomock.NewController(t)
	store, secrets, clock := portmock.NewMockSessionStore(ctrl), portmock.NewMockSecretFinder(ctrl), portmock.NewMockClock(ctrl)
	s := &shelf{all: map[session.ID]session.Session{}, blocked: map[session.Holder]bool{}}
	clock.EXPECT().Now().DoAndReturn(func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }).AnyTimes()
	store.EXPECT().FindByID(gomock.Any(), gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(func(ctx context.Context, owner session.UserID, id session.ID, by session.Bearer) (session.Session, error) {
		found, err := s.find(ctx, func(one session.Session) bool { return one.ID() == id && one.User() == owner })
		return found, s.refuses(by, err)
	}).AnyTimes()
	secrets.EXPECT().FindByToken(gomock.Any(), gomock.Any()).DoAndReturn(func(ctx context.Context, hash session.TokenHash) (session.Session, error) {
		found, err := s.find(ctx, func(one session.Session) bool {
			previous, _ := one.Previous()
			return one.Status() == session.StatusActive && (hash == one.Credential().Hash || hash == previous)
		})
		return found.Outline(), err
	}).AnyTimes()
	news := lifecycle.NewAnnouncer(relay, func(error) {})
	policy := session.DefaultPolicy()
	return &theatre{
		Watcher: lifecycle.NewWatcher(lifecycle.Deps{Store: store, Secrets: secrets, Clock: clock, Policy: policy}, news, limits),
		shelf:   s, news: news, policy: policy,
	}
}

// now returns a session that was just created, with oldToken.
func now(id string, more ...with) session.Session {
	return active(id, append([]with{func(s *session.Stored) {
		s.CreatedAt, s.LastActivityAt, s.ExpiresAt = time.Now(), time.Now(), time.Now().Add(day)
	}}, more...)...)
}

// spectator watches a session and collects its events.
type spectator struct {
	ports.Watch
	mu    sync.Mutex
	heard []string
	ended error
}

// watch opens a stream and reads it until ctx ends.
func (th *theatre) watch(t *testing.T, ctx context.Context, request ports.WatchRequest) *spectator { //nolint:revive // the test comes first
	t.Helper()
	return th.watchAs(t, ctx, caller, request)
}

// watchAs is watch for another caller.
func (th *theatre) watchAs(t *testing.T, ctx context.Context, caller access.Caller, request ports.WatchRequest) *spectator { //nolint:revive // the test comes first
	t.Helper()
	watch, err := th.Watch(ctx, caller, request)
	if err != nil {
		t.Fatalf("Watch = %v", err)
	}
	s := &spectator{Watch: watch}
	t.Cleanup(watch.Close)
	go s.listen(ctx)
	synctest.Wait()
	return s
}

func (s *spectator) listen(ctx context.Context) {
	for {
		event, err := s.Next(ctx)
		s.mu.Lock()
		if err != nil {
			s.ended = err
			s.mu.Unlock()
			return
		}
		s.heard = append(s.heard, strings.TrimSuffix(fmt.Sprintf("%s %s %s", event.Type, event.Session.ID(), event.Reason), " "))
		s.mu.Unlock()
		if event.Type.Ends() {
			return
		}
	}
}

// hears returns the events since the last call.
func (s *spectator) hears() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Join(s.heard, ", ")
	s.heard = nil
	return text
}

func (s *spectator) expects(t *testing.T, want string) {
	t.Helper()
	if got := s.hears(); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func byID(text string) ports.WatchRequest { return ports.WatchRequest{Session: id(text)} }

// few returns limits of a few streams, which poll once a minute.
func few() lifecycle.WatchLimits {
	return lifecycle.WatchLimits{Total: 3, PerUser: 2, PollInterval: time.Minute}
}

// rotate gives the session newToken.
func rotate(s session.Session) session.Session {
	s.Rotate(session.Credential{Hash: newToken.Hash()}, time.Now(), time.Now().Add(day), time.Now().Add(30*time.Second))
	return s
}

// An announced change is read from the store at once, and is an event only if
// the session differs, however often it is announced.
func TestWatch_Announced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		th.shelf.put(now("a"))
		th.shelf.put(now("b"))
		a, b := th.watch(t, t.Context(), byID("a")), th.watch(t, t.Context(), byID("b"))
		began := time.Now()
		th.news.Announce(id("a"), id("a"), id("unknown"))
		a.expects(t, "")
		th.shelf.put(rotate(now("a")))
		a.expects(t, "")
		th.news.Announce(id("a"))
		th.news.Announce(id("a"))
		a.expects(t, "refreshed a")
		ended := rotate(now("a"))
		ended.Revoke(session.EndAdmin, time.Now())
		th.shelf.put(ended)
		th.news.Announce(id("b"))
		a.expects(t, "")
		th.news.Announce(id("a"))
		a.expects(t, "revoked a admin")
		b.expects(t, "")
		if took := time.Since(began); took != 0 {
			t.Errorf("took %s", took)
		}
		if a.Known() != "over.a" {
			t.Errorf("Known = %s", a.Known())
		}
	})
}

// Without any announcement, a change is found by polling within minutes, with
// few reads.
func TestWatch_Unannounced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		th.shelf.put(now("a"))
		a := th.watch(t, t.Context(), byID("a"))
		th.shelf.count()
		pass(time.Hour)
		if n := th.shelf.count(); n < 45 || n > 80 {
			t.Errorf("the store was read %d times in an hour", n)
		}
		th.shelf.put(rotate(now("a")))
		pass(76 * time.Second)
		a.expects(t, "refreshed a")
	})
}

// Events that time alone brings arrive in time, without an announcement.
func TestWatch_Expiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := few()
		streams.PollInterval = 10 * day
		th := newTheatre(t, nil, streams)
		th.shelf.put(now("a"))
		a := th.watch(t, t.Context(), byID("a"))
		pass(day - 5*time.Minute)
		a.expects(t, "")
		pass(us)
		a.expects(t, "expiring a")
		pass(5*time.Minute - 2*us)
		a.expects(t, "")
		// It is refreshed just before its expiry, without an announcement.
		th.shelf.put(rotate(now("a")))
		pass(us)
		a.expects(t, "refreshed a")
		pass(day - 6*time.Minute)
		a.expects(t, "")
		pass(6 * time.Minute)
		a.expects(t, "expiring a, expired a")
	})
}

// A client that resumes gets the events that it missed, and none twice, however
// it names its session.
func TestWatch_Resumes(t *testing.T) {
	t.Parallel()
	revoked := func(s session.Session) session.Session { s.Revoke(session.EndUser, time.Now()); return s }
	same := func(s session.Session) session.Session { return s }
	away := func(s session.Session) session.Session {
		s.Move(device("laptop"), signIn, session.Credential{Hash: newToken.Hash()}, atHome, time.Now())
		return s
	}
	request := func(token session.Token, id session.ID) func(string) ports.WatchRequest {
		return func(last string) ports.WatchRequest {
			text := token.Reveal()
			return ports.WatchRequest{Token: text, Session: id, Last: last}
		}
	}
	named := request(session.Token{}, id("a"))
	for name, c := range map[string]struct {
		meanwhile func(session.Session) session.Session
		names     func(last string) ports.WatchRequest
		knows     bool // its last event
		hears     string
	}{
		"Nothing":             {same, named, true, ""},
		"Refreshed":           {rotate, named, true, "refreshed a"},
		"Revoked":             {revoked, named, true, "revoked a user"},
		"MovedAway":           {away, named, true, "revoked a transferred"},
		"KnowsNothing":        {rotate, named, false, ""},
		"ByToken":             {rotate, request(newToken, session.ID{}), true, ""},
		"BySuperseded":        {rotate, request(oldToken, session.ID{}), true, "refreshed a"},
		"BySupersededAnew":    {rotate, request(oldToken, session.ID{}), false, "refreshed a"},
		"ByTokenAnew":         {same, request(oldToken, id("unknown")), false, ""},
		"ByTokenOfEnded":      {revoked, request(oldToken, session.ID{}), true, "revoked a user"},
		"ByTokenOfMovedAway":  {away, request(oldToken, session.ID{}), true, "revoked a transferred"},
		"ByTokenOfLongBefore": {func(s session.Session) session.Session { return rotate(rotate(s)) }, request(oldToken, session.ID{}), true, "refreshed a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				th := newTheatre(t, nil, few())
				th.shelf.put(now("a"))
				ctx, cancel := context.WithCancel(t.Context())
				left := th.watch(t, ctx, byID("a"))
				cancel()
				synctest.Wait()
				if !errors.Is(left.ended, context.Canceled) || left.hears() != "" {
					t.Errorf("the stream ended with %v", left.ended)
				}
				left.Close()
				th.shelf.put(c.meanwhile(now("a")))
				last := map[bool]string{true: left.Known(), false: "a last one that is none"}[c.knows]
				back := th.watch(t, t.Context(), c.names(last))
				back.expects(t, c.hears)
				again, err := th.Watch(t.Context(), caller, c.names(back.Known()))
				if over := strings.HasPrefix(c.hears, "revoked"); errors.Is(err, session.KindNotFound) != over {
					t.Errorf("resuming again: %v", err)
				} else if !over {
					t.Cleanup(again.Close)
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					if event, err := again.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got an event twice: %v, %v", event.Type, err)
					}
				}
			})
		})
	}
}

// A client that resumes is not warned twice of the same expiry.
func TestWatch_Resumes_Warned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		th.shelf.put(now("a", func(s *session.Stored) { s.ExpiresAt = time.Now().Add(time.Minute) }))
		first := th.watch(t, t.Context(), byID("a"))
		first.expects(t, "expiring a")
		second := th.watch(t, t.Context(), ports.WatchRequest{Session: id("a"), Last: first.Known()})
		second.expects(t, "")
		pass(time.Minute + us)
		second.expects(t, "expired a")
	})
}

// A session that does not exist or is another user's cannot be watched, and a
// last event of another session is ignored.
func TestWatcher_Watch_Refuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		theirs := func(s *session.Stored) { s.User, s.Credential.Hash = "user_2", newToken.Hash() }
		past := func(s *session.Stored) { s.ExpiresAt, s.Credential.Hash = time.Now(), session.TokenHash{7} }
		th.shelf.put(now("mine"))
		th.shelf.put(now("theirs", theirs))
		th.shelf.put(now("past", past))
		th.shelf.put(now("ended", signedOut))
		mine := now("mine").Known().String()
		for name, request := range map[string]ports.WatchRequest{
			"Unknown":        byID("unknown"),
			"Theirs":         byID("theirs"),
			"TheirToken":     {Token: newToken.Reveal()},
			"NoToken":        {Token: "x"},
			"Expired":        byID("past"),
			"Ended":          byID("ended"),
			"EndedAndOther":  {Session: id("ended"), Last: mine},
			"EndedAndKnown":  {Session: id("ended"), Last: "over.ended"},
			"UnknownAndLast": {Session: id("unknown"), Last: mine},
			"LastOfTheirs":   {Token: "x", Last: now("theirs", theirs).Known().String()},
		} {
			_, err := th.Watch(t.Context(), caller, request)
			if !errors.Is(err, session.KindNotFound) {
				t.Errorf("%s: Watch = %v", name, err)
			}
			hides(t, err)
		}
		th.shelf.is(errDown, false)
		for _, request := range []ports.WatchRequest{byID("mine"), {Token: oldToken.Reveal(), Last: mine}} {
			if _, err := th.Watch(t.Context(), caller, request); !errors.Is(err, session.KindUnavailable) {
				t.Errorf("Watch = %v", err)
			}
		}
	})
}

// Streams are limited per user and in total. Closing one, also repeatedly,
// makes room for one.
func TestWatcher_Watch_Bounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		th.shelf.put(now("a"))
		th.shelf.put(now("theirs", func(s *session.Stored) { s.User = "user_2" }))
		theirs := access.Caller{Bearer: session.Bearer{User: stranger, Holder: session.Holder{SignIn: signInID("sess_9")}}}
		begin := func(caller access.Caller, name string, want error) ports.Watch {
			t.Helper()
			watch, err := th.Watch(t.Context(), caller, byID(name))
			if !errors.Is(err, want) {
				t.Fatalf("Watch = %v, want %v", err, want)
			}
			return watch
		}
		for range 3 {
			one, two := begin(caller, "a", nil), begin(caller, "a", nil)
			begin(caller, "a", session.KindRateLimited)
			third := begin(theirs, "theirs", nil)
			begin(theirs, "theirs", session.KindOverloaded)
			for _, watch := range []ports.Watch{one, two, third, one} {
				watch.Close()
			}
		}
	})
}

// docs/events.md states the default limits.
func TestDefaultWatchLimits_Documented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	sentence := regexp.MustCompile(`allows (\d+) streams for each user \(429 beyond that\) and ([\d,]+) in total \(503\)`)
	found := sentence.FindSubmatch(page)
	if found == nil {
		t.Fatal("docs/events.md does not state the limits")
	}
	promised := fmt.Sprintf("%s %s", found[1], bytes.ReplaceAll(found[2], []byte(","), nil))
	streams := lifecycle.DefaultWatchLimits()
	if got := fmt.Sprint(streams.PerUser, streams.Total); got != promised {
		t.Errorf("the limits per user and in total are %s, but docs/events.md says %s", got, promised)
	}
}

// By default, a user may have 20 streams.
func TestDefaultWatchLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, lifecycle.DefaultWatchLimits())
		th.shelf.put(now("a"))
		for range 20 {
			th.watch(t, t.Context(), byID("a"))
		}
		if _, err := th.Watch(t.Context(), caller, byID("a")); !errors.Is(err, session.KindRateLimited) {
			t.Errorf("Watch = %v", err)
		}
	})
}

// A stream reads again soon while the store fails or hangs, and returns what
// happened once it answers. An error that is a bug ends it.
func TestWatch_StoreFails(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]bool{"Fails": false, "Hangs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				th := newTheatre(t, nil, few())
				th.shelf.put(now("a"))
				a := th.watch(t, t.Context(), byID("a"))
				th.shelf.is(errDown, hangs)
				th.shelf.put(rotate(now("a")))
				th.news.Announce(id("a"))
				pass(time.Minute)
				a.expects(t, "")
				if n := th.shelf.count(); n > 60 {
					t.Errorf("the store was read %d times in a minute", n)
				}
				th.shelf.is(nil, false)
				pass(10 * time.Second)
				a.expects(t, "refreshed a")
				th.shelf.is(errBug, false)
				th.news.Announce(id("a"))
				if a.expects(t, ""); !errors.Is(a.ended, errBug) {
					t.Errorf("the stream ended with %v", a.ended)
				}
			})
		})
	}
}

// However small a stream's jitter, it waits before it reads a failing store
// again.
func TestWatch_StoreFails_SmallJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		th.shelf.put(now("a"))
		const fibonacci = 10_946 // among the multiples of the ratio up to here, this one has the smallest jitter
		for range fibonacci - 1 {
			watch, err := th.Watch(t.Context(), caller, byID("a"))
			if err != nil {
				t.Fatal(err)
			}
			watch.Close()
		}
		th.watch(t, t.Context(), byID("a"))
		th.shelf.is(errDown, false)
		th.news.Announce(id("a"))
		th.shelf.count()
		pass(time.Minute)
		if n := th.shelf.count(); n < 8 || n > 20 {
			t.Errorf("the store was read %d times in a minute", n)
		}
	})
}

// A Next that gives up during a read loses no event.
func TestWatch_Next_GivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		th.shelf.put(now("a"))
		watch, err := th.Watch(t.Context(), caller, byID("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Close()
		th.shelf.put(rotate(now("a")))
		th.shelf.is(nil, true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := watch.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next = %v", err)
		}
		th.shelf.is(nil, false)
		began := time.Now()
		if event, err := watch.Next(t.Context()); err != nil || event.Type != session.EventRefreshed || time.Since(began) != 0 {
			t.Errorf("after %s, Next = %v, %v", time.Since(began), event.Type, err)
		}
	})
}

// When the relay connects again, all streams read their sessions soon, spread
// over time, also when it connects again and again.
func TestWatch_Reconnected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		air := &ether{receivers: map[*receiver]struct{}{}}
		const many = 200
		th := newTheatre(t, relay{air}, lifecycle.WatchLimits{Total: many, PerUser: many, PollInterval: day})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { th.news.Run(ctx) })
		defer func() { cancel(); running.Wait() }()
		th.shelf.put(now("a"))
		for range many {
			th.watch(t, ctx, byID("a"))
		}
		pass(10 * time.Second)
		th.shelf.count()
		air.is(true, false, false)
		air.is(false, false, false)
		pass(10 * time.Second)
		most, perTick := 0, map[time.Time]int{}
		th.shelf.mu.Lock()
		for _, at := range th.shelf.reads {
			tick := at.Truncate(100 * time.Millisecond)
			perTick[tick]++
			most = max(most, perTick[tick])
		}
		th.shelf.mu.Unlock()
		if n := th.shelf.count(); n != many || most > many/20 {
			t.Errorf("the store was read %d times, %d of them within a tenth of a second", n, most)
		}
		for range 20 {
			air.is(true, false, false)
			air.is(false, false, false)
			pass(1500 * time.Millisecond)
		}
		if n := th.shelf.count(); n < 9*many || n > 20*many {
			t.Errorf("after connecting 20 times in half a minute, the store was read %d times", n)
		}
	})
}

// Streams that were opened together do not poll together.
func TestWatch_PollsApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 200
		th := newTheatre(t, nil, lifecycle.WatchLimits{Total: many, PerUser: many, PollInterval: time.Minute})
		th.shelf.put(now("a"))
		for range many {
			th.watch(t, t.Context(), byID("a"))
		}
		th.shelf.count()
		pass(30 * time.Second)
		if n := th.shelf.count(); n != 0 {
			t.Errorf("%d streams read within half a minute", n)
		}
		pass(45 * time.Second)
		perSecond := map[time.Time]int{}
		th.shelf.mu.Lock()
		defer th.shelf.mu.Unlock()
		for _, at := range th.shelf.reads {
			if perSecond[at.Truncate(time.Second)]++; perSecond[at.Truncate(time.Second)] > many/10 {
				t.Fatalf("more than %[2]d streams read in the second of %[1]s", at, many/10)
			}
		}
		if len(th.shelf.reads) != many {
			t.Errorf("%d streams read within a minute", len(th.shelf.reads))
		}
	})
}

// A blocked sign-in gets the event that its own session was revoked, and
// nothing after it. It gets nothing of another sign-in's session but the error.
func TestWatch_SignedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		th.shelf.put(now("mine"))
		th.shelf.put(now("hers", by("sess_2")))
		mine, hers := th.watch(t, t.Context(), byID("mine")), th.watch(t, t.Context(), byID("hers"))
		ended := now("mine")
		ended.Revoke(session.EndUser, time.Now())
		th.shelf.put(ended)
		th.shelf.put(rotate(now("hers", by("sess_2")))) // an event that the blocked sign-in must not get
		th.shelf.block(caller.Holder)
		th.news.Announce(id("mine"), id("hers"))
		mine.expects(t, "revoked mine user")
		hers.expects(t, "")
		if session.KindOf(hers.ended) != session.KindSignedOut || mine.ended != nil {
			t.Errorf("the streams ended with %v and %v", mine.ended, hers.ended)
		}
		for _, request := range []ports.WatchRequest{byID("hers"), byID("mine"), {Session: id("mine"), Last: now("mine").Known().String()}, byID("unknown")} {
			if _, err := th.Watch(t.Context(), caller, request); session.KindOf(err) != session.KindSignedOut {
				t.Errorf("Watch of a blocked sign-in = %v", err)
			}
		}
	})
}

// An actor watches only its own sessions, within the limits of the user.
func TestWatcher_Watch_Actor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, nil, few())
		th.shelf.put(now("mine"))
		th.shelf.put(now("acted", acted(agent), func(s *session.Stored) { s.Credential.Hash = newToken.Hash() }))
		for name, request := range map[string]ports.WatchRequest{
			"ByID":     byID("mine"),
			"ByToken":  {Token: oldToken.Reveal()},
			"GoesOn":   {Session: id("mine"), Last: now("mine").Known().String()},
			"NotThere": byID("unknown"),
		} {
			if _, err := th.Watch(t.Context(), as(agent), request); session.KindOf(err) != session.KindNotFound {
				t.Errorf("%s: Watch = %v", name, err)
			}
		}
		if _, err := th.Watch(t.Context(), as(support), byID("acted")); session.KindOf(err) != session.KindNotFound {
			t.Errorf("Watch of another actor = %v", err)
		}
		a, users := th.watchAs(t, t.Context(), as(agent), byID("acted")), th.watch(t, t.Context(), byID("acted"))
		ended := now("acted", acted(agent))
		ended.Revoke(session.EndUser, time.Now())
		th.shelf.put(ended)
		th.news.Announce(id("acted"))
		a.expects(t, "revoked acted user")
		users.expects(t, "revoked acted user")
	})
}
