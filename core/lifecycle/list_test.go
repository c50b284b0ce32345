package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

func newLister(t *testing.T) (*bench, *portmock.MockActivityStore, *lifecycle.Lister) {
	t.Helper()
	b, activity := setup(t), portmock.NewMockActivityStore(gomock.NewController(t))
	return b, activity, lifecycle.NewLister(b.store, activity, b.deps.Clock, b.deps.Policy)
}

// listable returns the n-th of many sessions, each a minute older than the one
// before. The first has oldToken, the second has expired, and the third is
// expiring.
func listable(n int) session.Session {
	lives := []time.Duration{time.Hour, 0, 4 * time.Minute, time.Hour}[n]
	hash := func(s *session.Stored) { s.Credential.Hash = session.TokenHash{byte(n)} }
	if n == 0 {
		hash = func(*session.Stored) {}
	}
	return active(fmt.Sprint("s", n), age(time.Duration(n)*time.Minute), left(lives), hash)
}

func TestLister_List(t *testing.T) {
	t.Parallel()
	after := ports.Position{At: noon, ID: id("before")}
	for name, c := range map[string]struct {
		stored int // sessions in the store
		want   int
		next   ports.Position
	}{
		"None":        {0, 0, ports.Position{}},
		"AShortPage":  {2, 2, ports.Position{}},
		"AFullPage":   {3, 3, ports.Position{}},
		"AnotherPage": {4, 3, ports.Position{At: noon.Add(-2 * time.Minute), ID: id("s2")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, lister := newLister(t)
			var found []session.Session
			for n := range c.stored {
				found = append(found, listable(n))
			}
			b.store.EXPECT().List(gomock.Any(), ports.ListQuery{
				User: user, By: caller.Bearer, Status: session.StatusActive, Cutoff: b.deps.Policy.Cutoff(noon), After: after, Limit: 4, Bytes: lifecycle.MaxPageBytes,
			}).Return(found, nil)
			page, err := lister.List(t.Context(), caller, ports.ListRequest{Status: session.StatusActive, After: after, Limit: 3, Token: oldToken.Reveal()})
			if err != nil || len(page.Sessions) != c.want || page.Next != c.next || page.Sessions == nil {
				t.Fatalf("List = %d sessions, next %v, %v", len(page.Sessions), page.Next, err)
			}
			for n, listed := range page.Sessions {
				got := fmt.Sprint(listed.Session.ID(), " ", listed.Status, " ", listed.Current, " ", listed.ExpiresIn, " ", listed.Expiring)
				if want := []string{"s0 active true 1h0m0s false", "s1 expired false 0s false", "s2 active false 4m0s true"}[n]; got != want {
					t.Errorf("listed %s, want %s", got, want)
				}
			}
		})
	}
	t.Run("StoreDown", func(t *testing.T) {
		t.Parallel()
		b, _, lister := newLister(t)
		b.store.EXPECT().List(gomock.Any(), gomock.Any()).Return(nil, errDown)
		if _, err := lister.List(t.Context(), caller, ports.ListRequest{Limit: 1}); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("List = %v", err)
		}
	})
}

// Large metadata make a page shorter but never empty, and the next page
// continues where it ended.
func TestLister_List_Bytes(t *testing.T) {
	t.Parallel()
	of := func(bytes int) with {
		return func(s *session.Stored) {
			s.Metadata = session.RestoreMetadata(map[string]any{"a": strings.Repeat("x", bytes-len(`{"a": ""}`))})
		}
	}
	for name, c := range map[string]struct {
		sizes []int
		want  int
	}{
		"AllFit":          {[]int{lifecycle.MaxPageBytes / 2, lifecycle.MaxPageBytes / 2}, 2},
		"OneByteTooMany":  {[]int{lifecycle.MaxPageBytes / 2, lifecycle.MaxPageBytes/2 + 1}, 1},
		"LargerThanAPage": {[]int{lifecycle.MaxPageBytes * 3, 20}, 1},
		"Alone":           {[]int{lifecycle.MaxPageBytes * 3}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, lister := newLister(t)
			var found []session.Session
			for n, bytes := range c.sizes {
				found = append(found, active(fmt.Sprint("s", n), age(time.Duration(n)*time.Minute), of(bytes)))
			}
			b.store.EXPECT().List(gomock.Any(), gomock.Any()).Return(found, nil)
			page, err := lister.List(t.Context(), caller, ports.ListRequest{Limit: 9})
			if err != nil || len(page.Sessions) != c.want {
				t.Fatalf("List = %d sessions, %v", len(page.Sessions), err)
			}
			last := found[c.want-1]
			if want := (ports.Position{At: last.CreatedAt(), ID: last.ID()}); (c.want < len(found)) != (page.Next == want) {
				t.Errorf("the next page starts after %v", page.Next)
			}
		})
	}
}

