package lifecycle_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

func newLister(t *testing.T) (*portmock.MockSessionStore, *lifecycle.Lister) {
	t.Helper()
	control := gomock.NewController(t)
	store, clock := portmock.NewMockSessionStore(control), portmock.NewMockClock(control)
	clock.EXPECT().Now().Return(noon).AnyTimes()
	return store, lifecycle.NewLister(store, clock, session.DefaultPolicy())
}

// listable is the n-th of many sessions; the first has oldToken and is good,
// the second's time is up.
func listable(n int) session.Session {
	stored := session.Stored{
		ID: fmt.Sprintf("0194f3a0-0000-7000-8000-%012d", n), User: "user_1", Status: session.StatusActive,
		CreatedAt: noon.Add(-time.Duration(n) * time.Minute), ExpiresAt: noon.Add(time.Hour),
	}
	switch n {
	case 0:
		stored.Credential.Hash = oldToken.Hash()
	case 1:
		stored.ExpiresAt = noon
	}
	return session.Restore(stored)
}

func TestLister_List(t *testing.T) {
	t.Parallel()
	after := ports.Position{CreatedAt: noon, ID: newID}
	for name, test := range map[string]struct {
		stored int // of which the store finds as many as it is asked for
		want   int
		next   ports.Position
	}{
		"None":        {0, 0, ports.Position{}},
		"AShortPage":  {2, 2, ports.Position{}},
		"AFullPage":   {3, 3, ports.Position{}},
		"AnotherPage": {4, 3, ports.Position{CreatedAt: noon.Add(-2 * time.Minute), ID: listable(2).ID()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, lister := newLister(t)
			var found []session.Session
			for n := range test.stored {
				found = append(found, listable(n))
			}
			store.EXPECT().List(gomock.Any(), ports.ListQuery{User: user, Status: session.StatusActive, Now: noon, After: after, Limit: 4}).Return(found, nil)
			page, err := lister.List(t.Context(), caller, ports.ListRequest{Status: session.StatusActive, After: after, Limit: 3, Token: oldToken.Reveal()})
			if err != nil || len(page.Sessions) != test.want || page.Next != test.next || page.Sessions == nil {
				t.Fatalf("List = %d sessions, next %v, %v", len(page.Sessions), page.Next, err)
			}
			for n, listed := range page.Sessions {
				wantStatus := session.StatusActive
				if n == 1 {
					wantStatus = session.StatusExpired
				}
				if listed.Session.ID() != listable(n).ID() || listed.Current != (n == 0) || listed.Status != wantStatus {
					t.Errorf("%d is %s, %s, current %v", n, listed.Session.ID(), listed.Status, listed.Current)
				}
			}
		})
	}
	t.Run("StoreDown", func(t *testing.T) {
		t.Parallel()
		store, lister := newLister(t)
		store.EXPECT().List(gomock.Any(), gomock.Any()).Return(nil, errDown)
		if _, err := lister.List(t.Context(), caller, ports.ListRequest{Limit: 1}); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("List = %v", err)
		}
	})
}

func TestLister_Show(t *testing.T) {
	t.Parallel()
	for token, current := range map[string]bool{oldToken.Reveal(): true, newToken.Reveal(): false, "": false, "nonsense": false} {
		store, lister := newLister(t)
		store.EXPECT().FindByID(gomock.Any(), user, newID).Return(listable(0), nil)
		if got, err := lister.Show(t.Context(), caller, newID, token); err != nil || got.Current != current || got.Status != session.StatusActive {
			t.Errorf("Show = %+v, %v, want current %v", got, err, current)
		}
	}
	store, lister := newLister(t)
	store.EXPECT().FindByID(gomock.Any(), user, newID).Return(session.Session{}, session.KindNotFound)
	if _, err := lister.Show(t.Context(), caller, newID, ""); !errors.Is(err, session.KindNotFound) {
		t.Errorf("Show = %v", err)
	}
}
