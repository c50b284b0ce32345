// Package porttest has one contract test suite for each outbound port. Every adapter
// of a port passes the same suite: a bug found in one adapter becomes a test case
// for all.
package porttest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Factory opens two independent stores, like those of two replicas, on one new and
// empty database. It closes them when the test ends.
type Factory func(t *testing.T) (one, two ports.Store)

// Sessions tests ports.Store, including the invariants that a store can break.
func Sessions(t *testing.T, open Factory) {
	t.Helper()
	groups := map[string]func(*testing.T, Factory){
		"Find":      testFind,
		"ByToken":   testFindByToken,
		"ByOffer":   testFindByOffer,
		"Usage":     testUsage,
		"Activity":  testActivity,
		"Admin":     testAdmin,
		"OfAUser":   testOfAUser,
		"List":      testList,
		"RoundTrip": testRoundTrip,
		"Update":    testUpdate,
		"Conflict":  testConflict,
		"Cancelled": testCancelled,
		"Cleaner":   testCleaner,
		"Probe":     testProbe,
		"Lease":     testLease,
		"Race":      testRace,
		"SignIns":   testSignIns,
	}
	for name, group := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group(t, open)
		})
	}
}

// noon is the time of all tests.
var noon = time.Date(2025, 1, 1, 12, 0, 0, 123456000, time.UTC)

var (
	alice  = session.Must(session.ParseUserID("user_alice"))
	bob    = session.Must(session.ParseUserID("user_bob"))
	phone  = session.Must(session.ParseDeviceID("phone"))
	laptop = session.Must(session.ParseDeviceID("laptop"))
	chat   = session.Must(session.ParseWorkflowID("workflow_chat"))
	help   = session.Must(session.ParseWorkflowID("workflow_help"))
	signIn = session.Must(session.ParseSignInID("sess_1"))
	agent  = session.Must(session.NewActor(session.ActorAgent, "agent_1"))

	here      = session.NewSource(netip.MustParseAddr("192.0.2.1"), session.NewClient("Firefox 133", "Linux", "desktop"))
	elsewhere = session.NewSource(netip.MustParseAddr("2001:db8::1"), session.NewClient("Safari 18", "iOS 18", "mobile"))
)

// bench is two stores on one database, with a source of unique ids.
type bench struct {
	one, two  ports.Store
	ids       *identifiers
	anomalies meter
}

func setup(t *testing.T, open Factory) *bench {
	t.Helper()
	one, two := open(t)
	return &bench{one: one, two: two, ids: newIdentifiers()}
}

// draft returns a draft for a session in slot that lives for an hour. Without a
// device in slot, the device is a generated one. by overrides the usual sign-in.
func (b *bench) draft(slot session.Slot, by ...session.SignInID) session.Draft {
	id, token := session.Must(b.ids.SessionID()), session.Must(b.ids.Token())
	d := session.Draft{
		ID:         id,
		Slot:       slot,
		SignIn:     signIn,
		Credential: session.Credential{Hash: token.Hash(), Sealed: session.Must(sealer{}.Seal(id, token))},
		ExpiresAt:  noon.Add(time.Hour),
		Source:     here,
	}
	if len(by) > 0 {
		d.SignIn = by[0]
	}
	if slot.Device.IsZero() {
		d.Slot.Device, d.Generated = session.GenerateDeviceID(slot.User, noon), true
	}
	return d
}

// insert stores a new session of draft, created at noon, after applying the given
// changes.
func (b *bench) insert(t testing.TB, draft session.Draft, changes ...func(*session.Session)) session.Session {
	t.Helper()
	s := session.New(draft, noon)
	for _, change := range changes {
		change(&s)
	}
	if err := put(t.Context(), b.one, draft.Slot.User, s); err != nil {
		t.Fatalf("insert: %v", err)
	}
	return s
}

// put writes a user's sessions unconditionally.
func put(ctx context.Context, store ports.SessionStore, user session.UserID, sessions ...session.Session) error {
	return store.Update(ctx, ports.Scope{User: user}, func(ports.Seen) (ports.Changes, error) {
		return ports.Changes{Sessions: sessions}, nil
	})
}