func TestLister_Show(t *testing.T) {
	t.Parallel()
	for token, current := range map[string]bool{oldToken.Reveal(): true, newToken.Reveal(): false, "": false, "nonsense": false} {
		b, _, lister := newLister(t)
		b.store.EXPECT().FindByID(gomock.Any(), user, id("s0"), caller.Bearer).Return(listable(0), nil)
		got, err := lister.Show(t.Context(), caller, id("s0"), token)
		if err != nil || got.Session.ID() != id("s0") || got.Current != current || got.Status != session.StatusActive || got.ExpiresIn != time.Hour {
			t.Errorf("Show = %+v, %v, want current %v", got, err, current)
		}
	}
	b, _, lister := newLister(t)
	b.store.EXPECT().FindByID(gomock.Any(), user, id("s0"), caller.Bearer).Return(active("s0", left(0)), nil)
	if got, err := lister.Show(t.Context(), caller, id("s0"), oldToken.Reveal()); err != nil || got.Current || got.Status != session.StatusExpired {
		t.Errorf("Show of an expired session = %+v, %v, want not current", got, err)
	}
	b.store.EXPECT().FindByID(gomock.Any(), user, id("x"), caller.Bearer).Return(session.Session{}, session.KindNotFound)
	if _, err := lister.Show(t.Context(), caller, id("x"), ""); !errors.Is(err, session.KindNotFound) {
		t.Errorf("Show = %v", err)
	}
}

func TestLister_Activity(t *testing.T) {
	t.Parallel()
	after := ports.Position{At: noon, ID: id("before")}
	records := []session.Activity{{ID: id("a0"), At: noon}, {ID: id("a1"), At: noon.Add(-us)}, {ID: id("a2"), At: noon.Add(-day)}}
	for name, c := range map[string]struct {
		session session.ID
		found   int
		fails   error
		looks   bool // whether it looks for the session, which then
		missing error
		want    error
		next    ports.Position
	}{
		"AShortPage":          {id("s"), 1, nil, false, nil, nil, ports.Position{}},
		"AFullPage":           {session.ID{}, 2, nil, false, nil, nil, ports.Position{}},
		"AnotherPage":         {id("s"), 3, nil, false, nil, nil, ports.Position{At: noon.Add(-us), ID: id("a1")}},
		"NoneAtAll":           {session.ID{}, 0, nil, false, nil, nil, ports.Position{}},
		"NoneOfTheSession":    {id("s"), 0, nil, true, nil, nil, ports.Position{}},
		"NoSuchSession":       {id("s"), 0, nil, true, session.KindNotFound, session.KindNotFound, ports.Position{}},
		"StoreDown":           {id("s"), 0, errDown, false, nil, errDown, ports.Position{}},
		"StoreDownMeanwhile":  {id("s"), 0, nil, true, errDown, errDown, ports.Position{}},
		"KeptAfterItsSession": {id("s"), 2, nil, false, nil, nil, ports.Position{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, store, lister := newLister(t)
			store.EXPECT().ListActivity(gomock.Any(), ports.ActivityQuery{User: user, By: caller.Bearer, Session: c.session, After: after, Limit: 3}).Return(records[:c.found], c.fails)
			if c.looks {
				b.store.EXPECT().FindByID(gomock.Any(), user, c.session, caller.Bearer).Return(session.Session{}, c.missing)
			}
			page, err := lister.Activity(t.Context(), caller, ports.ActivityRequest{Session: c.session, After: after, Limit: 2})
			want := min(c.found, 2)
			if !errors.Is(err, c.want) || len(page.Activity) != want || page.Next != c.next {
				t.Fatalf("Activity = %+v, %v", page, err)
			}
			for i, record := range page.Activity {
				if record.ID != records[i].ID {
					t.Errorf("record %d is %s", i, record.ID)
				}
			}
		})
	}
}

