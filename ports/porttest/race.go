package porttest

import (
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

// racers is how many goroutines do the same at once, half on each store: as many
// as a replica lets wait for one user.
const racers = 32

var (
	phoneSlot  = session.Slot{User: alice, Workflow: chat, Device: phone}
	laptopSlot = session.Slot{User: alice, Workflow: chat, Device: laptop}
	anySlot    = session.Slot{User: alice, Workflow: chat}
)

// deps are the real use cases' on store, at noon.
func (b *bench) deps(store ports.Store) lifecycle.Deps {
	return lifecycle.Deps{
		Store: store, Secrets: store, Sealer: sealer{}, IDs: b.ids, Clock: clock{noon}, Meter: &b.anomalies,
		Usage: lifecycle.NewUsageBuffer(store, clock{noon}, time.Minute), Policy: session.DefaultPolicy(),
	}
}

func (b *bench) opener(store ports.Store) *lifecycle.Opener {
	return lifecycle.NewOpener(b.deps(store), chat)
}

// meter counts anomalies.
type meter struct{ atomic.Int32 }

func (m *meter) Anomaly(session.Rule) { m.Add(1) }

func (*meter) Refused(ports.LimitGroup) {}

func (*meter) Overloaded(ports.Work) {}

// race runs act racers times at once, half on each store, and returns when all
// are done.
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

// alicesCaller is alice in a sign-in.
func alicesCaller(signIn session.SignInID) access.Caller {
	return access.Caller{Bearer: session.Bearer{User: alice, Holder: session.Holder{SignIn: signIn}}}
}

// raceToOpen lets all racers open what request says and returns what they got.
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

// agree checks that all callers got one session and one token, and that
// exactly one of them got the outcome that happens once.
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

// exactlyOneActive ends what is active in slot and checks that it was one
// session. It counts by ending, so that no second one hides behind the first.
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

// staleRows are the kinds of rows that may lie in a slot when somebody opens
// it anew: each must give way to one new session.
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
		t.Run("EndWhileOthersRefresh"+slotName, func(t *testing.T) {
			t.Parallel()
			endWhileOthersRefresh(t, setup(t, open), slot)
		})
		t.Run("CleanWhileOthersOpen"+slotName, func(t *testing.T) {
			t.Parallel()
			cleanWhileOthersOpen(t, setup(t, open), slot)
		})
	}
	t.Run("ByNameAndWithout", func(t *testing.T) {
		t.Parallel()
		b := setup(t, open)
		named := ports.OpenRequest{Device: b.insert(t, b.draft(anySlot), nearExpiry).Device()}
		agree(t, b.raceToOpen(t, named, ports.OpenRequest{}), session.OutcomeRefreshed)
		b.exactlyOneActive(t, anySlot)
	})
	t.Run("TwoSignInsOnADevice", func(t *testing.T) {
		t.Parallel()
		raceForADevice(t, setup(t, open))
	})
	t.Run("TwoSignInsAndAnAgentWithoutADevice", func(t *testing.T) {
		t.Parallel()
		raceWithoutADevice(t, setup(t, open))
	})
	t.Run("AtMostTenSessions", func(t *testing.T) {
		t.Parallel()
		raceForRoom(t, setup(t, open))
	})
	t.Run("OneClaimOfMany", func(t *testing.T) {
		t.Parallel()
		raceToClaim(t, setup(t, open))
	})
	t.Run("ASupersededTokenIsReportedOnce", func(t *testing.T) {
		t.Parallel()
		raceWithASupersededToken(t, setup(t, open))
	})
	t.Run("UpdatesOfAUserTakeTurns", func(t *testing.T) {
		t.Parallel()
		updatesTakeTurns(t, setup(t, open))
	})
}

// nearExpiry leaves a session less than the default threshold.
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
		t.Errorf("rotated more than once, or without grace: previous good until %s", until)
	}
	if stored.ID() != before.ID() || stored.Credential().Hash != winner.Token.Hash() || stored.Credential().Hash == previous {
		t.Error("the stored token is not the winner's new one")
	}
	b.exactlyOneActive(t, slot)
}

// ledger remembers the tokens of sessions whose end was acknowledged.
type ledger struct {
	mu    sync.Mutex
	ended map[session.TokenHash]bool
}

func (l *ledger) add(hash session.TokenHash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[hash] = true
}

// snapshot copies what has ended by now.
func (l *ledger) snapshot() map[session.TokenHash]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := make(map[session.TokenHash]bool, len(l.ended))
	for hash := range l.ended {
		ended[hash] = true
	}
	return ended
}

// endWhileOthersRefresh lets some racers end the session again and again while
// the others open it, always due for a refresh: nobody gets a token whose end
// was acknowledged before they asked.
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
				t.Error("an ended session's token was given out")
			}
		}
	})
	if _, err := b.opener(b.one).Open(t.Context(), alicesCaller(signIn), ports.OpenRequest{Device: slot.Device}); err != nil {
		t.Errorf("Open: %v", err)
	}
	b.exactlyOneActive(t, slot)
}

// cleanWhileOthersOpen lets the cleaner expire the very rows that others open.
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

// updatesTakeTurns checks that no two changes for one user run at once, on
// whatever devices and stores, and that none is lost.
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

// happened counts the records of a type in alice's timeline.
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

// raceForRoom opens sessions on many devices at once, where some are already.
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
			t.Errorf("%d are active at once", left)
		}
	})
	active := b.active(t)
	if len(active) != 10 || b.happened(t, session.ActivityLimit) != racers+before-10 || b.happened(t, session.ActivityCreated) != racers {
		t.Errorf("%d are active, %d ended", len(active), b.happened(t, session.ActivityLimit))
	}
	for _, s := range active {
		if s.CreatedAt().Before(noon) {
			t.Error("one that was not used for longer is left")
		}
	}
}

// raceToClaim moves a session by one code from everywhere at once.
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
				t.Errorf("claimed %s on %s", opened.Session.ID(), opened.Session.Device())
			}
		case !errors.Is(err, session.KindNotFound):
			t.Errorf("Claim: %v", err)
		}
	})
	if claimed.Load() != 1 || len(b.active(t)) != 1 || b.happened(t, session.ActivityTransferred) != 1 || b.happened(t, session.ActivityRevoked) != 1 {
		t.Errorf("%d claimed it, %d are active", claimed.Load(), len(b.active(t)))
	}
	findsNothing(t, b.one, phoneSlot)
	if _, err := b.one.FindByToken(t.Context(), moved.Credential().Hash); !errors.Is(err, session.KindNotFound) {
		t.Errorf("the old device's token finds %v", err)
	}
}

// raceWithASupersededToken checks, from everywhere at once, a token whose grace
// is over.
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
		t.Errorf("it was recorded %d times and counted %d times", records, counted)
	}
}

// clock is a ports.Clock that stands still.
type clock struct{ now time.Time }

func (c clock) Now() time.Time { return c.now }

// sealer is a ports.Sealer for tests that are not about sealing: it only ties
// the token to its session.
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

// raceForADevice lets two sign-ins open one device at once. Each open gives its
// caller a session of the caller's own, and in the end one is left.
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
			t.Errorf("%v got a session of %v", caller.Holder, opened.Session.Holder())
		}
	})
	if left := len(b.active(t)); left != 1 {
		t.Errorf("%d are active on the device", left)
	}
}

// raceWithoutADevice lets two sign-ins, and an agent in one of them, open at
// once: each has one session.
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
		t.Errorf("%d are active, want %d", left, len(callers))
	}
}