// in reports whether the usual sign-in's request for slot continues s.
func in(slot session.Slot, s session.Session) bool {
	mine := s.Device() == slot.Device || (slot.Device.IsZero() && s.Generated() && s.Holder().SignIn == signIn)
	return s.Status() == session.StatusActive && s.Workflow() == slot.Workflow && s.Actor() == slot.Actor && mine
}

// change applies with to the session in slot, if there is one, and stores it.
func change(ctx context.Context, store ports.SessionStore, slot session.Slot, with func(*session.Session)) error {
	return store.Update(ctx, ports.Scope{User: slot.User}, func(seen ports.Seen) (ports.Changes, error) {
		for _, s := range seen.Sessions {
			if in(slot, s) {
				with(&s)
				return ports.Changes{Sessions: []session.Session{s}}, nil
			}
		}
		return ports.Changes{}, nil
	})
}

// revoke ends the active session in slot and returns its token's hash, zero when
// there is none.
func revoke(ctx context.Context, store ports.SessionStore, slot session.Slot) (session.TokenHash, error) {
	var ended session.TokenHash
	err := change(ctx, store, slot, func(s *session.Session) {
		ended = s.Credential().Hash
		s.Revoke(session.EndUser, noon)
	})
	return ended, err
}

func find(t *testing.T, store ports.SessionStore, slot session.Slot) session.Session {
	t.Helper()
	s, err := store.Find(t.Context(), slot, signIn)
	if err != nil {
		t.Fatalf("Find(%v): %v", slot, err)
	}
	return s
}

func findsNothing(t *testing.T, store ports.SessionStore, slot session.Slot) {
	t.Helper()
	if s, err := store.Find(t.Context(), slot, signIn); !errors.Is(err, session.KindNotFound) {
		t.Errorf("Find(%v) = %s, %v, want not found", slot, s.ID(), err)
	}
}

func testFind(t *testing.T, open Factory) {
	t.Run("EmptyStore", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		findsNothing(t, b.one, session.Slot{User: alice, Workflow: chat})
		findsNothing(t, b.one, session.Slot{User: alice, Workflow: chat, Device: phone})
	})
	t.Run("OwnSlotOnly", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		slot := session.Slot{User: alice, Workflow: chat, Device: phone}
		want := b.insert(t, b.draft(slot))
		for _, store := range []ports.Store{b.one, b.two} {
			if got := find(t, store, slot); got.ID() != want.ID() {
				t.Errorf("found %s, want %s", got.ID(), want.ID())
			}
			findsNothing(t, store, session.Slot{User: bob, Workflow: chat, Device: phone})
			findsNothing(t, store, session.Slot{User: alice, Workflow: help, Device: phone})
			findsNothing(t, store, session.Slot{User: alice, Workflow: chat, Device: laptop})
		}
	})
	t.Run("GeneratedDeviceOnly", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		anyDevice := session.Slot{User: alice, Workflow: chat}
		// A device id in the format of generated ones does not make it generated.
		looksGenerated := session.Slot{User: alice, Workflow: chat, Device: session.GenerateDeviceID(alice, noon.Add(time.Second))}
		b.insert(t, b.draft(looksGenerated))
		findsNothing(t, b.two, anyDevice)

		generated := b.insert(t, b.draft(anyDevice))
		if got := find(t, b.two, anyDevice); got.ID() != generated.ID() || !got.Generated() {
			t.Errorf("found %s, generated %v", got.ID(), got.Generated())
		}
		byName := session.Slot{User: alice, Workflow: chat, Device: generated.Device()}
		if got := find(t, b.two, byName); got.ID() != generated.ID() || !got.Generated() {
			t.Errorf("with its device id, found %s, generated %v", got.ID(), got.Generated())
		}
	})
	t.Run("ActiveOnly", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		slot := session.Slot{User: alice, Workflow: chat, Device: phone}
		b.insert(t, b.draft(slot), func(s *session.Session) { s.Revoke(session.EndUser, noon) })
		b.insert(t, b.draft(slot), func(s *session.Session) { s.Expire(noon) })
		findsNothing(t, b.two, slot)
		stale := b.draft(slot)
		stale.ExpiresAt = noon.Add(-time.Hour)
		want := b.insert(t, stale)
		if got := find(t, b.two, slot); got.ID() != want.ID() {
			t.Errorf("found %s, want the stale one: only status counts", got.ID())
		}
	})
}

