package lifecycle_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// finds expects one FindByToken of oldToken.
func (b *bench) finds(found session.Session) {
	b.secrets.EXPECT().FindByToken(gomock.Any(), oldToken.Hash()).Return(found.Outline(), nil)
}

// checks checks oldToken.
func (b *bench) checks(t *testing.T, checker *lifecycle.Checker, source session.Source) error {
	t.Helper()
	got, err := checker.Check(t.Context(), oldToken.Reveal(), source)
	if (err == nil) != (got.Session.User() == user) || (err != nil && !reflect.DeepEqual(got, ports.Checked{})) {
		t.Errorf("Check = %+v, %v", got, err)
	}
	hides(t, err)
	return err
}

func TestChecker_Check(t *testing.T) {
	t.Parallel()
	ended := active("phone", signedOut)
	for name, c := range map[string]struct {
		found    session.Session
		want     session.Kind // KindInternal for none
		expiring bool
	}{
		"Good":               {active("phone"), 0, false},
		"Expiring":           {active("phone", left(5*time.Minute-us)), 0, true},
		"NotExpiringYet":     {active("phone", left(5*time.Minute)), 0, false},
		"Expired":            {active("phone", left(0)), session.KindNotFound, false},
		"Idle":               {active("phone", remembered, age(8*day), idle(7*day)), session.KindNotFound, false},
		"Ended":              {ended, session.KindNotFound, false},
		"TwoTabsInTheGrace":  {active("phone", rotatedAgo(30*time.Second-us)), 0, false},
		"ExpiredInItsGrace":  {active("phone", rotatedAgo(0), left(0)), session.KindNotFound, false},
		"SupersededAndStale": {active("phone", rotatedAgo(day), left(0)), session.KindNotFound, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.finds(c.found)
			got, err := lifecycle.NewChecker(b.deps).Check(t.Context(), oldToken.Reveal(), atHome)
			want, used := ports.Checked{Session: c.found.Outline(), Expiring: c.expiring}, "phone 0/1 from 192.0.2.1"
			if c.want != 0 {
				want, used = ports.Checked{}, ""
			}
			if session.KindOf(err) != c.want || (err == nil) != (c.want == 0) || !reflect.DeepEqual(got, want) {
				t.Errorf("Check = %+v, %v", got, err)
			}
			if got := b.used(t); got != used {
				t.Errorf("wrote the uses %q", got)
			}
			hides(t, err)
			b.metered(t)
		})
	}
}

func TestChecker_Check_Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token string
		fails error // nil when the store must not be called
		want  session.Kind
	}{
		"Unknown":          {oldToken.Reveal(), session.KindNotFound, session.KindNotFound},
		"StoreDown":        {oldToken.Reveal(), errDown, session.KindUnavailable},
		"Empty":            {"", nil, session.KindNotFound},
		"NoToken":          {"hunter2", nil, session.KindNotFound},
		"AnotherSpelling":  {strings.ToUpper(oldToken.Reveal()), nil, session.KindNotFound},
		"TokenWithComment": {oldToken.Reveal() + " ", nil, session.KindNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if c.fails != nil {
				b.secrets.EXPECT().FindByToken(gomock.Any(), oldToken.Hash()).Return(session.Session{}, c.fails)
			}
			got, err := lifecycle.NewChecker(b.deps).Check(t.Context(), c.token, atHome)
			if session.KindOf(err) != c.want || !reflect.DeepEqual(got, ports.Checked{}) || b.used(t) != "" {
				t.Errorf("Check = %+v, %v", got, err)
			}
			if err != nil && c.token != "" && strings.Contains(err.Error(), c.token) {
				t.Errorf("the error contains the token: %v", err)
			}
		})
	}
}

