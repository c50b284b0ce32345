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

// three returns a user's active sessions. The caller's sign-in holds the first;
// the last one has expired.
func three() []session.Session {
	return []session.Session{active("one"), active("two", by("sess_2")), active("old", by("sess_3"), left(0))}
}

// theirSignIns returns the remembered sign-ins of those, an hour old, and one
// that holds no session.
func theirSignIns() session.SignIns {
	return session.SignIns{known("sess_1", time.Hour), known("sess_2", time.Hour), known("sess_3", time.Hour), known("sess_4", time.Hour)}
}

const (
	oneEnded = "one revoked (user)"
	twoEnded = "two revoked (user)"
	oldEnded = "old expired (expired)"

	oneOut = "revoked one from 192.0.2.1 by=user reason="
	twoOut = "revoked two from 192.0.2.1 by=user reason="
	oldOut = "expired old"
)

// The sign-in that holds a session is blocked when the session is signed out,
// and loses its other sessions, unless it is the caller's own.
func TestRevoker_Revoke(t *testing.T) {
	t.Parallel()
	alsoTheirs := active("more", by("sess_2"), of("workflow_2"))
	for name, c := range map[string]struct {
		id       string
		seen     []session.Session
		blocked  bool // whether the session's holder is blocked already
		wrote    string
		recorded string
		noted    string
	}{
		"TheirOwnSignIn":  {"one", three(), false, oneEnded, oneOut + "sign_out", "sess_1 seen 0s"},
		"TheirOwnAlone":   {"one", append(three(), active("mine")), false, oneEnded, oneOut + "sign_out", "sess_1 seen 0s"},
		"AnotherSignIn":   {"two", three(), false, twoEnded, twoOut + "sign_out", "sess_2 blocked; sess_1 seen 0s"},
		"AllOfAnother":    {"two", append(three(), alsoTheirs), false, twoEnded + "; more revoked (user)", twoOut + "sign_out; revoked more from 192.0.2.1 by=user reason=sign_out", "sess_2 blocked; sess_1 seen 0s"},
		"StaleOfAnother":  {"old", three(), false, oldEnded, oldOut, "sess_3 blocked; sess_1 seen 0s"},
		"ItHeldWhenEnded": {"x", []session.Session{active("x", by("sess_2"), signedOut), alsoTheirs}, false, "more revoked (user)", "revoked more from 192.0.2.1 by=user reason=sign_out", "sess_2 blocked; sess_1 seen 0s"},
		"OneIsNotKnown":   {"x", []session.Session{active("x", by("sess_9"))}, false, "x revoked (user)", "revoked x from 192.0.2.1 by=user reason=sign_out", "sess_9 blocked; sess_1 seen 0s"},
		"UnknownHolder":   {"x", []session.Session{active("x", by(""))}, false, "x revoked (user)", "revoked x from 192.0.2.1 by=user reason=sign_out", "sess_1 seen 0s"},
		"AnActor":         {"x", []session.Session{active("x", acted(agent)), active("one")}, false, "x revoked (user)", "revoked x from 192.0.2.1 by=user reason=sign_out", "sess_1 agent:agent_1 blocked; sess_1 seen 0s"},
		"Again/Another":   {"x", []session.Session{active("x", by("sess_2"), signedOut)}, true, "", "", ""},
		"Again/TheirOwn":  {"x", []session.Session{active("x", signedOut)}, false, "", "", ""},
		"PurgedMeanwhile": {"x", three(), false, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.StepUp.Within = time.Minute
			b.holderBlocked = c.blocked
			b.remembers(theirSignIns()...)
			b.store.EXPECT().FindByID(gomock.Any(), user, id(c.id), verified(0).Bearer).Return(session.Session{}, nil)
			b.updates(nil, c.seen...)
			if err := lifecycle.NewRevoker(b.deps).Revoke(t.Context(), verified(0), id(c.id)); err != nil {
				t.Errorf("Revoke = %v", err)
			}
			b.changed(t, c.wrote, c.recorded)
			b.notes(t, c.noted)
			if b.scope != (ports.Scope{User: user, By: verified(0).Bearer, Session: id(c.id), Settled: true}) {
				t.Errorf("Update had the scope %+v", b.scope)
			}
		})
	}
}

