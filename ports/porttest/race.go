package porttest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// racers is the number of concurrent goroutines in a race, half on each store: as
// many as a replica lets wait for one user.
const racers = 32

var (
	phoneSlot  = session.Slot{User: alice, Workflow: chat, Device: phone}
	laptopSlot = session.Slot{User: alice, Workflow: chat, Device: laptop}
	anySlot    = session.Slot{User: alice, Workflow: chat}
)

// deps returns the dependencies of the use cases on store, at noon.
func (b *bench) deps(store ports.Store) lifecycle.Deps {
	return lifecycle.Deps{
		Store: patient{store}, Secrets: store, Sealer: sealer{}, IDs: b.ids, Clock: clock{noon}, Meter: &b.anomalies,
		Usage: lifecycle.NewUsageBuffer(store, clock{noon}, time.Minute), Policy: session.DefaultPolicy(),
	}
}

// patient repeats an Update that could not begin: with all racers waiting for one
// user's lock, some wait on a slow machine for longer than a store lets them.
type patient struct{ ports.SessionStore }

// Update implements ports.SessionStore.
func (p patient) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) (err error) {
	for range 10 {
		begun := false
		err = p.SessionStore.Update(ctx, scope, func(seen ports.Seen) (ports.Changes, error) {
			begun = true
			return change(seen)
		})
		if begun || !errors.Is(err, session.KindUnavailable) {
			return err
		}
	}
	return err
}

func (b *bench) opener(store ports.Store) *lifecycle.Opener {
	return lifecycle.NewOpener(b.deps(store), chat)
}

// meter counts anomalies.
type meter struct{ atomic.Int32 }

func (m *meter) Anomaly(session.Rule) { m.Add(1) }

func (*meter) Refused(ports.LimitGroup) {}

func (*meter) Overloaded(ports.Work) {}

