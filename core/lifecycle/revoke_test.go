package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports/portmock"
)

// revoking is a Revoker on a store whose user has three active sessions, the
// first of the caller's own sign-in.
type revoking struct {
	store   *portmock.MockSessionStore
	revoker *lifecycle.Revoker
	active  []session.Session
	written []session.Session
}

func newRevoking(t *testing.T) *revoking {
	t.Helper()
	control := gomock.NewController(t)
	clock := portmock.NewMockClock(control)
	clock.EXPECT().Now().Return(noon).AnyTimes()
	r := &revoking{store: portmock.NewMockSessionStore(control)}
	for n, signIn := range []string{"sess_1", "sess_2", "sess_3"} {
		r.active = append(r.active, session.Restore(session.Stored{
			ID: fmt.Sprintf("0194f3a0-0000-7000-8000-%012d", n), User: "user_1", SignIn: signIn, Status: session.StatusActive,
			CreatedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(time.Hour),
		}))
	}
	r.revoker = lifecycle.NewRevoker(r.store, clock)
	return r
}

func (r *revoking) updates(fails error) {
	r.store.EXPECT().UpdateAll(gomock.Any(), user, gomock.Any()).
		DoAndReturn(func(_ context.Context, _ session.UserID, change func([]session.Session) ([]session.Session, error)) error {
			written, err := change(r.active)
			if err == nil {
				r.written = written
			}
			return errors.Join(err, fails)
		})
}

// ended checks which sessions were written as signed out, and which of them
// block their sign-in.
func (r *revoking) ended(t *testing.T, want string) {
	t.Helper()
	got := ""
	for _, s := range r.written {
		if s.Status() != session.StatusRevoked || s.EndReason() != session.EndUser || !s.EndedAt().Equal(noon) {
			t.Errorf("%s is written as %s, %s at %s", s.ID(), s.Status(), s.EndReason(), s.EndedAt())
		}
		got += s.SignIn().String()
		if s.BlocksSignIn() {
			got += " blocked"
		}
		got += "; "
	}
	if got != want {
		t.Errorf("ended are %q, want %q", got, want)
	}
}

func TestRevoker_Revoke(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		which int
		want  string
	}{
		"TheirOwnSignIn": {0, "sess_1; "},
		"AnotherSignIn":  {1, "sess_2 blocked; "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRevoking(t)
			id := r.active[test.which].ID()
			r.store.EXPECT().FindByID(gomock.Any(), user, id).Return(r.active[test.which], nil)
			r.updates(nil)
			if err := r.revoker.Revoke(t.Context(), caller, id); err != nil {
				t.Errorf("Revoke = %v", err)
			}
			r.ended(t, test.want)
		})
	}
	t.Run("Again", func(t *testing.T) {
		t.Parallel()
		r := newRevoking(t)
		id := session.Must(session.ParseID("0194f3a0-0000-7000-8000-000000000009"))
		r.store.EXPECT().FindByID(gomock.Any(), user, id).Return(session.Session{}, nil)
		r.updates(nil)
		if err := r.revoker.Revoke(t.Context(), caller, id); err != nil {
			t.Errorf("Revoke = %v", err)
		}
		r.ended(t, "")
	})
	t.Run("NotTheirs", func(t *testing.T) {
		t.Parallel()
		r := newRevoking(t)
		r.store.EXPECT().FindByID(gomock.Any(), user, gomock.Any()).Return(session.Session{}, session.KindNotFound)
		if err := r.revoker.Revoke(t.Context(), caller, r.active[0].ID()); !errors.Is(err, session.KindNotFound) {
			t.Errorf("Revoke = %v", err)
		}
	})
	t.Run("StoreDown", func(t *testing.T) {
		t.Parallel()
		r := newRevoking(t)
		r.store.EXPECT().FindByID(gomock.Any(), user, gomock.Any()).Return(r.active[0], nil)
		r.updates(errDown)
		if err := r.revoker.Revoke(t.Context(), caller, r.active[0].ID()); !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Revoke = %v", err)
		}
	})
}

func TestRevoker_RevokeAll(t *testing.T) {
	t.Parallel()
	var none session.ID
	for name, test := range map[string]struct {
		keep  session.ID
		fails error
		n     int
		want  string
		err   error
	}{
		"All":           {none, nil, 3, "sess_1; sess_2 blocked; sess_3 blocked; ", nil},
		"AllButOne":     {newRevoking(t).active[0].ID(), nil, 2, "sess_2 blocked; sess_3 blocked; ", nil},
		"AllButAnother": {newRevoking(t).active[2].ID(), nil, 2, "sess_1; sess_2 blocked; ", nil},
		"KeepsNone":     {session.Must(session.ParseID("x")), nil, 0, "", session.KindNotFound},
		"StoreDown":     {none, errDown, 0, "sess_1; sess_2 blocked; sess_3 blocked; ", session.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRevoking(t)
			r.updates(test.fails)
			n, err := r.revoker.RevokeAll(t.Context(), caller, test.keep)
			if n != test.n || !errors.Is(err, test.err) {
				t.Errorf("RevokeAll = %d, %v, want %d, %v", n, err, test.n, test.err)
			}
			r.ended(t, test.want)
		})
	}
}