// A refused call changes nothing.
func TestRevoker_Revoke_Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id     string
		within time.Duration
		caller access.Caller
		other  time.Duration // ago when the other sign-in verified
		want   error
	}{
		"OwnNeedsNoStepUp":    {"one", time.Minute, caller, time.Hour, nil},
		"OwnNeedsNoneTooLate": {"one", time.Minute, verified(day), 0, nil},
		"OtherNotVerified":    {"two", time.Minute, caller, time.Hour, session.KindReverification},
		"OtherTooLate":        {"two", time.Minute, verified(time.Minute), time.Hour, session.KindReverification},
		"OtherInTime":         {"two", time.Minute, verified(time.Minute - us), time.Hour, nil},
		"OldIsOthersToo":      {"old", time.Minute, caller, time.Hour, session.KindReverification},
		"Newer":               {"two", 0, verified(time.Minute), time.Minute - us, session.KindReverification},
		"Equal":               {"two", 0, verified(time.Minute), time.Minute, nil},
		"Older":               {"two", 0, verified(time.Minute), time.Minute + us, nil},
		"NewerTenMinutesAgo":  {"two", 0, verified(time.Hour), 10 * time.Minute, session.KindReverification},
		"NewerBeforeThat":     {"two", 0, verified(time.Hour), 10*time.Minute + us, nil},
		"NewerThatEnded":      {"ended", 0, verified(time.Hour), 0, session.KindReverification},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.StepUp.Within = c.within
			b.remembers(known("sess_1", 20*time.Hour), known("sess_2", c.other), known("sess_3", c.other))
			b.store.EXPECT().FindByID(gomock.Any(), user, id(c.id), c.caller.Bearer).Return(session.Session{}, nil)
			b.updates(nil, append(three(), active("ended", by("sess_2"), signedOut))...)
			if err := lifecycle.NewRevoker(b.deps).Revoke(t.Context(), c.caller, id(c.id)); !errors.Is(err, c.want) || (err != nil) != (c.want != nil) {
				t.Errorf("Revoke = %v", err)
			}
			if changed := !b.changes.IsZero(); changed != (c.want == nil) {
				t.Errorf("wrote %q, %q", b.wrote(), b.noted())
			}
		})
	}
	for _, fails := range []error{session.KindNotFound, session.KindUnavailable, session.KindSignedOut} {
		b := setup(t)
		b.store.EXPECT().FindByID(gomock.Any(), user, id("one"), caller.Bearer).Return(session.Session{}, fails)
		if err := lifecycle.NewRevoker(b.deps).Revoke(t.Context(), caller, id("one")); !errors.Is(err, fails) {
			t.Errorf("Revoke = %v, want %v", err, fails)
		}
		b = setup(t)
		b.store.EXPECT().FindByID(gomock.Any(), user, id("one"), caller.Bearer).Return(active("one"), nil)
		b.updates(fails, three()...)
		if err := lifecycle.NewRevoker(b.deps).Revoke(t.Context(), caller, id("one")); !errors.Is(err, fails) {
			t.Errorf("Revoke = %v, want %v", err, fails)
		}
	}
}