// race runs act concurrently, half on each store, and waits for all.
func (b *bench) race(act func(store ports.Store, n int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for n := range racers {
		store := []ports.Store{b.one, b.two}[n%2]
		group.Go(func() {
			<-start
			act(store, n)
		})
	}
	close(start)
	group.Wait()
}

// alicesCaller returns alice as the caller from a sign-in.
func alicesCaller(signIn session.SignInID) access.Caller {
	return access.Caller{Bearer: session.Bearer{User: alice, Holder: session.Holder{SignIn: signIn}}}
}

// raceToOpen makes all racers open with request and returns the results.
func (b *bench) raceToOpen(t *testing.T, requests ...ports.OpenRequest) []ports.Opened {
	t.Helper()
	got := make([]ports.Opened, racers)
	b.race(func(store ports.Store, n int) {
		var err error
		got[n], err = b.opener(store).Open(t.Context(), alicesCaller(signIn), requests[n%len(requests)])
		if err != nil {
			t.Errorf("Open: %v", err)
		}
	})
	return got
}

// agree checks that all callers got the same session and token, and that exactly one
// of them got the outcome once.
func agree(t *testing.T, got []ports.Opened, once session.Outcome) ports.Opened {
	t.Helper()
	outcomes := map[session.Outcome]int{}
	for _, opened := range got {
		outcomes[opened.Outcome]++
		if opened.Token != got[0].Token || opened.Session.ID() != got[0].Session.ID() {
			t.Errorf("callers got sessions %s and %s", opened.Session.ID(), got[0].Session.ID())
		}
	}
	if outcomes[once] != 1 || outcomes[session.OutcomeReused] != len(got)-1 {
		t.Errorf("outcomes = %v, want one %s and the others reused", outcomes, once)
	}
	return got[0]
}

// exactlyOneActive checks that slot had one active session. It counts by ending
// them, so that the first cannot hide a second.
func (b *bench) exactlyOneActive(t *testing.T, slot session.Slot) {
	t.Helper()
	for n := 0; ; n++ {
		ended, err := revoke(t.Context(), b.one, slot)
		if err != nil {
			t.Fatal(err)
		}
		if ended.IsZero() {
			if n != 1 {
				t.Errorf("%d sessions were active in %v, want 1", n, slot)
			}
			return
		}
	}
}

// staleRows are rows that a slot may have when a session is opened: each must be
// replaced by one new session.
var staleRows = map[string]func(*testing.T, *bench, session.Slot){
	"Nothing": func(*testing.T, *bench, session.Slot) {},
	"PastItsExpiry": func(t *testing.T, b *bench, slot session.Slot) {
		t.Helper()
		draft := b.draft(slot)
		draft.ExpiresAt = noon.Add(-time.Hour)
		b.insert(t, draft)
	},
	"ExpiresNow": func(t *testing.T, b *bench, slot session.Slot) {
		t.Helper()
		draft := b.draft(slot)
		draft.ExpiresAt = noon
		b.insert(t, draft)
	},
	"PastTheLongestLife": func(t *testing.T, b *bench, slot session.Slot) {
		t.Helper()
		draft := b.draft(slot)
		old := session.New(draft, noon.Add(-31*24*time.Hour))
		if err := put(t.Context(), b.one, alice, old); err != nil {
			t.Fatal(err)
		}
	},
	"EndedOnes": func(t *testing.T, b *bench, slot session.Slot) {
		t.Helper()
		b.insert(t, b.draft(slot), func(s *session.Session) { s.Revoke(session.EndUser, noon) })
		b.insert(t, b.draft(slot), func(s *session.Session) { s.Expire(noon) })
	},
	"OneOnAnotherDevice": func(t *testing.T, b *bench, _ session.Slot) {
		t.Helper()
		b.insert(t, b.draft(session.Slot{User: alice, Workflow: chat, Device: laptop}))
	},
	"GeneratedNameTaken": func(t *testing.T, b *bench, slot session.Slot) {
		t.Helper()
		taken := b.draft(anySlot)
		taken.Generated = false
		if slot.Device.IsZero() {
			b.insert(t, taken)
		}
	},
}

func testRace(t *testing.T, open Factory) {
	for slotName, slot := range map[string]session.Slot{"OnADevice": phoneSlot, "WithoutADevice": anySlot} {
		for name, arrange := range staleRows {
			t.Run("Open"+slotName+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, open)
				arrange(t, b, slot)
				agree(t, b.raceToOpen(t, ports.OpenRequest{Device: slot.Device}), session.OutcomeCreated)
				b.exactlyOneActive(t, slot)
			})
		}
		t.Run("Refresh"+slotName, func(t *testing.T) {
			t.Parallel()
			raceToRefresh(t, setup(t, open), slot)
		})
		t.Run("RevokeWhileRefreshing"+slotName, func(t *testing.T) {
			t.Parallel()
			endWhileOthersRefresh(t, setup(t, open), slot)
		})
		t.Run("CleanUpWhileOpening"+slotName, func(t *testing.T) {
			t.Parallel()
			cleanWhileOthersOpen(t, setup(t, open), slot)
		})
	}
	t.Run("NamedAndGeneratedDevice", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		named := ports.OpenRequest{Device: b.insert(t, b.draft(anySlot), nearExpiry).Device()}
		agree(t, b.raceToOpen(t, named, ports.OpenRequest{}), session.OutcomeRefreshed)
		b.exactlyOneActive(t, anySlot)
	})
	t.Run("TwoSignInsOneDevice", func(t *testing.T) {
		t.Parallel()
		raceForADevice(t, setup(t, open))
	})
	t.Run("TwoSignInsAndAnAgentWithoutDevice", func(t *testing.T) {
		t.Parallel()
		raceWithoutADevice(t, setup(t, open))
	})
	t.Run("SessionLimit", func(t *testing.T) {
		t.Parallel()
		raceForRoom(t, setup(t, open))
	})
	t.Run("Claim", func(t *testing.T) {
		t.Parallel()
		raceToClaim(t, setup(t, open))
	})
	t.Run("SupersededTokenRecordedOnce", func(t *testing.T) {
		t.Parallel()
		raceWithASupersededToken(t, setup(t, open))
	})
	t.Run("UpdatesOfOneUser", func(t *testing.T) {
		t.Parallel()
		updatesTakeTurns(t, setup(t, open))
	})
}

