package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// onNewDevices returns n sessions of the caller on as many devices, created
// this long ago.
func onNewDevices(n int, since time.Duration, more ...with) []session.Session {
	var sessions []session.Session
	for i := range n {
		sessions = append(sessions, active(fmt.Sprintf("d%d", i+1), append([]with{age(since)}, more...)...))
	}
	return sessions
}

func TestOpener_Open_NewDevices(t *testing.T) {
	t.Parallel()
	const (
		anomaly = "; anomaly new from 192.0.2.1 action=%s rule=new_devices"
		byRule  = "; revoked %s by=service reason=new_devices"
	)
	recorded := createdHere + fmt.Sprintf(anomaly, "record")
	gone := func(ids ...string) (wrote, recorded string) {
		for _, id := range ids {
			wrote += "; " + id + " revoked (anomaly)"
			recorded += fmt.Sprintf(byRule, id)
		}
		return wrote, recorded
	}
	goneAll, goneAllRecorded := gone("new", "d1", "d2", "d3")
	goneStale, goneStaleRecorded := gone("new", "d1", "d2")
	others := onNewDevices(3, time.Minute, by("sess_2"))
	for name, c := range map[string]struct {
		seen     []session.Session
		revokes  bool
		wrote    string
		recorded string
		counted  int
	}{
		"JustAllowed":        {onNewDevices(2, time.Minute), false, "new active", createdHere, 0},
		"OneTooMany":         {onNewDevices(3, time.Minute), false, "new active", recorded, 1},
		"RecordedOnce":       {onNewDevices(4, time.Minute), false, "new active", createdHere, 0},
		"OfAnySignIn":        {others, false, "new active", recorded, 1},
		"SignedOutOnesCount": {onNewDevices(3, time.Minute, signedOut), false, "new active", recorded, 1},
		"NotNewAnyMore":      {onNewDevices(3, 10*time.Minute), false, "new active", createdHere, 0},
		"JustNew":            {onNewDevices(3, 10*time.Minute-us), false, "new active", recorded, 1},
		"AgainOnAKnownDevice": {
			append(onNewDevices(3, time.Minute), active("x", on("phone"), age(2*time.Minute), signedOut)), false, "new active", createdHere, 0,
		},
		"Revoke/JustAllowed": {onNewDevices(2, time.Minute), true, "new active", createdHere, 0},
		"Revoke/OneTooMany": {
			onNewDevices(3, time.Minute), true, goneAll[2:], createdHere + fmt.Sprintf(anomaly, "revoke") + goneAllRecorded, 1,
		},
		// A new sign-in is not blocked for the devices of another one.
		"Revoke/NoFurtherOne": {append(onNewDevices(4, time.Minute, signedOut), active("old")), true, "new active", createdHere, 0},
		"Revoke/OtherSignInsStay": {
			append(onNewDevices(3, time.Minute), active("theirs", by("sess_2"))), true, goneAll[2:], createdHere + fmt.Sprintf(anomaly, "revoke") + goneAllRecorded, 1,
		},
		"Revoke/NobodyForWhatOthersDo": {others, true, "new active", recorded, 1},
		"Revoke/ForItsOwnBesideOthers": {
			append(onNewDevices(3, time.Minute), active("theirs", age(time.Minute), by("sess_2"))), true, goneAll[2:], createdHere + fmt.Sprintf(anomaly, "revoke") + goneAllRecorded, 1,
		},
		"Revoke/ThoseThatEndedAnywayStaySo": {
			append(onNewDevices(2, time.Minute), active("d3", age(time.Minute), left(0)), active("d4", age(time.Hour), signedOut)), true,
			"d3 expired (expired)" + goneStale, "expired d3; " + createdHere + fmt.Sprintf(anomaly, "revoke") + goneStaleRecorded, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.Rules.NewDevices.Most = 3
			if c.revokes {
				b.revokes(session.RuleNewDevices)
			}
			b.has(c.seen...)
			b.creates()
			b.updates(nil, c.seen...)
			_, err := b.opener().Open(t.Context(), caller, onPhone)
			if refused := strings.Contains(c.wrote, "new revoked"); (session.KindOf(err) == session.KindSignedOut) != refused || (err == nil) == refused {
				t.Errorf("Open = %v", err)
			}
			b.changed(t, c.wrote, c.recorded)
			b.notes(t, map[bool]string{false: "sess_1 seen 0s", true: "sess_1 blocked"}[err != nil])
			b.metered(t, []session.Rule{session.RuleNewDevices}[:c.counted]...)
		})
	}
}