func TestChecker_Check_Superseded(t *testing.T) {
	t.Parallel()
	const (
		fromHome  = "anomaly phone from 192.0.2.1 action=record rule=superseded_token"
		fromTrain = "anomaly phone from 198.51.100.7 action=record rule=superseded_token"
		stolen    = "anomaly phone from 203.0.113.9 action=revoke rule=superseded_token; revoked phone by=service reason=superseded_token"
	)
	after, source := active("phone", rotatedAgo(30*time.Second)), atHome
	seen := active("phone", rotatedAgo(day), func(s *session.Stored) { s.SupersededSeen = true })
	again := active("phone", rotatedAgo(day), func(s *session.Stored) { s.Previous = session.TokenHash{7} })
	for name, c := range map[string]struct {
		found    session.Session
		locked   []session.Session // what Update reads; nil when it must not be called
		source   session.Source
		revokes  bool
		wrote    string
		recorded string
	}{
		"AfterTheGrace":              {after, []session.Session{active("a"), after}, source, false, "phone active", fromHome},
		"FromUnknownAddress":         {after, []session.Session{after}, session.Source{}, true, "phone active", "anomaly phone action=record rule=superseded_token"},
		"ReportedAlready":            {seen, nil, source, true, "", ""},
		"ReportedMeanwhile":          {after, []session.Session{seen}, thief(), true, "", ""},
		"RotatedMeanwhile":           {after, []session.Session{again}, thief(), true, "", ""},
		"SignedOutMeanwhile":         {after, []session.Session{active("a")}, thief(), true, "", ""},
		"EndedMeanwhile":             {after, []session.Session{active("phone", signedOut)}, thief(), true, "", ""},
		"ExpiredMeanwhile":           {after, []session.Session{active("phone", rotatedAgo(day), left(0))}, thief(), true, "", ""},
		"Thief":                      {after, []session.Session{after}, thief(), true, "phone revoked (anomaly)", stolen},
		"ThiefIsOnlyRecorded":        {after, []session.Session{after}, thief(), false, "phone active", strings.NewReplacer("192.0.2.1", "203.0.113.9").Replace(fromHome)},
		"LaptopThatWakesUp":          {active("phone", rotatedAgo(day)), []session.Session{active("phone", rotatedAgo(day))}, source, true, "phone active", fromHome},
		"LaptopThatWakesUpElsewhere": {active("phone", rotatedAgo(day)), []session.Session{active("phone", rotatedAgo(day))}, from("198.51.100.7"), true, "phone active", fromTrain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if c.revokes {
				b.revokes(session.RuleSupersededToken)
			}
			b.finds(c.found)
			if c.locked != nil {
				b.updates(nil, c.locked...)
			}
			if err := b.checks(t, lifecycle.NewChecker(b.deps), c.source); session.KindOf(err) != session.KindNotFound {
				t.Errorf("Check = %v", err)
			}
			b.changed(t, c.wrote, c.recorded)
			for _, s := range b.changes.Sessions {
				if !s.SupersededSeen() {
					t.Error("the session is not marked as reported")
				}
			}
			b.metered(t, []session.Rule{session.RuleSupersededToken}[:min(1, len(c.recorded))]...)
			if b.scope != (ports.Scope{User: user}) && c.locked != nil || b.used(t) != "" {
				t.Errorf("Update had the scope %+v, or an anomaly was counted", b.scope)
			}
		})
	}
}

func TestChecker_Check_Superseded_StoreDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	after := active("phone", rotatedAgo(day))
	b.finds(after)
	b.updates(errDown, after)
	if err := b.checks(t, lifecycle.NewChecker(b.deps), atHome); session.KindOf(err) != session.KindUnavailable {
		t.Errorf("Check = %v", err)
	}
	b.metered(t)
}

func TestChecker_Check_Superseded_SwitchedOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Rules.SupersededAfter = -1
	b.finds(active("phone", rotatedAgo(day)))
	if err := b.checks(t, lifecycle.NewChecker(b.deps), thief()); session.KindOf(err) != session.KindNotFound {
		t.Errorf("Check = %v", err)
	}
}

// networks returns n addresses in different networks.
func networks(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("198.51.100.%d", i+1))
	}
	return list
}

func TestChecker_Check_Addresses(t *testing.T) {
	t.Parallel()
	limit := session.DefaultAnomalyRules().Addresses
	privacy := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("2001:db8:1:2:%x::%x", i+1, i*i))
		}
		return list
	}
	for name, c := range map[string]struct {
		limit     session.Limit
		addresses []string
		anomalies []int // indices of the checks that report one
	}{
		"AsManyAsAllowed": {limit, networks(5), nil},
		"OneTooMany":      {limit, networks(6), []int{5}},
		"RecordedOnce":    {limit, append(networks(9), networks(9)...), []int{5}},
		"KnownOnesAgain":  {limit, append(networks(5), networks(5)...), nil},
		"SwitchedOff":     {session.Limit{}, networks(20), nil},
		"PhoneThatChangesItsNetwork": { // Wi-Fi and mobile, each with IPv4 and IPv6
			limit, []string{"192.0.2.1", "2001:db8:1:2::1", "198.51.100.7", "2001:db8:3:4::1", "192.0.2.1", "2001:db8:3:4::2"}, nil,
		},
		"PrivacyAddresses":        {limit, privacy(50), nil},
		"IPv4AsIPv6IsNoOtherOne":  {limit, append(networks(5), "::ffff:198.51.100.1"), nil},
		"TheNextIPv6NetworkCount": {session.Limit{Most: 1, Within: time.Minute}, []string{"2001:db8:1:2::1", "2001:db8:1:3::1"}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.Rules.Addresses = c.limit
			checker, recorded := lifecycle.NewChecker(b.deps), []int(nil)
			phone := active("phone")
			b.store.EXPECT().Update(gomock.Any(), ports.Scope{User: user}, gomock.Any()).DoAndReturn(
				func(_ context.Context, _ ports.Scope, change func(ports.Seen) (ports.Changes, error)) (err error) {
					b.changes, err = change(ports.Seen{Sessions: []session.Session{active("a"), phone}})
					return err
				}).Times(len(c.anomalies))
			for i, address := range c.addresses {
				b.changes = ports.Changes{}
				b.finds(phone)
				if err := b.checks(t, checker, from(address)); err != nil {
					t.Fatal(err)
				}
				if len(b.changes.Activity) > 0 {
					recorded = append(recorded, i)
					b.changed(t, "phone active", "anomaly phone from "+from(address).Address.String()+" action=record rule=addresses")
				}
			}
			if fmt.Sprint(recorded) != fmt.Sprint(c.anomalies) || len(b.counted) != len(c.anomalies) {
				t.Errorf("recorded at %v, counted %d, want %v", recorded, len(b.counted), c.anomalies)
			}
			if used, want := b.used(t), fmt.Sprintf("phone 0/%d from %s", len(c.addresses), from(c.addresses[len(c.addresses)-1]).Address); used != want {
				t.Errorf("wrote the uses %q, want %q", used, want)
			}
		})
	}
}