func testRoundTrip(t *testing.T, open Factory) {
	slot := session.Slot{User: alice, Workflow: chat, Device: phone}
	t.Run("EveryField", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := b.insert(t, b.draft(slot), func(s *session.Session) {
			next := b.draft(slot)
			s.Rotate(next.Credential, noon.Add(time.Microsecond), noon.Add(2*time.Hour+time.Microsecond), noon.Add(30*time.Second))
		})
		same(t, find(t, b.two, slot), want)
	})
	t.Run("Replaced", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := b.insert(t, b.draft(slot))
		metadata := session.Must(session.NewMetadata(map[string]any{"version": "2"}))
		want.Continue(&metadata, session.Decision{ExpiresAt: noon.Add(3 * time.Hour), Remembered: true})
		want.Rotate(b.draft(slot).Credential, noon.Add(time.Second), noon.Add(4*time.Hour), noon.Add(time.Minute))
		want.SeeSuperseded()
		want.OfferTransfer(session.Must(b.ids.TransferCode()).Hash(), noon.Add(2*time.Minute))
		want.RefuseTransfer()
		if err := put(t.Context(), b.two, slot.User, want); err != nil {
			t.Fatal(err)
		}
		same(t, find(t, b.one, slot), want)
	})
	t.Run("Moved", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat}))
		want.Move(phone, otherSignIn, b.draft(slot).Credential, elsewhere, noon.Add(time.Second))
		if err := put(t.Context(), b.two, alice, want); err != nil {
			t.Fatal(err)
		}
		same(t, find(t, b.one, slot), want)
	})
	t.Run("Ended", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := b.insert(t, b.draft(slot))
		want.OfferTransfer(session.Must(b.ids.TransferCode()).Hash(), noon.Add(2*time.Minute))
		want.Revoke(session.EndAdmin, noon.Add(time.Second))
		if err := put(t.Context(), b.two, alice, want); err != nil {
			t.Fatal(err)
		}
		got, err := b.one.FindByID(t.Context(), alice, want.ID(), session.Bearer{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, want)
	})
	t.Run("Unsealed", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		draft := b.draft(slot)
		draft.Credential.Sealed = nil
		b.insert(t, draft)
		if got := find(t, b.two, slot).Credential().Sealed; len(got) != 0 {
			t.Errorf("sealed = %q", got)
		}
	})
	for name, tree := range map[string]map[string]any{
		"Empty":   {},
		"Null":    {"none": nil},
		"Unicode": {"ключ": "значение 👩‍👩‍👧 \u2028 \u0001 \" \\ </script>", "": "empty name"},
		"Numbers": {"n": []any{0.0, -1.5, 1e300, 5e-324, 1.7976931348623157e308, 9007199254740991.0, 0.1}},
		"Nested":  {"a": map[string]any{"b": []any{[]any{}, map[string]any{}, true, "x"}}},
		"Deepest": nested(session.MaxMetadataLevels),
		"Large":   {"text": strings.Repeat("é", session.MaxMetadataBytes/2-12)},
		"Markup":  {"text": strings.Repeat("<", session.MaxMetadataBytes-24)},
	} {
		t.Run("Metadata"+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, open)
			draft := b.draft(slot)
			draft.Metadata = session.Must(session.NewMetadata(tree))
			b.insert(t, draft)
			if got := find(t, b.two, slot).Metadata(); !got.Equal(draft.Metadata) {
				t.Errorf("metadata = %v, want %v", got.Tree(), tree)
			}
		})
	}
}

func nested(levels int) map[string]any {
	tree := map[string]any{}
	for range levels - 1 {
		tree = map[string]any{"a": tree}
	}
	return tree
}