// An anomaly that is not stored is not counted.
func TestOpener_Open_NewDevices_StoreDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Rules.NewDevices.Most = 1
	b.revokes(session.RuleNewDevices)
	b.has()
	b.creates()
	b.updates(errDown, onNewDevices(1, time.Minute)...)
	if _, err := b.opener().Open(t.Context(), caller, onPhone); session.KindOf(err) != session.KindUnavailable {
		t.Errorf("Open = %v", err)
	}
	b.metered(t)
}

// A user who sets up a phone, a tablet, two computers, a television and a game
// console in one sitting causes no anomaly.
func TestOpener_Open_NewDevices_HandfulInOneSitting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.revokes(session.Rules()...)
	var seen []session.Session
	for i := range 6 {
		b.now = noon.Add(time.Duration(i) * time.Minute)
		b.has(seen...)
		b.creates()
		b.updates(nil, seen...)
		device := device(fmt.Sprintf("device-%d", i))
		b.opens(t, caller, ports.OpenRequest{Device: device})
		seen = append(seen, active(device.String(), age(-time.Duration(i)*time.Minute)))
	}
	b.metered(t)
}

// repeated opens the same session on the phone again and again.
type repeated struct {
	*bench
	opener  *lifecycle.Opener
	current []session.Session
}

func newRepeated(t *testing.T, limit session.Limit, rules ...session.Rule) *repeated {
	t.Helper()
	b := setup(t)
	b.deps.Rules.Opens = limit
	b.revokes(rules...)
	return &repeated{b, b.opener(), []session.Session{active("phone", left(day))}}
}

// open opens once more; crossing says that this open takes the count past the
// limit.
func (o *repeated) open(t *testing.T, after time.Duration, crossing bool) error {
	t.Helper()
	o.now = noon.Add(after)
	o.has(o.current...)
	if crossing {
		o.updates(nil, o.current...)
	}
	_, err := o.opener.Open(t.Context(), caller, onPhone)
	return err
}

func TestOpener_Open_Opens_Record(t *testing.T) {
	t.Parallel()
	o := newRepeated(t, session.Limit{Most: 2, Within: time.Minute})
	for i, step := range []struct {
		after    time.Duration
		crossing bool
	}{
		{0, false},
		{0, false},
		{time.Second, true},
		{time.Second, false},
		{time.Minute - us, false},
		{time.Minute, false},
		{time.Minute, false},
		{2*time.Minute - us, true},
		{2*time.Minute - us, false},
	} {
		if err := o.open(t, step.after, step.crossing); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if step.crossing {
			o.changed(t, "", "anomaly phone from 192.0.2.1 action=record rule=opens")
		}
	}
	o.metered(t, session.RuleOpens, session.RuleOpens)
}