// nearExpiry leaves a session less than the default threshold of life.
func nearExpiry(s *session.Session) {
	s.Continue(nil, session.Decision{ExpiresAt: noon.Add(time.Minute)})
}

func raceToRefresh(t *testing.T, b *bench, slot session.Slot) {
	t.Helper()
	before := b.insert(t, b.draft(slot), nearExpiry)
	winner := agree(t, b.raceToOpen(t, ports.OpenRequest{Device: slot.Device}), session.OutcomeRefreshed)
	stored := find(t, b.two, slot)
	previous, until := stored.Previous()
	if previous != before.Credential().Hash || until != noon.Add(30*time.Second) {
		t.Errorf("rotated more than once or without grace: previous token accepted until %s", until)
	}
	if stored.ID() != before.ID() || stored.Credential().Hash != winner.Token.Hash() || stored.Credential().Hash == previous {
		t.Error("the stored token is not the winner's new one")
	}
	b.exactlyOneActive(t, slot)
}

// ledger has the tokens of sessions whose end was acknowledged.
type ledger struct {
	mu    sync.Mutex
	ended map[session.TokenHash]bool
}

func (l *ledger) add(hash session.TokenHash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[hash] = true
}

// snapshot returns a copy.
func (l *ledger) snapshot() map[session.TokenHash]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := make(map[session.TokenHash]bool, len(l.ended))
	for hash := range l.ended {
		ended[hash] = true
	}
	return ended
}

// endWhileOthersRefresh makes some racers end the session repeatedly while others
// open it, when it is always due for a refresh: no call returns a token whose end
// was acknowledged before the call.
func endWhileOthersRefresh(t *testing.T, b *bench, slot session.Slot) {
	t.Helper()
	b.insert(t, b.draft(slot), nearExpiry)
	book := ledger{ended: map[session.TokenHash]bool{}}
	b.race(func(store ports.Store, n int) {
		for range 3 {
			if n%8 == 0 {
				hash, err := revoke(t.Context(), store, slot)
				if err != nil {
					t.Errorf("revoke: %v", err)
				}
				book.add(hash)
				continue
			}
			ended := book.snapshot()
			opened, err := b.opener(store).Open(t.Context(), alicesCaller(signIn), ports.OpenRequest{Device: slot.Device})
			if err != nil {
				t.Errorf("Open: %v", err)
			}
			if ended[opened.Token.Hash()] {
				t.Error("Open returned the token of an ended session")
			}
		}
	})
	if _, err := b.opener(b.one).Open(t.Context(), alicesCaller(signIn), ports.OpenRequest{Device: slot.Device}); err != nil {
		t.Errorf("Open: %v", err)
	}
	b.exactlyOneActive(t, slot)
}

// cleanWhileOthersOpen makes the cleaner expire the rows that racers open.
func cleanWhileOthersOpen(t *testing.T, b *bench, slot session.Slot) {
	t.Helper()
	draft := b.draft(slot)
	draft.ExpiresAt = noon
	b.insert(t, draft)
	got := make([]ports.Opened, racers)
	b.race(func(store ports.Store, n int) {
		var err error
		if n%4 == 0 {
			_, err = store.ExpireDue(t.Context(), noon, 10)
		} else {
			got[n], err = b.opener(store).Open(t.Context(), alicesCaller(signIn), ports.OpenRequest{Device: slot.Device})
		}
		if err != nil {
			t.Error(err)
		}
	})
	for n, opened := range got {
		if n%4 != 0 && opened.Token != got[1].Token {
			t.Error("callers got different sessions")
		}
	}
	b.exactlyOneActive(t, slot)
}

