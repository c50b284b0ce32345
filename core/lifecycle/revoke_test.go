package lifecycle_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

// three are a user's active sessions, the first of the caller's own sign-in;
// the last one's time is up.
func three() []session.Session {
	return []session.Session{active("one"), active("two", by("sess_2")), active("old", by("sess_3"), left(0))}
}

const (
	oneEnded = "one revoked (user)"
	twoEnded = "two revoked (user) blocks sess_2"
	oldEnded = "old expired (expired)"

	oneOut = "revoked one from 192.0.2.1 by=user reason="
	twoOut = "revoked two from 192.0.2.1 by=user reason="
	oldOut = "expired old"
)

// verified is the caller who verified a factor so long ago.
func verified(ago time.Duration) access.Caller {
	c := caller
	c.VerifiedAgo = ago
	return c
}

func TestRevoker_Revoke(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id       string
		caller   access.Caller
		fails    error
		want     error
		wrote    string
		recorded string
	}{
		"TheirOwnSignIn":        {"one", caller, nil, nil, oneEnded, oneOut + "sign_out"},
		"AnotherSignIn":         {"two", verified(0), nil, nil, twoEnded, twoOut + "sign_out"},
		"AnotherSignInUnproved": {"two", caller, nil, session.KindReverification, "", ""},
		"AnotherSignInTooLate":  {"two", verified(time.Minute), nil, session.KindReverification, "", ""},
		"OneThatEnded":          {"ended", caller, nil, nil, "", ""},
		"OneThatIsOver":         {"old", caller, nil, nil, oldEnded, oldOut},
		"StoreDown":             {"one", caller, errDown, session.KindUnavailable, oneEnded, oneOut + "sign_out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.parts.StepUp.Within = time.Minute
			b.store.EXPECT().FindByID(gomock.Any(), user, id(c.id)).Return(session.Session{}, nil)
			b.updates(c.fails, three()...)
			if err := lifecycle.NewRevoker(b.parts).Revoke(t.Context(), c.caller, id(c.id)); !errors.Is(err, c.want) {
				t.Errorf("Revoke = %v", err)
			}
			b.changed(t, c.wrote, c.recorded)
			if b.scope != (ports.Scope{User: user, Settled: true}) {
				t.Errorf("looks at %+v", b.scope)
			}
		})
	}
	for _, fails := range []error{session.KindNotFound, session.KindUnavailable} {
		b := setup(t)
		b.store.EXPECT().FindByID(gomock.Any(), user, id("one")).Return(session.Session{}, fails)
		if err := lifecycle.NewRevoker(b.parts).Revoke(t.Context(), caller, id("one")); !errors.Is(err, fails) {
			t.Errorf("Revoke = %v, want %v", err, fails)
		}
	}
}

func TestRevoker_RevokeAll(t *testing.T) {
	t.Parallel()
	var none session.ID
	const all = "sign_out_all"
	for name, c := range map[string]struct {
		keep     session.ID
		caller   access.Caller
		fails    error
		n        int
		want     error
		wrote    string
		recorded string
	}{
		"All": {
			none, verified(0), nil, 2, nil,
			oneEnded + "; " + twoEnded + "; " + oldEnded, oneOut + all + "; " + twoOut + all + "; " + oldOut,
		},
		"AllButOne":          {id("one"), verified(0), nil, 1, nil, twoEnded + "; " + oldEnded, twoOut + all + "; " + oldOut},
		"AllButAnother":      {id("two"), verified(0), nil, 1, nil, oneEnded + "; " + oldEnded, oneOut + all + "; " + oldOut},
		"KeepsNone":          {id("x"), verified(0), nil, 0, session.KindNotFound, "", ""},
		"KeepsOneThatIsOver": {id("old"), verified(0), nil, 0, session.KindNotFound, "", ""},
		"Unproved":           {none, caller, nil, 0, session.KindReverification, "", ""},
		"UnprovedOther":      {id("one"), caller, nil, 0, session.KindReverification, "", ""},
		"StoreDown": {
			id("two"), verified(0), errDown, 0, session.KindUnavailable, oneEnded + "; " + oldEnded, oneOut + all + "; " + oldOut,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.parts.StepUp.Within = time.Minute
			b.updates(c.fails, three()...)
			n, err := lifecycle.NewRevoker(b.parts).RevokeAll(t.Context(), c.caller, c.keep)
			if n != c.n || !errors.Is(err, c.want) {
				t.Errorf("RevokeAll = %d, %v, want %d, %v", n, err, c.n, c.want)
			}
			b.changed(t, c.wrote, c.recorded)
		})
	}
}