// Signing out all blocks every sign-in of the user, with or without a session,
// but the caller's and the one that holds the kept session, and sets the
// moment.
func TestRevoker_RevokeAll(t *testing.T) {
	t.Parallel()
	var none session.ID
	const all = "sign_out_all"
	more := append(three(), active("mine"), active("theirs", by("sess_2")), active("acted", acted(agent)))
	for name, c := range map[string]struct {
		keep     session.ID
		seen     []session.Session
		fails    error
		n        int
		want     error
		wrote    string
		recorded string
		noted    string
	}{
		"All": {
			none, three(), nil, 2, nil,
			oneEnded + "; " + twoEnded + "; " + oldEnded, oneOut + all + "; " + twoOut + all + "; " + oldOut,
			"sess_2 blocked; sess_3 blocked; sess_4 blocked; sess_1 agent:agent_1 blocked; sess_1 seen 0s; moment 0s",
		},
		"AllButOne": {
			id("one"), three(), nil, 1, nil, twoEnded + "; " + oldEnded, twoOut + all + "; " + oldOut,
			"sess_2 blocked; sess_3 blocked; sess_4 blocked; sess_1 agent:agent_1 blocked; sess_1 seen 0s; moment 0s",
		},
		"AllButAnother": {
			id("two"), three(), nil, 1, nil, oneEnded + "; " + oldEnded, oneOut + all + "; " + oldOut,
			"sess_3 blocked; sess_4 blocked; sess_1 agent:agent_1 blocked; sess_1 seen 0s; moment 0s",
		},
		"AllButOneOfMany": {
			id("two"), more, nil, 4, nil,
			"one revoked (user); old expired (expired); mine revoked (user); theirs revoked (user); acted revoked (user)",
			oneOut + all + "; " + oldOut + "; revoked mine from 192.0.2.1 by=user reason=sign_out_all" +
				"; revoked theirs from 192.0.2.1 by=user reason=sign_out_all; revoked acted from 192.0.2.1 by=user reason=sign_out_all",
			"sess_3 blocked; sess_1 agent:agent_1 blocked; sess_4 blocked; sess_1 seen 0s; moment 0s",
		},
		"AllButAnActors": {
			id("acted"), more, nil, 4, nil,
			"one revoked (user); two revoked (user); old expired (expired); mine revoked (user); theirs revoked (user)",
			oneOut + all + "; " + twoOut + all + "; " + oldOut + "; revoked mine from 192.0.2.1 by=user reason=sign_out_all" +
				"; revoked theirs from 192.0.2.1 by=user reason=sign_out_all",
			"sess_2 blocked; sess_3 blocked; sess_4 blocked; sess_1 seen 0s; moment 0s",
		},
		"NoSession":    {none, nil, nil, 0, nil, "", "", "sess_2 blocked; sess_3 blocked; sess_4 blocked; sess_1 agent:agent_1 blocked; sess_1 seen 0s; moment 0s"},
		"KeepsUnknown": {id("x"), three(), nil, 0, session.KindNotFound, "", "", ""},
		"KeepsExpired": {id("old"), three(), nil, 0, session.KindNotFound, "", "", ""},
		"StoreDown": {
			id("two"), three(), errDown, 0, session.KindUnavailable, oneEnded + "; " + oldEnded, oneOut + all + "; " + oldOut,
			"sess_3 blocked; sess_4 blocked; sess_1 agent:agent_1 blocked; sess_1 seen 0s; moment 0s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.StepUp.Within = time.Minute
			b.remembers(append(theirSignIns(), known("sess_1 agent:agent_1", 0))...)
			b.updates(c.fails, c.seen...)
			n, err := lifecycle.NewRevoker(b.deps).RevokeAll(t.Context(), verified(0), c.keep)
			if n != c.n || !errors.Is(err, c.want) {
				t.Errorf("RevokeAll = %d, %v, want %d, %v", n, err, c.n, c.want)
			}
			b.changed(t, c.wrote, c.recorded)
			b.notes(t, c.noted)
			if b.scope != (ports.Scope{User: user, By: verified(0).Bearer, Settled: true}) {
				t.Errorf("Update had the scope %+v", b.scope)
			}
		})
	}
}

// The moment is the later of the caller's verification and ten minutes ago. The
// caller's sign-in is remembered in the same Update, so that the moment does
// not block it.
func TestRevoker_RevokeAll_Moment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		caller access.Caller
		known  []session.SignIn
		noted  string
	}{
		"JustVerified":          {verified(0), nil, "sess_1 seen 0s; moment 0s"},
		"MinutesAgo":            {verified(9 * time.Minute), nil, "sess_1 seen 9m0s; moment 9m0s"},
		"LongAgo":               {verified(day), nil, "sess_1 seen 24h0m0s; moment 10m0s"},
		"SeenSinceThen":         {verified(day), []session.SignIn{known("sess_1", time.Hour)}, "sess_1 seen 1h0m0s; moment 10m0s"},
		"NotStated":             {caller, []session.SignIn{known("sess_1", 5*time.Minute)}, "sess_1 seen 5m0s; moment 5m0s"},
		"NotStatedAndNeverSeen": {caller, nil, "sess_1 seen 0s; moment 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.remembers(c.known...)
			b.updates(nil)
			if n, err := lifecycle.NewRevoker(b.deps).RevokeAll(t.Context(), c.caller, session.ID{}); n != 0 || err != nil {
				t.Errorf("RevokeAll = %d, %v", n, err)
			}
			b.notes(t, c.noted)
		})
	}
}