// Networks are counted per session and per window. An unknown address is no
// network.
func TestChecker_Check_Addresses_PerSessionAndWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Rules.Addresses = session.Limit{Most: 1, Within: time.Minute}
	checker := lifecycle.NewChecker(b.deps)
	for _, step := range []struct {
		after   time.Duration
		session string
		source  session.Source
	}{
		{0, "a", from("192.0.2.1")},
		{0, "b", from("192.0.2.2")},
		{0, "a", session.Source{}},
		{0, "a", session.NewSource(session.Source{}.Address, thief().Client)},
		{time.Minute - us, "b", from("192.0.2.2")},
		{time.Minute, "a", from("192.0.2.3")},
		{time.Minute, "b", from("192.0.2.4")},
		{2*time.Minute - us, "b", from("192.0.2.4")},
	} {
		b.now = noon.Add(step.after)
		b.finds(active(step.session))
		if err := b.checks(t, checker, step.source); err != nil {
			t.Fatal(err)
		}
	}
	b.metered(t)
}

// A network that is new on this replica is added to the shared counter, and the
// replica that takes the total past the limit reports. While the shared counter
// fails, the replica's own count decides.
func TestChecker_Check_Addresses_SharedCounter(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]struct {
		address  string
		told     bool
		seen     ports.Count
		fails    error
		crossing bool
	}{
		"SeenElsewhere": {
			{address: "192.0.2.1", told: true, seen: ports.Count{Before: 0, After: 1}},
			{address: "192.0.2.1"},
			{address: "192.0.2.2", told: true, seen: ports.Count{Before: 3, After: 3}},
			{address: "192.0.2.3", told: true, seen: ports.Count{Before: 3, After: 4}, crossing: true},
			{address: "192.0.2.4", told: true, seen: ports.Count{Before: 4, After: 5}},
			{address: "192.0.2.5"}, // past the limit on this replica: not added
		},
		"ReportedElsewhere": {
			{address: "192.0.2.1", told: true, seen: ports.Count{Before: 7, After: 8}},
			{address: "192.0.2.2", told: true, seen: ports.Count{Before: 8, After: 8}},
		},
		"Alone": {
			{address: "192.0.2.1", told: true, fails: errDown},
			{address: "192.0.2.2", told: true, fails: errDown},
			{address: "192.0.2.3", told: true, fails: errDown},
			{address: "192.0.2.4", told: true, fails: errDown, crossing: true},
			{address: "192.0.2.5"},
		},
		"Forgotten": { // the shared counter lost its counts
			{address: "192.0.2.1", told: true, seen: ports.Count{Before: 0, After: 1}},
			{address: "192.0.2.2", told: true, fails: errDown},
			{address: "192.0.2.3", told: true, fails: errDown},
			{address: "192.0.2.4", told: true, seen: ports.Count{Before: 0, After: 1}, crossing: true},
			{address: "192.0.2.5"},
		},
		"AnswerLost": { // it may have been the one past the limit
			{address: "192.0.2.1", told: true, fails: errDown},
			{address: "192.0.2.2", told: true, seen: ports.Count{Before: 4, After: 5}, crossing: true},
			{address: "192.0.2.3", told: true, seen: ports.Count{Before: 5, After: 6}},
		},
		"AnswerLostBefore": { // it was below the limit
			{address: "192.0.2.1", told: true, fails: errDown},
			{address: "192.0.2.2", told: true, seen: ports.Count{Before: 1, After: 2}},
			{address: "192.0.2.3", told: true, seen: ports.Count{Before: 4, After: 5}},
		},
		"LostAfterwards": { // already reported
			{address: "192.0.2.1", told: true, seen: ports.Count{Before: 4, After: 5}},
			{address: "192.0.2.2", told: true, fails: errDown},
			{address: "192.0.2.3", told: true, fails: errDown},
			{address: "192.0.2.4", told: true, fails: errDown},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			limit, crossed := session.Limit{Most: 3, Within: time.Minute}, 0
			b.deps.Rules.Addresses, b.deps.Counter = limit, b.shared
			b.now = noon.Add(time.Second)
			checker := lifecycle.NewChecker(b.deps)
			for _, step := range steps {
				b.finds(active("phone"))
				if step.told {
					key := ports.CounterKey{Rule: session.RuleAddresses, Subject: "phone", Start: noon, Window: limit.Within}
					b.shared.EXPECT().AddDistinct(gomock.Any(), key, step.address+"/32").Return(step.seen, step.fails)
				}
				if step.crossing {
					b.updates(nil, active("phone"))
					crossed++
				}
				if err := b.checks(t, checker, from(step.address)); err != nil {
					t.Fatal(err)
				}
			}
			b.metered(t, []session.Rule{session.RuleAddresses}[:crossed]...)
		})
	}
}