// same checks that got equals want in every field, including times to the
// microsecond and their zone, UTC.
func same(t *testing.T, got, want session.Session) {
	t.Helper()
	if gotText, wantText := fmt.Sprintf("%+v", got.Stored()), fmt.Sprintf("%+v", want.Stored()); gotText != wantText {
		t.Errorf("got  %s\nwant %s", gotText, wantText)
	}
}

func testUpdate(t *testing.T, open Factory) {
	slot := session.Slot{User: alice, Workflow: chat, Device: phone}
	t.Run("Scope", func(t *testing.T) {
		t.Parallel()
		updateShowsItsScope(t, setup(t, open))
	})
	t.Run("NoChanges", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := b.insert(t, b.draft(slot))
		if err := put(t.Context(), b.two, alice); err != nil {
			t.Fatal(err)
		}
		same(t, find(t, b.one, slot), want)
	})
	t.Run("ChangeFails", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		refused := errors.New("refused")
		err := b.one.Update(t.Context(), ports.Scope{User: alice}, func(ports.Seen) (ports.Changes, error) {
			return ports.Changes{Sessions: []session.Session{session.New(b.draft(slot), noon)}}, refused
		})
		if !errors.Is(err, refused) || session.KindOf(err) != session.KindInternal {
			t.Errorf("Update = %v, want %v unwrapped", err, refused)
		}
		findsNothing(t, b.one, slot)
	})
	// Ending sessions make room for others in any order.
	t.Run("EndedSessionsMakeRoom", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		moved, ends, stale := b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat})), b.insert(t, b.draft(slot)), b.insert(t, b.draft(laptopSlot))
		moved.Move(phone, signIn, b.draft(slot).Credential, here, noon)
		ends.Revoke(session.EndTransferred, noon)
		stale.Expire(noon)
		fresh, generated := session.New(b.draft(laptopSlot), noon), session.New(b.draft(session.Slot{User: alice, Workflow: chat}), noon)
		if err := put(t.Context(), b.one, alice, generated, fresh, moved, ends, stale); err != nil {
			t.Fatal(err)
		}
		same(t, find(t, b.two, slot), moved)
		same(t, find(t, b.two, laptopSlot), fresh)
		same(t, find(t, b.two, session.Slot{User: alice, Workflow: chat}), generated)
	})
	t.Run("AllOrNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := b.insert(t, b.draft(slot))
		taken := b.draft(slot)
		taken.Credential.Hash = want.Credential().Hash
		ended := want
		ended.Expire(noon)
		if err := put(t.Context(), b.one, slot.User, ended, session.New(taken, noon)); !errors.Is(err, session.KindConflict) {
			t.Errorf("Update = %v, want a conflict", err)
		}
		same(t, find(t, b.two, slot), want)
	})
	t.Run("ChangePanics", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		func() {
			defer func() { _ = recover() }()
			_ = b.one.Update(t.Context(), ports.Scope{User: alice}, func(ports.Seen) (ports.Changes, error) { panic("bug") })
		}()
		want := b.insert(t, b.draft(slot))
		same(t, find(t, b.two, slot), want)
	})
}