// A newer sign-in that was verified in the last ten minutes prevents signing
// out all, with or without a session, unless it holds the kept session or is an
// actor's. Signing out all requires step-up.
func TestRevoker_RevokeAll_Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		within time.Duration
		caller access.Caller
		other  session.SignIn
		keep   string
		want   error
	}{
		"NotVerified":             {time.Minute, caller, known("sess_2", time.Hour), "one", session.KindReverification},
		"TooLate":                 {time.Minute, verified(time.Minute), known("sess_2", time.Hour), "one", session.KindReverification},
		"InTime":                  {time.Minute, verified(time.Minute - us), known("sess_2", time.Hour), "one", nil},
		"Newer":                   {0, verified(time.Hour), known("sess_2", time.Hour-us), "one", nil},
		"NewerAndProtected":       {0, verified(time.Hour), known("sess_2", 10*time.Minute), "one", session.KindReverification},
		"NoLongerProtected":       {0, verified(time.Hour), known("sess_2", 10*time.Minute+us), "one", nil},
		"NewerWithoutASession":    {0, verified(time.Hour), known("sess_9", 0), "one", session.KindReverification},
		"EqualIsNotNewer":         {0, verified(time.Minute), known("sess_2", time.Minute), "one", nil},
		"NewerIsKept":             {0, verified(time.Hour), known("sess_2", 0), "two", nil},
		"AnActorIsNeverProtected": {0, verified(time.Hour), known("sess_2 agent:agent_1", 0), "one", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.StepUp.Within = c.within
			b.remembers(known("sess_1", day), c.other)
			b.updates(nil, three()...)
			n, err := lifecycle.NewRevoker(b.deps).RevokeAll(t.Context(), c.caller, id(c.keep))
			if !errors.Is(err, c.want) || (err != nil) != (c.want != nil) || (n == 0) != (err != nil) {
				t.Errorf("RevokeAll = %d, %v", n, err)
			}
			if changed := !b.changes.IsZero(); changed != (c.want == nil) {
				t.Errorf("wrote %q, %q", b.wrote(), b.noted())
			}
		})
	}
	t.Run("NotVerifiedThoughNoOtherSignIn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.deps.StepUp.Within = time.Minute
		b.updates(nil, active("one"))
		if _, err := lifecycle.NewRevoker(b.deps).RevokeAll(t.Context(), caller, session.ID{}); session.KindOf(err) != session.KindReverification {
			t.Errorf("RevokeAll = %v", err)
		}
	})
	t.Run("NewerKeepsOne", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.remembers(known("sess_1", day), known("sess_2", 0))
		b.updates(nil, active("two", by("sess_2")), active("more", by("sess_2")))
		if _, err := lifecycle.NewRevoker(b.deps).RevokeAll(t.Context(), verified(day), id("two")); session.KindOf(err) != session.KindReverification {
			t.Errorf("RevokeAll = %v", err)
		}
	})
}

