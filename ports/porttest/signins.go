package porttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// alices returns alice as the bearer of a sign-in verified at that time; zero for
// unknown.
func alices(signIn session.SignInID, verified time.Time) session.Bearer {
	return session.Bearer{User: alice, Holder: session.Holder{SignIn: signIn}, Verified: verified}
}

// signedIn returns the record of a sign-in.
func signedIn(signIn session.SignInID, firstSeen, verified time.Time) session.SignIn {
	return session.RestoreSignIn(session.StoredSignIn{SignIn: signIn.String(), FirstSeen: firstSeen, Verified: verified})
}

// blocked returns the record of a sign-in that was blocked at a time.
func blocked(signIn session.SignInID, at time.Time) session.SignIn {
	return session.RestoreSignIn(session.StoredSignIn{SignIn: signIn.String(), FirstSeen: noon, Verified: noon, BlockedAt: at})
}

// signIns stores changes to a user's recorded sign-ins.
func signIns(t *testing.T, store ports.Store, user session.UserID, changes ports.SignInChanges) {
	t.Helper()
	err := store.Update(t.Context(), ports.Scope{User: user}, func(ports.Seen) (ports.Changes, error) {
		return ports.Changes{SignInChanges: changes}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// remembers checks which sign-ins an Update reads.
func remembers(t *testing.T, store ports.Store, user session.UserID, want ...session.SignIn) {
	t.Helper()
	seen := look(t, store, ports.Scope{User: user})
	describe := func(list []session.SignIn) string {
		texts := make([]string, len(list))
		for i, s := range list {
			texts[i] = fmt.Sprint(s.Holder(), s.FirstSeen(), s.Verified(), s.BlockedAt())
		}
		slices.Sort(texts)
		return fmt.Sprint(texts)
	}
	if got, wanted := describe(seen.SignIns), describe(want); got != wanted {
		t.Errorf("recorded sign-ins:\n%s, want\n%s", got, wanted)
	}
}

// look returns what an Update reads.
func look(t *testing.T, store ports.Store, scope ports.Scope) (shown ports.Seen) {
	t.Helper()
	err := store.Update(t.Context(), scope, func(seen ports.Seen) (ports.Changes, error) {
		shown = seen
		return ports.Changes{}, nil
	})
	if err != nil {
		t.Error(err)
	}
	return shown
}

// asks makes all store calls that take a bearer, about existing and unknown objects,
// and returns their errors.
func (b *bench) asks(ctx context.Context, store ports.Store, by session.Bearer, found session.Session) map[string]error {
	errs := map[string]error{}
	_, errs["FindByID"] = store.FindByID(ctx, alice, found.ID(), by)
	_, errs["FindByID of none"] = store.FindByID(ctx, alice, session.Must(b.ids.SessionID()), by)
	_, errs["FindByOffer"] = store.FindByOffer(ctx, found.Offer().Code, by)
	_, errs["FindByOffer of none"] = store.FindByOffer(ctx, session.TokenHash{9}, by)
	_, errs["List"] = store.List(ctx, ports.ListQuery{User: alice, By: by, Limit: 9})
	_, errs["List of none"] = store.List(ctx, ports.ListQuery{User: bob, By: by, Limit: 9})
	_, errs["ListActivity"] = store.ListActivity(ctx, ports.ActivityQuery{User: alice, By: by, Limit: 9})
	_, errs["ListActivity of none"] = store.ListActivity(ctx, ports.ActivityQuery{User: bob, By: by, Limit: 9})
	_, errs["Stats"] = store.Stats(ctx, by, session.DefaultPolicy().Cutoff(noon), noon)
	_, errs["OwnerOf"] = store.OwnerOf(ctx, found.ID(), by)
	_, errs["OwnerOf of none"] = store.OwnerOf(ctx, session.Must(b.ids.SessionID()), by)
	errs["Update"] = store.Update(ctx, ports.Scope{User: alice, By: by}, func(ports.Seen) (ports.Changes, error) { return ports.Changes{}, nil })
	errs["Update of another's"] = store.Update(ctx, ports.Scope{User: bob, By: by}, func(ports.Seen) (ports.Changes, error) { return ports.Changes{}, nil })
	return errs
}

// mayAsk checks that all calls of the bearer are allowed, or that all are refused.
func (b *bench) mayAsk(t *testing.T, by session.Bearer, found session.Session, want bool) {
	t.Helper()
	for name, err := range b.asks(t.Context(), b.two, by, found) {
		if got := !errors.Is(err, session.KindSignedOut); got != want {
			t.Errorf("%s for %v = %v, want allowed: %v", name, by, err, want)
		}
	}
}

// testSignIns tests the records of sign-ins, and that blocked ones are refused.
func testSignIns(t *testing.T, open Factory) {
	t.Helper()
	early, late := noon.Add(-time.Hour), noon.Add(time.Hour)
	arrange := func(t *testing.T) (*bench, session.Session) {
		t.Helper()
		b := setup(t, open)
		found := b.insert(t, b.draft(phoneSlot), func(s *session.Session) { s.OfferTransfer(session.Must(b.ids.TransferCode()).Hash(), late) })
		record(t, b.one, session.Activity{User: alice, Session: found.ID(), Type: session.ActivityCreated, At: noon})
		return b, found
	}
	t.Run("Recorded", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		actors := session.RestoreSignIn(session.StoredSignIn{SignIn: signIn.String(), Actor: agent.String(), FirstSeen: noon, Verified: early})
		signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{signedIn(signIn, noon, noon.Add(time.Microsecond)), actors}})
		signIns(t, b.one, bob, ports.SignInChanges{SignIns: []session.SignIn{signedIn(signIn, noon, noon)}, Moment: noon})
		remembers(t, b.two, alice, signedIn(signIn, noon, noon.Add(time.Microsecond)), actors)
		remembers(t, b.two, bob, signedIn(signIn, noon, noon))
	})
	t.Run("EarlierFirstSeenLaterVerified", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		for _, s := range []session.SignIn{signedIn(signIn, noon, noon), signedIn(signIn, late, early), signedIn(signIn, early, late), signedIn(signIn, noon, noon)} {
			signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{s}})
		}
		remembers(t, b.two, alice, signedIn(signIn, early, late))
	})
	t.Run("ForgetUnlessBlocked", func(t *testing.T) {
		t.Parallel()
		b, found := arrange(t)
		signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{signedIn(signIn, noon, noon), blocked(otherSignIn, noon)}})
		signIns(t, b.one, bob, ports.SignInChanges{SignIns: []session.SignIn{signedIn(signIn, noon, noon)}})
		signIns(t, b.two, alice, ports.SignInChanges{Forget: []session.Holder{{SignIn: signIn}, {SignIn: otherSignIn}, {SignIn: signIn, Actor: agent}}})
		remembers(t, b.one, alice)
		remembers(t, b.one, bob, signedIn(signIn, noon, noon))
		b.mayAsk(t, alices(otherSignIn, late), found, false)
	})
	t.Run("BlockedIsRefused", func(t *testing.T) {
		t.Parallel()
		b, found := arrange(t)
		signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{blocked(otherSignIn, noon)}})
		for _, verified := range []time.Time{{}, early, late} {
			b.mayAsk(t, alices(otherSignIn, verified), found, false)
			b.mayAsk(t, alices(signIn, verified), found, true)
		}
		actors := alices(otherSignIn, noon)
		actors.Actor = agent
		b.mayAsk(t, actors, found, true)
		theirs := alices(otherSignIn, noon)
		theirs.User = bob
		b.mayAsk(t, theirs, found, true)
		b.mayAsk(t, session.Bearer{}, found, true)
		if got, err := b.two.FindByID(t.Context(), alice, found.ID(), alices(otherSignIn, noon)); !errors.Is(err, session.KindSignedOut) || got.ID() != found.ID() {
			t.Errorf("FindByID = %s, %v, want the session and signed out", got.ID(), err)
		}
		remembers(t, b.two, alice)
	})
	t.Run("BlockStays", func(t *testing.T) {
		t.Parallel()
		b, found := arrange(t)
		signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{blocked(otherSignIn, noon)}})
		signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{signedIn(otherSignIn, noon, late)}})
		b.mayAsk(t, alices(otherSignIn, late), found, false)
	})
	t.Run("VerifiedBeforeTheMomentIsRefused", func(t *testing.T) {
		t.Parallel()
		b, found := arrange(t)
		signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{signedIn(signIn, early, early)}, Moment: noon})
		b.mayAsk(t, alices(otherSignIn, noon.Add(-time.Microsecond)), found, false)
		b.mayAsk(t, alices(otherSignIn, noon), found, true)
		b.mayAsk(t, alices(otherSignIn, time.Time{}), found, true) // it is seen just now
		b.mayAsk(t, alices(signIn, early), found, true)            // it is remembered
		actors := alices(signIn, early)
		actors.Actor = agent
		b.mayAsk(t, actors, found, false)
		theirs := alices(otherSignIn, early)
		theirs.User = bob
		b.mayAsk(t, theirs, found, true)
	})
	t.Run("MomentOnlyMovesForward", func(t *testing.T) {
		t.Parallel()
		b, found := arrange(t)
		for _, moment := range []time.Time{noon, early, {}} {
			signIns(t, b.one, alice, ports.SignInChanges{Moment: moment})
		}
		b.mayAsk(t, alices(otherSignIn, noon.Add(-time.Second)), found, false)
		signIns(t, b.one, alice, ports.SignInChanges{Moment: late})
		b.mayAsk(t, alices(otherSignIn, noon.Add(time.Second)), found, false)
		remembers(t, b.two, alice)
	})
	t.Run("RefusedUpdate", func(t *testing.T) {
		t.Parallel()
		b, _ := arrange(t)
		signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{blocked(otherSignIn, noon)}})
		err := b.two.Update(t.Context(), ports.Scope{User: alice, By: alices(otherSignIn, late)}, func(ports.Seen) (ports.Changes, error) {
			t.Error("change was called")
			return ports.Changes{}, nil
		})
		if !errors.Is(err, session.KindSignedOut) {
			t.Errorf("Update = %v, want signed out", err)
		}
	})
	t.Run("HolderBlocked", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		ends := func(s *session.Session) { s.Revoke(session.EndUser, noon) }
		mine, other, nobodys := b.insert(t, b.draft(phoneSlot), ends), b.insert(t, b.draft(phoneSlot, otherSignIn), ends), b.insert(t, b.draft(phoneSlot, session.SignInID{}), ends)
		signIns(t, b.one, alice, ports.SignInChanges{SignIns: []session.SignIn{signedIn(signIn, noon, noon), blocked(otherSignIn, noon)}})
		for of, want := range map[session.ID]bool{{}: false, mine.ID(): false, other.ID(): true, nobodys.ID(): false} {
			if got := look(t, b.two, ports.Scope{User: alice, Session: of}).HolderBlocked; got != want {
				t.Errorf("HolderBlocked for %s = %v, want %v", of, got, want)
			}
			if look(t, b.two, ports.Scope{User: bob, Session: of}).HolderBlocked {
				t.Errorf("HolderBlocked for %s as another user's = true", of)
			}
		}
	})
	t.Run("AllOrNothing", func(t *testing.T) {
		t.Parallel()
		b, found := arrange(t)
		draft := b.draft(laptopSlot)
		draft.Credential.Hash = found.Credential().Hash
		err := b.one.Update(t.Context(), ports.Scope{User: alice}, func(ports.Seen) (ports.Changes, error) {
			return ports.Changes{
				Sessions:      []session.Session{session.New(draft, noon)},
				SignInChanges: ports.SignInChanges{SignIns: []session.SignIn{blocked(otherSignIn, noon)}, Moment: late},
			}, nil
		})
		if !errors.Is(err, session.KindConflict) {
			t.Errorf("Update = %v, want a conflict", err)
		}
		b.mayAsk(t, alices(otherSignIn, early), found, true)
	})
	t.Run("ContinuesOwnSession", func(t *testing.T) {
		t.Parallel()
		continuesItsOwn(t, setup(t, open))
	})
	t.Run("ListedByActor", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		b.insert(t, b.draft(phoneSlot))
		agents := b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat, Device: phone, Actor: agent}))
		for actor, want := range map[session.Actor]int{{}: 2, agent: 1, session.Must(session.NewActor(session.ActorImpersonator, "agent_1")): 0} {
			got, err := b.two.List(t.Context(), ports.ListQuery{User: alice, Actor: actor, Limit: 9})
			if err != nil || len(got) != want || (want == 1 && got[0].ID() != agents.ID()) {
				t.Errorf("List of %q = %v, %v, want %d", actor, got, err, want)
			}
		}
	})
	t.Run("Purged", func(t *testing.T) {
		t.Parallel()
		purgesSignIns(t, setup(t, open))
	})
}