func TestChecker_Check_Addresses_Revoke(t *testing.T) {
	t.Parallel()
	const gone = "anomaly phone from 198.51.100.2 action=revoke rule=addresses; revoked phone by=service reason=addresses"
	for name, c := range map[string]struct {
		seen     []session.Session
		fails    error
		want     session.Kind
		wrote    string
		recorded string
		counted  int
	}{
		"Revokes":        {[]session.Session{active("a"), active("phone")}, nil, session.KindNotFound, "phone revoked (anomaly)", gone, 1},
		"EndedMeanwhile": {[]session.Session{active("phone", signedOut)}, nil, session.KindNotFound, "", "", 0},
		"GoneMeanwhile":  {nil, nil, session.KindNotFound, "", "", 0},
		"StoreDown":      {[]session.Session{active("phone")}, errDown, session.KindUnavailable, "phone revoked (anomaly)", gone, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.Rules.Addresses = session.Limit{Most: 1, Within: time.Minute}
			b.revokes(session.RuleAddresses)
			checker := lifecycle.NewChecker(b.deps)
			b.finds(active("phone"))
			if err := b.checks(t, checker, from("198.51.100.1")); err != nil {
				t.Fatal(err)
			}
			b.finds(active("phone"))
			b.updates(c.fails, c.seen...)
			if err := b.checks(t, checker, from("198.51.100.2")); session.KindOf(err) != c.want {
				t.Errorf("Check = %v", err)
			}
			b.changed(t, c.wrote, c.recorded)
			b.metered(t, []session.Rule{session.RuleAddresses}[:c.counted]...)
			if used := b.used(t); used != "phone 0/1 from 198.51.100.1" {
				t.Errorf("wrote the uses %q", used)
			}
		})
	}
}

// If the anomaly is only to be recorded, the token stays valid while the store
// is down, and the next check reports it.
func TestChecker_Check_Addresses_RecordStoreDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Rules.Addresses = session.Limit{Most: 1, Within: time.Minute}
	checker := lifecycle.NewChecker(b.deps)
	check := func(address string) {
		t.Helper()
		b.finds(active("phone"))
		if err := b.checks(t, checker, from(address)); err != nil {
			t.Errorf("Check = %v", err)
		}
	}
	check("198.51.100.1")
	b.updates(errDown, active("phone"))
	check("198.51.100.2")
	b.metered(t)
	b.updates(nil, active("phone"))
	check("198.51.100.1")
	check("198.51.100.3") // already reported
	b.metered(t, session.RuleAddresses)
}

// A report that could not be stored is dropped at the end of its window.
func TestChecker_Check_Addresses_RecordTooLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Rules.Addresses = session.Limit{Most: 1, Within: time.Minute}
	checker := lifecycle.NewChecker(b.deps)
	check := func(address string) {
		t.Helper()
		b.finds(active("phone"))
		if err := b.checks(t, checker, from(address)); err != nil {
			t.Errorf("Check = %v", err)
		}
	}
	check("198.51.100.1")
	b.store.EXPECT().Update(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(context.Context, ports.Scope, func(ports.Seen) (ports.Changes, error)) error {
			b.now = noon.Add(time.Minute)
			check("198.51.100.2")
			return errDown
		})
	check("198.51.100.2")
	check("198.51.100.2")
	b.metered(t)
}