// updatesTakeTurns checks that changes for one user never run concurrently, on any
// devices and stores, and that none is lost.
func updatesTakeTurns(t *testing.T, b *bench) {
	t.Helper()
	var inside, overlaps, done atomic.Int32
	b.race(func(store ports.Store, n int) {
		slot := device(alice, n%4)
		err := store.Update(t.Context(), ports.Scope{User: alice}, func(seen ports.Seen) (ports.Changes, error) {
			if inside.Add(1) > 1 {
				overlaps.Add(1)
			}
			defer inside.Add(-1)
			for range 100 {
				runtime.Gosched() // gives an Update that does not wait its chance
			}
			done.Add(1)
			if slices.ContainsFunc(seen.Sessions, func(s session.Session) bool { return in(slot, s) }) {
				return ports.Changes{}, nil
			}
			return ports.Changes{Sessions: []session.Session{session.New(b.draft(slot), noon)}}, nil
		})
		if err != nil {
			t.Errorf("Update: %v", err)
		}
	})
	if overlaps.Load() != 0 || done.Load() != racers {
		t.Errorf("%d changes ran, %d while another was running", done.Load(), overlaps.Load())
	}
}

// active returns alice's active sessions.
func (b *bench) active(t *testing.T) []session.Session {
	t.Helper()
	found, err := b.two.List(t.Context(), ports.ListQuery{User: alice, Status: session.StatusActive, Cutoff: session.DefaultPolicy().Cutoff(noon), Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// happened returns the number of records of a type in alice's timeline.
func (b *bench) happened(t *testing.T, what session.ActivityType) int {
	t.Helper()
	n := 0
	for _, a := range timeline(t, b.two, alice) {
		if a.Type == what {
			n++
		}
	}
	return n
}

// raceForRoom opens sessions on many devices concurrently, beside existing ones.
func raceForRoom(t *testing.T, b *bench) {
	t.Helper()
	const before = 4
	for n := range before {
		draft := b.draft(device(alice, racers+n))
		if err := put(t.Context(), b.one, alice, session.New(draft, noon.Add(-time.Minute))); err != nil {
			t.Fatal(err)
		}
	}
	b.race(func(store ports.Store, n int) {
		_, err := b.opener(store).Open(t.Context(), alicesCaller(signIn), ports.OpenRequest{Device: device(alice, n).Device})
		if err != nil {
			t.Errorf("Open: %v", err)
		}
		if left := len(b.active(t)); left > 10 {
			t.Errorf("%d sessions are active", left)
		}
	})
	active := b.active(t)
	if len(active) != 10 || b.happened(t, session.ActivityLimit) != racers+before-10 || b.happened(t, session.ActivityCreated) != racers {
		t.Errorf("%d sessions are active, %d ended at the limit", len(active), b.happened(t, session.ActivityLimit))
	}
	for _, s := range active {
		if s.CreatedAt().Before(noon) {
			t.Error("a session was kept that is less recently used than one that ended")
		}
	}
}

// raceToClaim claims one transfer code concurrently.
func raceToClaim(t *testing.T, b *bench) {
	t.Helper()
	moved := b.insert(t, b.draft(phoneSlot))
	b.insert(t, b.draft(laptopSlot))
	mine := alicesCaller(otherSignIn)
	offered, err := lifecycle.NewTransferrer(b.deps(b.one)).Offer(t.Context(), alicesCaller(signIn), moved.ID())
	if err != nil {
		t.Fatal(err)
	}
	var claimed atomic.Int32
	b.race(func(store ports.Store, _ int) {
		opened, err := lifecycle.NewTransferrer(b.deps(store)).Claim(t.Context(), mine, offered.Code.Reveal(), laptop)
		switch {
		case err == nil:
			claimed.Add(1)
			if opened.Session.ID() != moved.ID() || opened.Session.Device() != laptop {
				t.Errorf("Claim = session %s on %s", opened.Session.ID(), opened.Session.Device())
			}
		case !errors.Is(err, session.KindNotFound):
			t.Errorf("Claim: %v", err)
		}
	})
	if claimed.Load() != 1 || len(b.active(t)) != 1 || b.happened(t, session.ActivityTransferred) != 1 || b.happened(t, session.ActivityRevoked) != 1 {
		t.Errorf("%d claims succeeded, %d sessions are active", claimed.Load(), len(b.active(t)))
	}
	findsNothing(t, b.one, phoneSlot)
	if _, err := b.one.FindByToken(t.Context(), moved.Credential().Hash); !errors.Is(err, session.KindNotFound) {
		t.Errorf("FindByToken with the old device's token = %v", err)
	}
}

// raceWithASupersededToken checks a superseded token concurrently, after its grace.
func raceWithASupersededToken(t *testing.T, b *bench) {
	t.Helper()
	old := session.Must(b.ids.Token())
	draft := b.draft(phoneSlot)
	draft.Credential.Hash = old.Hash()
	b.insert(t, draft, func(s *session.Session) { s.Rotate(b.draft(phoneSlot).Credential, noon, noon.Add(time.Hour), noon) })
	b.race(func(store ports.Store, _ int) {
		if _, err := lifecycle.NewChecker(b.deps(store)).Check(t.Context(), old.Reveal(), elsewhere); !errors.Is(err, session.KindNotFound) {
			t.Errorf("Check = %v, want not found", err)
		}
	})
	if records, counted := b.happened(t, session.ActivityAnomaly), b.anomalies.Load(); records != 1 || counted != 1 {
		t.Errorf("the anomaly was recorded %d times and counted %d times, want 1", records, counted)
	}
}

// clock is a ports.Clock with a fixed time.
type clock struct{ now time.Time }

func (c clock) Now() time.Time { return c.now }

// sealer is a ports.Sealer that does not encrypt. It only binds a token to its
// session.
type sealer struct{}

func (sealer) Seal(id session.ID, token session.Token) ([]byte, error) {
	return []byte(id.String() + "/" + token.Reveal()), nil
}

func (sealer) Unseal(id session.ID, sealed []byte) (session.Token, error) {
	prefix := len(id.String()) + 1
	if len(sealed) <= prefix || string(sealed[:prefix]) != id.String()+"/" {
		return session.Token{}, session.Wrap(session.KindUnreadable, errors.New("sealed for another session"))
	}
	return session.ParseToken(string(sealed[prefix:]))
}

var (
	_ ports.Sealer = sealer{}
	_ ports.Clock  = clock{}
)

// raceForADevice makes two sign-ins open the same device concurrently. Each call
// returns a session that its caller holds; in the end one is active.
func raceForADevice(t *testing.T, b *bench) {
	t.Helper()
	b.race(func(store ports.Store, n int) {
		caller := alicesCaller([]session.SignInID{signIn, otherSignIn}[n/2%2])
		opened, err := b.opener(store).Open(t.Context(), caller, ports.OpenRequest{Device: phone})
		if err != nil {
			t.Errorf("Open: %v", err)
			return
		}
		if opened.Session.Holder() != caller.Holder {
			t.Errorf("caller %v got a session that %v holds", caller.Holder, opened.Session.Holder())
		}
	})
	if left := len(b.active(t)); left != 1 {
		t.Errorf("%d sessions are active on the device, want 1", left)
	}
}

// raceWithoutADevice makes two sign-ins, and an agent in one of them, open without a
// device concurrently: each gets one session.
func raceWithoutADevice(t *testing.T, b *bench) {
	t.Helper()
	callers := []access.Caller{alicesCaller(signIn), alicesCaller(otherSignIn), alicesCaller(signIn)}
	callers[2].Actor = agent
	tokens := make([]session.Token, racers)
	b.race(func(store ports.Store, n int) {
		opened, err := b.opener(store).Open(t.Context(), callers[n/2%len(callers)], ports.OpenRequest{})
		if err != nil {
			t.Errorf("Open: %v", err)
		}
		tokens[n] = opened.Token
	})
	for n, token := range tokens {
		if own := token == tokens[2*(n/2%len(callers))]; !own {
			t.Error("callers of one sign-in got different sessions")
		}
	}
	if left := len(b.active(t)); left != len(callers) {
		t.Errorf("%d sessions are active, want %d", left, len(callers))
	}
}
