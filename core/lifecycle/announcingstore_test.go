package lifecycle_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

// Update announces the sessions whose change clients can notice, once it is
// stored. An Update that blocks a sign-in announces every session that it read:
// the sign-in may be watching any of them.
func TestAnnouncingStore_Update(t *testing.T) {
	t.Parallel()
	hash := func(s session.Session, b byte) session.Session {
		s.Rotate(session.Credential{Hash: session.TokenHash{b}}, noon, noon.Add(day), noon)
		return s
	}
	revoke := func(s session.Session) session.Session { s.Revoke(session.EndUser, noon); return s }
	writes := func(sessions ...session.Session) ports.Changes { return ports.Changes{Sessions: sessions} }
	signIns := func(what ports.SignInChanges) func([]session.Session) ports.Changes {
		return func([]session.Session) ports.Changes { return ports.Changes{SignInChanges: what} }
	}
	blocked := session.SignIns{}.Block(noon, caller.Holder)[0]
	for name, c := range map[string]struct {
		change func(seen []session.Session) ports.Changes
		fails  error
		want   string
	}{
		"Nothing":   {func([]session.Session) ports.Changes { return writes() }, nil, "[]"},
		"Created":   {func([]session.Session) ports.Changes { return writes(active("new")) }, nil, "[]"},
		"Refreshed": {func(seen []session.Session) ports.Changes { return writes(hash(seen[0], 9)) }, nil, "[[a]]"},
		"InPlace": {func(seen []session.Session) ports.Changes {
			seen[1] = revoke(seen[1])
			return writes(seen...)
		}, nil, "[[b]]"},
		"Both": {func(seen []session.Session) ports.Changes {
			return writes(revoke(seen[0]), hash(seen[1], 9), active("new"))
		}, nil, "[[a b]]"},
		"SignInSeen":      {signIns(ports.SignInChanges{SignIns: []session.SignIn{known("sess_1", 0)}}), nil, "[]"},
		"SignInForgotten": {signIns(ports.SignInChanges{Forget: []session.Holder{caller.Holder}}), nil, "[]"},
		"SignInBlocked":   {signIns(ports.SignInChanges{SignIns: []session.SignIn{known("sess_2", 0), blocked}}), nil, "[[a b]]"},
		"Moment":          {signIns(ports.SignInChanges{Moment: noon}), nil, "[[a b]]"},
		"NotStored":       {func(seen []session.Session) ports.Changes { return writes(revoke(seen[0])) }, errDown, "[]"},
		"BlockNotStored":  {signIns(ports.SignInChanges{SignIns: []session.SignIn{blocked}, Moment: noon}), errDown, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, n := setup(t), newNet(t, 1)
				store := lifecycle.NewAnnouncingStore(b.store, n.announcers[0])
				b.updates(c.fails, active("a"), active("b", by("sess_2")))
				err := store.Update(t.Context(), ports.Scope{User: user}, func(seen ports.Seen) (ports.Changes, error) {
					if len(n.batches()) > 0 {
						t.Error("announced before it was stored")
					}
					return c.change(seen.Sessions), nil
				})
				if !errors.Is(err, c.fails) {
					t.Errorf("Update = %v", err)
				}
				sent := n.batches()
				for _, batch := range sent {
					slices.SortFunc(batch, func(a, b session.ID) int { return strings.Compare(a.String(), b.String()) })
				}
				if got := fmt.Sprint(sent); got != c.want {
					t.Errorf("announced %s, want %s", got, c.want)
				}
			})
		})
	}
	t.Run("Refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.updates(nil, active("a"))
		err := lifecycle.NewAnnouncingStore(b.store, lifecycle.NewAnnouncer(nil, nil)).Update(t.Context(), ports.Scope{}, func(ports.Seen) (ports.Changes, error) { return ports.Changes{}, errBug })
		if !errors.Is(err, errBug) {
			t.Errorf("Update = %v", err)
		}
	})
}

// All other methods are the decorated store's.
func TestAnnouncingStore_Finds(t *testing.T) {
	t.Parallel()
	store := portmock.NewMockSessionStore(gomock.NewController(t))
	store.EXPECT().FindByID(gomock.Any(), user, id("a"), caller.Bearer).Return(active("a"), nil)
	found, err := lifecycle.NewAnnouncingStore(store, lifecycle.NewAnnouncer(nil, nil)).FindByID(t.Context(), user, id("a"), caller.Bearer)
	if err != nil || found.ID() != id("a") {
		t.Errorf("FindByID = %v, %v", found.ID(), err)
	}
}