// An open that took long and ends after opens of the next window counts in that
// one, without resetting it. After the clock is set back, counting starts anew.
func TestOpener_Open_Opens_Late(t *testing.T) {
	t.Parallel()
	o := newRepeated(t, session.Limit{Most: 2, Within: time.Minute})
	for i, step := range []struct {
		after    time.Duration
		crossing bool
	}{
		{time.Hour, false},
		{time.Hour - us, false},
		{time.Hour, true},
		{0, false},
		{0, false},
		{0, true},
	} {
		if err := o.open(t, step.after, step.crossing); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	o.metered(t, session.RuleOpens, session.RuleOpens)
}

func TestOpener_Open_Opens_SwitchedOff(t *testing.T) {
	t.Parallel()
	o := newRepeated(t, session.Limit{})
	for range 200 {
		if err := o.open(t, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	o.metered(t)
}

// A sign-in that opens too often is blocked, and its sessions end.
func TestOpener_Open_Opens_Revoke(t *testing.T) {
	t.Parallel()
	o := newRepeated(t, session.Limit{Most: 1, Within: time.Minute}, session.RuleOpens)
	if err := o.open(t, 0, false); err != nil {
		t.Fatal(err)
	}
	o.current = []session.Session{active("a"), active("b", by("sess_2")), active("c", acted(agent)), active("phone")}
	if err := o.open(t, 0, true); session.KindOf(err) != session.KindSignedOut {
		t.Errorf("Open = %v", err)
	}
	o.changed(t, "a revoked (anomaly); phone revoked (anomaly)",
		"anomaly phone from 192.0.2.1 action=revoke rule=opens; revoked a by=service reason=opens; revoked phone by=service reason=opens")
	o.notes(t, "sess_1 blocked")
	o.metered(t, session.RuleOpens)
	if used := o.used(t); used != "phone 1/0 from 192.0.2.1" { // the first open
		t.Errorf("wrote the uses %q", used)
	}
}

// Two rules in one call end each session once, and both are counted.
func TestOpener_Open_TwoAnomaliesAtOnce(t *testing.T) {
	t.Parallel()
	o := newRepeated(t, session.Limit{Most: 1, Within: time.Minute}, session.RuleOpens, session.RuleNewDevices)
	o.deps.Rules.NewDevices.Most = 1
	o.opener = o.bench.opener()
	if err := o.open(t, 0, false); err != nil {
		t.Fatal(err)
	}
	o.current = onNewDevices(1, time.Minute)
	o.creates()
	if err := o.open(t, 0, true); session.KindOf(err) != session.KindSignedOut {
		t.Errorf("Open = %v", err)
	}
	o.changed(t, "new revoked (anomaly); d1 revoked (anomaly)", createdHere+"; anomaly new from 192.0.2.1 action=revoke rule=new_devices"+
		"; revoked new by=service reason=new_devices; revoked d1 by=service reason=new_devices; anomaly new from 192.0.2.1 action=revoke rule=opens")
	o.notes(t, "sess_1 blocked")
	o.metered(t, session.RuleNewDevices, session.RuleOpens)
}

// An open that fails reports no anomaly; the next one does.
func TestOpener_Open_Opens_Fails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange  func(*repeated)
		want     session.Kind
		recorded string // before the store failed
	}{
		"StoreDown": {func(o *repeated) { o.updates(errDown, o.current...) }, session.KindUnavailable, "anomaly phone from 192.0.2.1 action=record rule=opens"},
		"NoToken": {func(o *repeated) {
			o.updates(nil, active("phone", left(0)))
			o.ids.EXPECT().SessionID().Return(session.ID{}, errBug)
		}, session.KindCreateFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newRepeated(t, session.Limit{Most: 1, Within: time.Minute})
			if err := o.open(t, 0, false); err != nil {
				t.Fatal(err)
			}
			c.arrange(o)
			if err := o.open(t, 0, false); session.KindOf(err) != c.want {
				t.Errorf("Open = %v", err)
			}
			o.changed(t, "", c.recorded)
			o.metered(t)
			if err := o.open(t, 0, true); err != nil { // the next open reports it
				t.Errorf("then Open = %v", err)
			}
			o.metered(t, session.RuleOpens)
		})
	}
}