// An actor signs out only its own sessions; others are not found. It sets no
// moment, and the record names it.
func TestRevoker_Actor(t *testing.T) {
	t.Parallel()
	const out = "revoked x from 192.0.2.1 actor=agent_1 by=user reason="
	seen := []session.Session{active("one"), active("two", by("sess_2"), acted(support)), active("x", acted(agent)), active("y", acted(agent), by("sess_2"))}
	signIns := []session.SignIn{known("sess_1", 0), known("sess_2", 0), known("sess_1 agent:agent_1", 0), known("sess_2 agent:agent_1", 0), known("sess_2 impersonator:user_support", 0)}
	for name, c := range map[string]struct {
		within   time.Duration
		signOut  func(*lifecycle.Revoker) (int, error)
		n        int
		want     error
		wrote    string
		recorded string
		noted    string
	}{
		"All": {
			0, func(r *lifecycle.Revoker) (int, error) { return r.RevokeAll(t.Context(), as(agent), session.ID{}) }, 2, nil,
			"x revoked (user); y revoked (user)", out + "sign_out_all; revoked y from 192.0.2.1 actor=agent_1 by=user reason=sign_out_all",
			"sess_2 agent:agent_1 blocked; sess_1 agent:agent_1 seen 0s",
		},
		"AllButOne": {
			0, func(r *lifecycle.Revoker) (int, error) { return r.RevokeAll(t.Context(), as(agent), id("y")) }, 1, nil,
			"x revoked (user)", out + "sign_out_all", "sess_1 agent:agent_1 seen 0s",
		},
		"NeverSatisfiesStepUp": {
			time.Hour, func(r *lifecycle.Revoker) (int, error) { return r.RevokeAll(t.Context(), as(agent), session.ID{}) }, 0, session.KindReverification, "", "", "",
		},
		"KeepsNotTheUsers": {
			0, func(r *lifecycle.Revoker) (int, error) { return r.RevokeAll(t.Context(), as(agent), id("one")) }, 0, session.KindNotFound, "", "", "",
		},
		"KeepsNoOtherActors": {
			0, func(r *lifecycle.Revoker) (int, error) { return r.RevokeAll(t.Context(), as(agent), id("two")) }, 0, session.KindNotFound, "", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.StepUp.Within = c.within
			b.remembers(signIns...)
			b.updates(nil, seen...)
			if n, err := c.signOut(lifecycle.NewRevoker(b.deps)); n != c.n || !errors.Is(err, c.want) {
				t.Errorf("RevokeAll = %d, %v", n, err)
			}
			b.changed(t, c.wrote, c.recorded)
			b.notes(t, c.noted)
		})
	}
	t.Run("One", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.store.EXPECT().FindByID(gomock.Any(), user, id("x"), as(agent).Bearer).Return(seen[2], nil)
		b.updates(nil, seen...)
		if err := lifecycle.NewRevoker(b.deps).Revoke(t.Context(), as(agent), id("x")); err != nil {
			t.Errorf("Revoke = %v", err)
		}
		b.changed(t, "x revoked (user)", out+"sign_out")
		b.notes(t, "sess_1 agent:agent_1 seen 0s")
	})
	t.Run("NothingLeft", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.updates(nil, active("one"))
		if n, err := lifecycle.NewRevoker(b.deps).RevokeAll(t.Context(), as(agent), session.ID{}); n != 0 || err != nil || !b.changes.IsZero() {
			t.Errorf("RevokeAll = %d, %v, wrote %q", n, err, b.noted())
		}
	})
	for name, others := range map[string]session.Session{"OfTheUser": seen[0], "OfAnotherActor": seen[1]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.store.EXPECT().FindByID(gomock.Any(), user, others.ID(), as(agent).Bearer).Return(others, nil)
			if err := lifecycle.NewRevoker(b.deps).Revoke(t.Context(), as(agent), others.ID()); session.KindOf(err) != session.KindNotFound {
				t.Errorf("Revoke = %v", err)
			}
		})
	}
}

// boss returns the admin, at another address, in a sign-in that was verified
// this long before noon.
func boss(ago time.Duration) access.Caller {
	bearer := session.Bearer{User: session.Must(session.ParseUserID("user_admin")), Holder: session.Holder{SignIn: signInID("sess_admin")}, Verified: noon.Add(-ago)}
	return access.Caller{Bearer: bearer, Role: admin, Source: from("198.51.100.7")}
}

// actingBoss returns an impersonator of the admin.
func actingBoss() access.Caller {
	c := boss(0)
	c.Actor = support
	return c
}

func administrator(t *testing.T) (*bench, *portmock.MockAdminStore, *lifecycle.Administrator) {
	t.Helper()
	b, store := setup(t), portmock.NewMockAdminStore(gomock.NewController(t))
	b.deps.StepUp.Within = time.Minute
	return b, store, lifecycle.NewAdministrator(b.deps, store)
}