// continuesItsOwn checks which session a request continues.
func continuesItsOwn(t *testing.T, b *bench) {
	t.Helper()
	agentsSlot := session.Slot{User: alice, Workflow: chat, Actor: agent}
	agentsPhone := agentsSlot
	agentsPhone.Device = phone
	another := b.draft(anySlot, otherSignIn)
	another.Slot.Device = session.GenerateDeviceID(alice, noon.Add(time.Second))
	named, own, others := b.insert(t, b.draft(phoneSlot, otherSignIn)), b.insert(t, b.draft(anySlot)), b.insert(t, another)
	agents, agentsNamed := b.insert(t, b.draft(agentsSlot)), b.insert(t, b.draft(agentsPhone))
	third := session.Must(session.ParseSignInID("sess_3"))
	for _, test := range []struct {
		slot session.Slot
		by   session.SignInID
		want session.ID
	}{
		{phoneSlot, signIn, named.ID()},
		{phoneSlot, third, named.ID()},
		{agentsPhone, signIn, agentsNamed.ID()},
		{anySlot, signIn, own.ID()},
		{anySlot, otherSignIn, others.ID()},
		{anySlot, third, session.ID{}},
		{anySlot, session.SignInID{}, session.ID{}},
		{agentsSlot, signIn, agents.ID()},
		{agentsSlot, otherSignIn, session.ID{}},
	} {
		got, err := b.two.Find(t.Context(), test.slot, test.by)
		if test.want.IsZero() != errors.Is(err, session.KindNotFound) || got.ID() != test.want {
			t.Errorf("Find(%v, %s) = %s, %v, want %s", test.slot, test.by, got.ID(), err, test.want)
		}
	}
	for _, s := range []session.Session{named, agentsNamed} {
		got, err := b.two.FindByToken(t.Context(), s.Credential().Hash)
		if err != nil || got.Actor() != s.Actor() {
			t.Errorf("FindByToken has actor %q, %v, want %q", got.Actor(), err, s.Actor())
		}
	}
}