// A page whose components each open the session is no anomaly, even in twenty
// tabs.
func TestOpener_Open_Opens_ManyOfOnePageLoad(t *testing.T) {
	t.Parallel()
	o := newRepeated(t, session.DefaultAnomalyRules().Opens, session.Rules()...)
	for range 100 {
		if err := o.open(t, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	o.metered(t)
}

// failing is a store without sessions that can be down. A mock would take too
// long for a hundred thousand sign-ins.
type failing struct {
	ports.SessionStore
	down bool
}

func (f *failing) Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	if f.down {
		return session.Session{}, errDown
	}
	return f.SessionStore.Find(ctx, slot, by)
}

// Each sign-in is counted on its own. Memory is bounded: counts without recent
// opens are evicted, and new sign-ins are counted, however many others there
// are.
func TestOpener_Open_Opens_CountsEachSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Rules.Opens = session.Limit{Most: 1, Within: time.Minute}
	store := &failing{SessionStore: b.store}
	b.deps.Store = store
	opener, others := b.opener(), 0
	opensIn := func(name string) error {
		_, err := opener.Open(t.Context(), access.Caller{Bearer: session.Bearer{User: caller.User, Holder: session.Holder{SignIn: signInID(name)}}}, onPhone)
		return err
	}
	flood := func(n int) {
		store.down = true
		defer func() { store.down = false }()
		for range n {
			others++
			_ = opensIn(fmt.Sprint("other_", others)) // counted before it fails
		}
	}
	passes := func(name string) {
		t.Helper()
		theirs := by(name)
		b.has(active("phone", theirs))
		b.updates(nil, active("phone", theirs))
		if err := opensIn(name); err != nil {
			t.Error(err)
		}
		b.metered(t, session.RuleOpens)
		b.counted = nil
	}
	within := func(name string) {
		t.Helper()
		b.has(active("phone", by(name)))
		if err := opensIn(name); err != nil {
			t.Error(err)
		}
		b.metered(t)
	}
	within("sess_1")
	flood(49_999)
	passes("sess_1")
	flood(60_000) // evicts the others
	within("sess_2")
	passes("sess_2")
	flood(100_000)
	within("sess_1") // evicted
}

// tells expects n opens to be added to the shared counter, which answers seen
// or fails.
func (o *repeated) tells(n int, seen ports.Count, fails error) {
	key := ports.CounterKey{Rule: session.RuleOpens, Subject: "sess_1", Start: noon, Window: time.Minute}
	o.shared.EXPECT().Add(gomock.Any(), key, n).Return(seen, fails)
}

// newRepeatedShared has a shared counter and adds opens to it in batches of
// two.
func newRepeatedShared(t *testing.T) *repeated {
	t.Helper()
	o := newRepeated(t, session.Limit{Most: 40, Within: time.Minute})
	o.deps.Counter = o.shared
	o.opener = o.bench.opener()
	return o
}

// Opens are added to the shared counter in batches of a twentieth of the limit.
// The replica whose batch takes the total past the limit reports.
func TestOpener_Open_Opens_SharedCounter(t *testing.T) {
	t.Parallel()
	o := newRepeatedShared(t)
	for i, step := range []struct {
		seen     ports.Count // at the second open
		crossing bool
	}{
		{ports.Count{Before: 37, After: 39}, false},
		{ports.Count{Before: 39, After: 41}, true},
		{ports.Count{Before: 45, After: 47}, false},
	} {
		if err := o.open(t, time.Second, false); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		o.tells(2, step.seen, nil)
		if err := o.open(t, time.Second, step.crossing); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	o.metered(t, session.RuleOpens)
}

// While the shared counter fails, or after it lost its counts, the replica's
// own count decides. The open past its own limit is added at once.
func TestOpener_Open_Opens_SharedCounterFails(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		seen  ports.Count
		fails error
	}{"Lost": {fails: errDown}, "Forgotten": {seen: ports.Count{Before: 0, After: 2}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newRepeatedShared(t)
			for n := 1; n <= 60; n++ {
				switch {
				case n == 41:
					o.tells(1, answer.seen, answer.fails)
				case n%2 == 0 == (n < 41):
					o.tells(2, answer.seen, answer.fails)
				}
				if err := o.open(t, 0, n == 41); err != nil {
					t.Fatal(err)
				}
			}
			o.metered(t, session.RuleOpens)
		})
	}
}