// updateShowsItsScope checks which sessions Update shows, and in which order.
func updateShowsItsScope(t *testing.T, b *bench) {
	t.Helper()
	early := func(s *session.Session) { s.Revoke(session.EndUser, noon) }
	active := b.insert(t, b.draft(phoneSlot))
	stale := b.draft(laptopSlot)
	stale.ExpiresAt = noon
	due := b.insert(t, stale)
	help := b.insert(t, b.draft(session.Slot{User: alice, Workflow: help, Device: phone}))
	b.insert(t, b.draft(session.Slot{User: bob, Workflow: chat, Device: phone}))
	ended := b.insert(t, b.draft(laptopSlot), early)
	theirs := b.insert(t, b.draft(session.Slot{User: bob, Workflow: chat, Device: laptop}), early)
	at := func(n int, slot session.Slot) session.Session {
		s := session.New(b.draft(slot), noon.Add(time.Duration(n)*time.Microsecond))
		s.Revoke(session.EndUser, s.CreatedAt())
		if err := put(t.Context(), b.one, alice, s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	at(1, laptopSlot)
	young := at(2, laptopSlot)
	at(3, device(alice, 1))
	younger := at(4, device(alice, 1))
	for _, test := range []struct {
		scope ports.Scope
		want  []session.Session
	}{
		{ports.Scope{User: alice}, []session.Session{active, due, help}},
		{ports.Scope{User: alice, Session: ended.ID()}, []session.Session{active, due, help, ended}},
		{ports.Scope{User: alice, Session: due.ID()}, []session.Session{active, due, help}},
		{ports.Scope{User: alice, Session: theirs.ID()}, []session.Session{active, due, help}},
		{ports.Scope{User: alice, Session: session.Must(session.ParseID("x"))}, []session.Session{active, due, help}},
		{ports.Scope{User: alice, Session: younger.ID(), CreatedAfter: noon, NewDevices: 2}, []session.Session{active, due, help, young, younger}},
		{ports.Scope{User: alice, CreatedAfter: noon, NewDevices: 2}, []session.Session{active, due, help, young, younger}},
		{ports.Scope{User: alice, CreatedAfter: noon, NewDevices: 1}, []session.Session{active, due, help, younger}},
		{ports.Scope{User: alice, CreatedAfter: noon.Add(4 * time.Microsecond), NewDevices: 2}, []session.Session{active, due, help}},
		{ports.Scope{User: session.Must(session.ParseUserID("user_carol")), CreatedAfter: noon.Add(-time.Hour), NewDevices: 9}, nil},
	} {
		err := b.two.Update(t.Context(), test.scope, func(seen ports.Seen) (ports.Changes, error) {
			sameList(t, seen.Sessions, test.want...)
			return ports.Changes{}, nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// sameList checks that got equals want, in order.
func sameList(t *testing.T, got []session.Session, want ...session.Session) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d sessions, want %d", len(got), len(want))
	}
	for i := range got {
		same(t, got[i], want[i])
	}
}

func testConflict(t *testing.T, open Factory) {
	slot := session.Slot{User: alice, Workflow: chat, Device: phone}
	conflicts := func(t *testing.T, b *bench, draft session.Draft) {
		t.Helper()
		if err := put(t.Context(), b.two, draft.Slot.User, session.New(draft, noon)); !errors.Is(err, session.KindConflict) {
			t.Errorf("Update = %v, want a conflict", err)
		}
	}
	t.Run("DeviceTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		want := b.insert(t, b.draft(slot))
		conflicts(t, b, b.draft(slot))
		same(t, find(t, b.one, slot), want)
	})
	t.Run("GeneratedDeviceTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		generated := session.Slot{User: alice, Workflow: chat}
		b.insert(t, b.draft(generated))
		second := b.draft(generated)
		second.Slot.Device = session.GenerateDeviceID(alice, noon.Add(time.Second))
		conflicts(t, b, second)
	})
	t.Run("TokenTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		first := b.insert(t, b.draft(slot), func(s *session.Session) { s.Revoke(session.EndUser, noon) })
		other := b.draft(session.Slot{User: bob, Workflow: chat, Device: laptop})
		other.Credential.Hash = first.Credential().Hash
		conflicts(t, b, other)
		findsNothing(t, b.one, other.Slot)
	})
	t.Run("CodeTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		code := session.Must(b.ids.TransferCode()).Hash()
		b.insert(t, b.draft(slot), func(s *session.Session) { s.OfferTransfer(code, noon) })
		other := b.insert(t, b.draft(session.Slot{User: bob, Workflow: chat, Device: laptop}))
		other.OfferTransfer(code, noon)
		if err := put(t.Context(), b.two, bob, other); !errors.Is(err, session.KindConflict) {
			t.Errorf("Update = %v, want a conflict", err)
		}
	})
	t.Run("OtherSlots", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat, Device: phone, Actor: agent}))
		b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat, Actor: agent}))
		another := b.draft(session.Slot{User: alice, Workflow: chat}, otherSignIn)
		another.Slot.Device = session.GenerateDeviceID(alice, noon.Add(time.Second))
		b.insert(t, another)
		b.insert(t, b.draft(slot))
		b.insert(t, b.draft(session.Slot{User: bob, Workflow: chat, Device: phone}))
		b.insert(t, b.draft(session.Slot{User: alice, Workflow: help, Device: phone}))
		b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat, Device: laptop}))
		b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat}))
		b.insert(t, b.draft(session.Slot{User: alice, Workflow: help}))
	})
}