// Protection does not bind an admin, who blocks every sign-in but their own.
func TestAdministrator_Revoke(t *testing.T) {
	t.Parallel()
	const twoOut = "revoked two actor=user_admin by=admin reason=sign_out"
	for name, c := range map[string]struct {
		id       string
		blocked  bool
		fails    error
		wrote    string
		recorded string
		noted    string
	}{
		"AnySession":   {"two", false, nil, "two revoked (admin)", twoOut, "sess_2 blocked"},
		"OneThatEnded": {"ended", false, nil, "two revoked (admin)", twoOut, "sess_2 blocked"},
		"Again":        {"ended", true, nil, "", "", ""},
		"StoreDown":    {"two", false, errDown, "two revoked (admin)", twoOut, "sess_2 blocked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, store, administrator := administrator(t)
			store.EXPECT().OwnerOf(gomock.Any(), id(c.id), gomock.Any()).Return(user, nil)
			b.holderBlocked = c.blocked
			b.remembers(known("sess_1", 0), known("sess_2", -time.Second))
			b.updates(c.fails, append(three(), active("ended", by("sess_2"), signedOut))...)
			if err := administrator.Revoke(t.Context(), boss(us), id(c.id)); !errors.Is(err, c.fails) {
				t.Errorf("Revoke = %v", err)
			}
			b.changed(t, c.wrote, c.recorded)
			b.notes(t, c.noted)
			if b.scope != (ports.Scope{User: user, By: boss(us).Bearer, Session: id(c.id), Settled: true}) {
				t.Errorf("Update had the scope %+v", b.scope)
			}
		})
	}
	for _, fails := range []error{session.KindNotFound, errDown} {
		_, store, administrator := administrator(t)
		store.EXPECT().OwnerOf(gomock.Any(), id("x"), gomock.Any()).Return(session.UserID{}, fails)
		if err := administrator.Revoke(t.Context(), boss(0), id("x")); !errors.Is(err, fails) {
			t.Errorf("Revoke = %v, want %v", err, fails)
		}
	}
	t.Run("TheirOwn", func(t *testing.T) {
		t.Parallel()
		b, store, administrator := administrator(t)
		me := boss(0)
		me.User = user
		store.EXPECT().OwnerOf(gomock.Any(), id("mine"), gomock.Any()).Return(user, nil)
		b.updates(nil, active("mine", by("sess_admin")), active("more", by("sess_admin")))
		if err := administrator.Revoke(t.Context(), me, id("mine")); err != nil {
			t.Errorf("Revoke = %v", err)
		}
		b.changed(t, "mine revoked (admin)", "revoked mine actor=user_1 by=admin reason=sign_out")
		b.notes(t, "sess_admin seen 0s")
	})
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
			b.remembers(append(theirSignIns(), known("sess_5", 0), known("sess_1 agent:agent_1", 0))...)
			b.updates(c.fails, three()...)
			n, err := administrator.RevokeAll(t.Context(), boss(0), user)
			if n != c.n || !errors.Is(err, c.fails) {
				t.Errorf("RevokeAll = %d, %v", n, err)
			}
			b.changed(t, "one revoked (admin); two revoked (admin); old expired (expired)",
				"revoked one"+how+"; revoked two"+how+"; expired old")
			b.notes(t, "sess_1 blocked; sess_2 blocked; sess_3 blocked; sess_4 blocked; sess_5 blocked; sess_1 agent:agent_1 blocked; moment 5s")
			if b.scope != (ports.Scope{User: user, By: boss(0).Bearer, Settled: true}) {
				t.Errorf("Update had the scope %+v", b.scope)
			}
		})
	}
	// An admin who signs out themselves loses all sessions, but is not blocked.
	t.Run("Themselves", func(t *testing.T) {
		t.Parallel()
		b, _, administrator := administrator(t)
		me := boss(30 * time.Second)
		me.User = user
		b.remembers(known("sess_1", 0))
		b.updates(nil, active("mine", by("sess_admin")), active("one"))
		if n, err := administrator.RevokeAll(t.Context(), me, user); n != 2 || err != nil {
			t.Errorf("RevokeAll = %d, %v", n, err)
		}
		b.notes(t, "sess_1 blocked; sess_admin seen 30s; moment 5s")

		b.remembers(known("sess_1", 0), known("sess_admin", time.Minute))
		b.updates(nil)
		if _, err := administrator.RevokeAll(t.Context(), me, user); err != nil {
			t.Errorf("RevokeAll = %v", err)
		}
		b.notes(t, "sess_1 blocked; sess_admin seen 30s; moment 5s")
	})
}