// Signing out where nobody else's sign-in is needs no fresh proof; who
// impersonates is in the record.
func TestRevoker_RevokeAll_OwnSignInOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.parts.StepUp.Within = time.Minute
	b.updates(nil, active("one"), active("more"))
	support := caller
	support.ActedBy = "user_support"
	if n, err := lifecycle.NewRevoker(b.parts).RevokeAll(t.Context(), support, session.ID{}); n != 2 || err != nil {
		t.Errorf("RevokeAll = %d, %v", n, err)
	}
	b.changed(t, "one revoked (user); more revoked (user)",
		"revoked one from 192.0.2.1 actor=user_support by=user reason=sign_out_all; revoked more from 192.0.2.1 actor=user_support by=user reason=sign_out_all")
}

// The admin acts from elsewhere, in a sign-in of their own.
func boss(ago time.Duration) access.Caller {
	return access.Caller{User: session.Must(session.ParseUserID("user_admin")), SignIn: signInID("sess_admin"), Role: admin, VerifiedAgo: ago, Source: from("198.51.100.7")}
}

func administrator(t *testing.T) (*bench, *portmock.MockAdminStore, *lifecycle.Administrator) {
	t.Helper()
	b, store := setup(t), portmock.NewMockAdminStore(gomock.NewController(t))
	b.parts.StepUp.Within = time.Minute
	return b, store, lifecycle.NewAdministrator(b.parts, store)
}

func TestAdministrator_Revoke(t *testing.T) {
	t.Parallel()
	const twoOut = "revoked two actor=user_admin by=admin reason=sign_out"
	for name, c := range map[string]struct {
		id       string
		fails    error
		wrote    string
		recorded string
	}{
		"AnySession":   {"two", nil, "two revoked (admin) blocks sess_2", twoOut},
		"OneThatEnded": {"ended", nil, "", ""},
		"StoreDown":    {"two", errDown, "two revoked (admin) blocks sess_2", twoOut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, store, administrator := administrator(t)
			store.EXPECT().OwnerOf(gomock.Any(), id(c.id)).Return(user, nil)
			b.updates(c.fails, three()...)
			if err := administrator.Revoke(t.Context(), boss(0), id(c.id)); !errors.Is(err, c.fails) {
				t.Errorf("Revoke = %v", err)
			}
			b.changed(t, c.wrote, c.recorded)
			if b.scope != (ports.Scope{User: user, Settled: true}) {
				t.Errorf("looks at %+v", b.scope)
			}
		})
	}
	for _, fails := range []error{session.KindNotFound, errDown} {
		_, store, administrator := administrator(t)
		store.EXPECT().OwnerOf(gomock.Any(), id("x")).Return(session.UserID{}, fails)
		if err := administrator.Revoke(t.Context(), boss(0), id("x")); !errors.Is(err, fails) {
			t.Errorf("Revoke = %v, want %v", err, fails)
		}
	}
}

func TestAdministrator_RevokeAll(t *testing.T) {
	t.Parallel()
	const how = " actor=user_admin by=admin reason=sign_out_all"
	for name, c := range map[string]struct {
		fails error
		n     int
	}{"All": {nil, 2}, "StoreDown": {errDown, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, administrator := administrator(t)
			b.updates(c.fails, three()...)
			n, err := administrator.RevokeAll(t.Context(), boss(0), user)
			if n != c.n || !errors.Is(err, c.fails) {
				t.Errorf("RevokeAll = %d, %v", n, err)
			}
			b.changed(t, "one revoked (admin) blocks sess_1; two revoked (admin) blocks sess_2; old expired (expired)",
				"revoked one"+how+"; revoked two"+how+"; expired old")
		})
	}
}

// Whatever an admin ends, they prove themselves first: nothing is asked of the
// stores before.
func TestAdministrator_StepUp(t *testing.T) {
	t.Parallel()
	for _, ago := range []time.Duration{-1, time.Minute} {
		_, _, administrator := administrator(t)
		if err := administrator.Revoke(t.Context(), boss(ago), id("one")); session.KindOf(err) != session.KindReverification {
			t.Errorf("Revoke = %v", err)
		}
		if n, err := administrator.RevokeAll(t.Context(), boss(ago), user); n != 0 || session.KindOf(err) != session.KindReverification {
			t.Errorf("RevokeAll = %d, %v", n, err)
		}
	}
}

// Thirty days, today among them, and what is past its time is expired.
func TestAdministrator_Stats(t *testing.T) {
	t.Parallel()
	b, store, administrator := administrator(t)
	since := time.Date(2024, 12, 3, 0, 0, 0, 0, time.UTC)
	want := ports.Stats{Sessions: map[session.Status]int{session.StatusActive: 1}, Days: []ports.Day{{Start: since, Opens: 2}}}
	store.EXPECT().Stats(gomock.Any(), b.parts.Policy.Cutoff(noon), since).Return(want, nil)
	if got, err := administrator.Stats(t.Context()); err != nil || got.Sessions[session.StatusActive] != 1 || len(got.Days) != 1 {
		t.Errorf("Stats = %+v, %v", got, err)
	}
	store.EXPECT().Stats(gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Stats{}, errDown)
	if _, err := administrator.Stats(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("Stats = %v", err)
	}
}