// purgesSignIns checks which sign-ins PurgeSignIns deletes.
func purgesSignIns(t *testing.T, b *bench) {
	t.Helper()
	at := func(name string, firstSeen, verified, blockedAt time.Duration) session.SignIn {
		stored := session.StoredSignIn{SignIn: name, FirstSeen: noon.Add(firstSeen), Verified: noon.Add(verified)}
		if blockedAt != 0 {
			stored.BlockedAt = noon.Add(blockedAt)
		}
		return session.RestoreSignIn(stored)
	}
	const old, older = -time.Second, -time.Hour
	seen, verified := at("sess_seen", 0, older, 0), at("sess_verified", older, 0, 0)
	holds := session.Must(session.ParseSignInID("sess_holds"))
	b.insert(t, b.draft(phoneSlot, holds))
	b.insert(t, b.draft(laptopSlot, signIn), func(s *session.Session) { s.Revoke(session.EndUser, noon) })
	signIns(t, b.one, alice, ports.SignInChanges{
		SignIns: []session.SignIn{
			at(signIn.String(), old, older, 0), at("sess_old", older, old, 0), at("sess_blocked", older, older, old),
			at(holds.String(), older, older, 0), seen, verified, at("sess_blocked_now", older, older, time.Microsecond),
		},
		Moment: noon.Add(old),
	})
	for _, want := range []int{3, 1, 0} { // with the moment, four are old
		n, err := b.two.PurgeSignIns(t.Context(), noon, 3)
		count(t, "PurgeSignIns", n, err, want)
	}
	remembers(t, b.one, alice, at(holds.String(), older, older, 0), seen, verified)
	found := b.insert(t, b.draft(session.Slot{User: alice, Workflow: help, Device: phone}))
	for name, want := range map[string]bool{"sess_blocked": true, "sess_blocked_now": false, "sess_new": true} {
		b.mayAsk(t, alices(session.Must(session.ParseSignInID(name)), noon.Add(older)), found, want)
	}
}