// An actor sees only its own sessions, and not the whole timeline.
func TestLister_Actor(t *testing.T) {
	t.Parallel()
	x, of, by := active("x", acted(agent)), ports.ActivityRequest{Session: id("x"), Limit: 1}, as(agent).Bearer
	t.Run("Lists", func(t *testing.T) {
		t.Parallel()
		b, _, lister := newLister(t)
		b.store.EXPECT().List(gomock.Any(), ports.ListQuery{
			User: user, By: by, Actor: agent, Cutoff: b.deps.Policy.Cutoff(noon), Limit: 2, Bytes: lifecycle.MaxPageBytes,
		}).Return([]session.Session{x}, nil)
		if page, err := lister.List(t.Context(), as(agent), ports.ListRequest{Limit: 1}); err != nil || len(page.Sessions) != 1 {
			t.Errorf("List = %+v, %v", page, err)
		}
	})
	t.Run("Shows", func(t *testing.T) {
		t.Parallel()
		b, activity, lister := newLister(t)
		b.store.EXPECT().FindByID(gomock.Any(), user, id("x"), by).Return(x, nil).Times(2)
		if got, err := lister.Show(t.Context(), as(agent), id("x"), oldToken.Reveal()); err != nil || !got.Current {
			t.Errorf("Show = %+v, %v", got, err)
		}
		activity.EXPECT().ListActivity(gomock.Any(), ports.ActivityQuery{User: user, By: by, Session: id("x"), Limit: 2}).Return([]session.Activity{{ID: id("a")}}, nil)
		if page, err := lister.Activity(t.Context(), as(agent), of); err != nil || len(page.Activity) != 1 {
			t.Errorf("Activity = %+v, %v", page, err)
		}
	})
	for name, others := range map[string]session.Session{"OfTheUser": active("x"), "OfAnotherActor": active("x", acted(support))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, lister := newLister(t)
			b.store.EXPECT().FindByID(gomock.Any(), user, id("x"), by).Return(others, nil).Times(2)
			if got, err := lister.Show(t.Context(), as(agent), id("x"), oldToken.Reveal()); session.KindOf(err) != session.KindNotFound || got.Session.ID() != (session.ID{}) {
				t.Errorf("Show = %+v, %v", got, err)
			}
			if _, err := lister.Activity(t.Context(), as(agent), of); session.KindOf(err) != session.KindNotFound {
				t.Errorf("Activity = %v", err)
			}
		})
	}
	t.Run("AllActivity", func(t *testing.T) {
		t.Parallel()
		_, _, lister := newLister(t)
		if _, err := lister.Activity(t.Context(), as(agent), ports.ActivityRequest{Limit: 1}); session.KindOf(err) != session.KindActorDenied {
			t.Errorf("Activity = %v", err)
		}
	})
}

// The user sees the sessions of actors.
func TestLister_UserSeesActors(t *testing.T) {
	t.Parallel()
	b, _, lister := newLister(t)
	b.store.EXPECT().FindByID(gomock.Any(), user, id("x"), caller.Bearer).Return(active("x", acted(agent)), nil)
	if got, err := lister.Show(t.Context(), caller, id("x"), ""); err != nil || got.Session.Actor() != agent {
		t.Errorf("Show = %+v, %v", got, err)
	}
}

// An admin lists any user's sessions, in person, and as the caller that the
// store checks.
func TestLister_ListOf(t *testing.T) {
	t.Parallel()
	b, _, lister := newLister(t)
	b.store.EXPECT().List(gomock.Any(), ports.ListQuery{
		User: user, By: boss(day).Bearer, Cutoff: b.deps.Policy.Cutoff(noon), Limit: 2, Bytes: lifecycle.MaxPageBytes,
	}).Return([]session.Session{active("a"), active("x", acted(agent))}, nil)
	if page, err := lister.ListOf(t.Context(), boss(day), user, ports.ListRequest{Limit: 1}); err != nil || len(page.Sessions) != 1 || page.Next.ID != id("a") {
		t.Errorf("ListOf = %+v, %v", page, err)
	}
	if _, err := lister.ListOf(t.Context(), actingBoss(), user, ports.ListRequest{Limit: 1}); session.KindOf(err) != session.KindActorDenied {
		t.Errorf("ListOf by an actor = %v", err)
	}
}

// A blocked sign-in reads nothing.
func TestLister_Blocked(t *testing.T) {
	t.Parallel()
	b, activity, lister := newLister(t)
	b.store.EXPECT().FindByID(gomock.Any(), user, id("a"), caller.Bearer).Return(active("a"), session.KindSignedOut)
	b.store.EXPECT().List(gomock.Any(), gomock.Any()).Return(nil, session.KindSignedOut).Times(2)
	activity.EXPECT().ListActivity(gomock.Any(), gomock.Any()).Return(nil, session.KindSignedOut)
	for name, read := range map[string]func(context.Context, access.Caller) error{
		"Show": func(ctx context.Context, c access.Caller) error {
			_, err := lister.Show(ctx, c, id("a"), "")
			return err
		},
		"List": func(ctx context.Context, c access.Caller) error {
			_, err := lister.List(ctx, c, ports.ListRequest{Limit: 1})
			return err
		},
		"ListOf": func(ctx context.Context, c access.Caller) error {
			_, err := lister.ListOf(ctx, c, stranger, ports.ListRequest{Limit: 1})
			return err
		},
		"Activity": func(ctx context.Context, c access.Caller) error {
			_, err := lister.Activity(ctx, c, ports.ActivityRequest{Limit: 1})
			return err
		},
	} {
		if err := read(t.Context(), caller); session.KindOf(err) != session.KindSignedOut {
			t.Errorf("%s = %v", name, err)
		}
	}
}