func testCancelled(t *testing.T, open Factory) {
	slot := session.Slot{User: alice, Workflow: chat, Device: phone}
	t.Run("BeforeTheCall", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		calls := map[string]error{}
		_, calls["Find"] = b.one.Find(ctx, slot, signIn)
		calls["Update"] = put(ctx, b.one, slot.User, session.New(b.draft(slot), noon))
		_, calls["ExpireDue"] = b.one.ExpireDue(ctx, noon, 1)
		_, calls["PurgeEnded"] = b.one.PurgeEnded(ctx, noon, 1)
		_, calls["PurgeActivity"] = b.one.PurgeActivity(ctx, noon, 1)
		_, calls["PurgeSignIns"] = b.one.PurgeSignIns(ctx, noon, 1)
		_, calls["FindByID"] = b.one.FindByID(ctx, alice, session.Must(b.ids.SessionID()), session.Bearer{})
		_, calls["FindByToken"] = b.one.FindByToken(ctx, session.TokenHash{1})
		_, calls["FindByOffer"] = b.one.FindByOffer(ctx, session.TokenHash{1}, session.Bearer{})
		_, calls["List"] = b.one.List(ctx, ports.ListQuery{User: alice, Limit: 1})
		_, calls["ListActivity"] = b.one.ListActivity(ctx, ports.ActivityQuery{User: alice, Limit: 1})
		_, calls["Touch"] = b.one.Touch(ctx, []session.Use{{Session: session.Must(b.ids.SessionID()), At: noon}})
		_, calls["OwnerOf"] = b.one.OwnerOf(ctx, session.Must(b.ids.SessionID()), session.Bearer{})
		_, calls["Stats"] = b.one.Stats(ctx, session.Bearer{}, session.DefaultPolicy().Cutoff(noon), noon)
		_, calls["Now"] = b.one.Now(ctx)
		for name, err := range calls {
			if !errors.Is(err, session.KindUnavailable) {
				t.Errorf("%s = %v, want unavailable", name, err)
			}
		}
		findsNothing(t, b.one, slot)
	})
	t.Run("DuringChange", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		ctx, cancel := context.WithCancel(t.Context())
		err := b.one.Update(ctx, ports.Scope{User: alice}, func(ports.Seen) (ports.Changes, error) {
			cancel()
			return ports.Changes{Sessions: []session.Session{session.New(b.draft(slot), noon)}}, nil
		})
		if !errors.Is(err, session.KindUnavailable) {
			t.Errorf("Update = %v, want unavailable", err)
		}
		findsNothing(t, b.two, slot)
		b.insert(t, b.draft(slot)) // the lock is free
	})
	t.Run("WhileWaiting", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		err := b.one.Update(t.Context(), ports.Scope{User: alice}, func(ports.Seen) (ports.Changes, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := put(ctx, b.two, slot.User, session.New(b.draft(slot), noon)); !errors.Is(err, session.KindUnavailable) {
				t.Errorf("the waiting Update = %v, want unavailable", err)
			}
			return ports.Changes{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		findsNothing(t, b.one, slot)
	})
}

func testProbe(t *testing.T, open Factory) {
	b := setup(t, open)
	before := time.Now().Add(-time.Minute)
	now, err := b.one.Now(t.Context())
	if err != nil || now.Location() != time.UTC || now.Before(before) || now.After(time.Now().Add(time.Minute)) {
		t.Errorf("Now = %s, %v", now, err)
	}
}