// Sign-outs by an admin require step-up, and an admin in person: an
// impersonator is refused before any store is called.
func TestAdministrator_Refuses(t *testing.T) {
	t.Parallel()
	unsaid := boss(0)
	unsaid.Verified = time.Time{}
	for name, c := range map[string]struct {
		admin access.Caller
		want  session.Kind
	}{
		"NotVerified":             {unsaid, session.KindReverification},
		"VerifiedTooLongAgo":      {boss(time.Minute), session.KindReverification},
		"Impersonator":            {actingBoss(), session.KindActorDenied},
		"ImpersonatorNotVerified": {func() access.Caller { c := actingBoss(); c.Verified = time.Time{}; return c }(), session.KindActorDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, store, administrator := administrator(t)
			if c.want != session.KindActorDenied { // an actor is refused before any read
				store.EXPECT().OwnerOf(gomock.Any(), gomock.Any(), gomock.Any()).Return(user, nil)
				b.updates(nil, active("one"))
			}
			if err := administrator.Revoke(t.Context(), c.admin, id("one")); session.KindOf(err) != c.want {
				t.Errorf("Revoke = %v", err)
			}
			if n, err := administrator.RevokeAll(t.Context(), c.admin, user); n != 0 || session.KindOf(err) != c.want {
				t.Errorf("RevokeAll = %d, %v", n, err)
			}
		})
	}
}

// A blocked sign-in gets the error that it is blocked, not that of step-up.
func TestAdministrator_Refuses_Blocked(t *testing.T) {
	t.Parallel()
	b, store, administrator := administrator(t)
	store.EXPECT().OwnerOf(gomock.Any(), gomock.Any(), gomock.Any()).Return(session.UserID{}, session.KindSignedOut)
	if err := administrator.Revoke(t.Context(), boss(time.Minute), id("one")); session.KindOf(err) != session.KindSignedOut {
		t.Errorf("Revoke = %v", err)
	}
	b.store.EXPECT().Update(gomock.Any(), gomock.Any(), gomock.Any()).Return(session.KindSignedOut)
	if _, err := administrator.RevokeAll(t.Context(), boss(time.Minute), user); session.KindOf(err) != session.KindSignedOut {
		t.Errorf("RevokeAll = %v", err)
	}
}

// Stats covers thirty days including today, and counts expired sessions as
// expired.
func TestAdministrator_Stats(t *testing.T) {
	t.Parallel()
	b, store, administrator := administrator(t)
	since := time.Date(2024, 12, 3, 0, 0, 0, 0, time.UTC)
	want := ports.Stats{Sessions: map[session.Status]int{session.StatusActive: 1}, Days: []ports.Day{{Start: since, Opens: 2}}}
	store.EXPECT().Stats(gomock.Any(), boss(day).Bearer, b.deps.Policy.Cutoff(noon), since).Return(want, nil)
	if got, err := administrator.Stats(t.Context(), boss(day)); err != nil || got.Sessions[session.StatusActive] != 1 || len(got.Days) != 1 {
		t.Errorf("Stats = %+v, %v", got, err)
	}
	store.EXPECT().Stats(gomock.Any(), gomock.Any(), gomock.Any(), gomock.Any()).Return(ports.Stats{}, errDown)
	if _, err := administrator.Stats(t.Context(), boss(0)); !errors.Is(err, errDown) {
		t.Errorf("Stats = %v", err)
	}
	if _, err := administrator.Stats(t.Context(), actingBoss()); session.KindOf(err) != session.KindActorDenied {
		t.Errorf("Stats by an actor = %v", err)
	}
}
