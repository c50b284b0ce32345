package lifecycle_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// shows returns a request without a device that shows a token.
func shows(token session.Token) ports.OpenRequest { return ports.OpenRequest{Token: token.Reveal()} }

// mayMint allows one session or token to be made.
func (b *bench) mayMint() {
	b.ids.EXPECT().SessionID().Return(id("new"), nil).MaxTimes(1)
	b.ids.EXPECT().Token().Return(newToken, nil).MaxTimes(1)
	b.sealer.EXPECT().Seal(gomock.Any(), newToken).Return([]byte("new"), nil).MaxTimes(1)
}

// A request continues the session of its user, actor, workflow and device or,
// without a device, the generated one of its sign-in; never one of another
// sign-in.
func TestOpener_Open_Continues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		caller  access.Caller
		request ports.OpenRequest
		stored  []session.Session
		want    string // "new" or the id of a session
	}{
		"TheNamedOne":                   {caller, onPhone, []session.Session{active("phone")}, "phone"},
		"TheNamedOneAmongOthers":        {caller, onPhone, []session.Session{active("a"), active("g", generated), active("phone")}, "phone"},
		"AGeneratedOneByItsName":        {caller, onPhone, []session.Session{active("g", generated, on("phone"))}, "g"},
		"NotAnotherWorkflows":           {caller, onPhone, []session.Session{active("a", on("phone"), of("workflow_2"))}, "new"},
		"NotAnotherSignIns":             {caller, onPhone, []session.Session{active("phone", by("sess_2"))}, "new"},
		"NotOfUnknownHolder":            {caller, onPhone, []session.Session{active("phone", by(""))}, "new"},
		"NotTheActors":                  {caller, onPhone, []session.Session{active("a", on("phone"), acted(agent))}, "new"},
		"TheGeneratedOne":               {caller, anywhere, []session.Session{active("a"), active("g", generated)}, "g"},
		"TheGeneratedOneOfTheSignIn":    {caller, anywhere, []session.Session{active("a", generated, by("sess_2")), active("g", generated)}, "g"},
		"NoNamedOneWithoutName":         {caller, anywhere, []session.Session{active("a")}, "new"},
		"NoGeneratedOneOfAnother":       {caller, anywhere, []session.Session{active("a", generated, by("sess_2"))}, "new"},
		"NoGeneratedOneOfUnknownHolder": {caller, anywhere, []session.Session{active("a", generated, by(""))}, "new"},
		"NoGeneratedOneOfAnActor":       {caller, anywhere, []session.Session{active("a", generated, acted(agent))}, "new"},
		"NoGeneratedOneOfOtherWorkflow": {caller, anywhere, []session.Session{active("a", generated, of("workflow_2"))}, "new"},
		"AnActorsNamedOne":              {as(agent), onPhone, []session.Session{active("a", on("phone")), active("x", on("phone"), acted(agent))}, "x"},
		"AnActorsGeneratedOne":          {as(agent), anywhere, []session.Session{active("a", generated), active("x", generated, acted(agent))}, "x"},
		"NoUsersForAnActor":             {as(agent), onPhone, []session.Session{active("phone")}, "new"},
		"NoGeneratedUsersForAnActor":    {as(agent), anywhere, []session.Session{active("a", generated)}, "new"},
		"NoOtherActors":                 {as(agent), onPhone, []session.Session{active("phone", acted(support))}, "new"},
		"NoneForAnImpersonator":         {as(support), onPhone, []session.Session{active("phone"), active("a", on("phone"), acted(agent))}, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.mayMint()
			b.has(c.stored...)
			if c.want == "new" {
				b.updates(nil, c.stored...)
			}
			if got := b.opens(t, c.caller, c.request); got.Session.ID() != id(c.want) || got.Session.Actor() != c.caller.Actor {
				t.Errorf("Open continued %s", got.Session.ID())
			}
			for _, s := range b.changes.Sessions { // only the session of another sign-in ends
				if s.ID() != id("new") && (s.EndReason() != session.EndReplaced || s.Actor() != c.caller.Actor || s.Workflow() != workflow) {
					t.Errorf("Open ended %s", s.ID())
				}
			}
		})
	}
}

const replacedBy = " from 192.0.2.1 by=user reason=replaced successor="

// The session of another sign-in on the device ends and a new one takes its
// place. No token of it stays valid, also not the superseded one.
func TestOpener_Open_Replaces(t *testing.T) {
	t.Parallel()
	var unseen *session.Metadata
	kept := func(s *session.Stored) { s.Metadata = metadata }
	for name, c := range map[string]struct {
		current    session.Session
		request    ports.OpenRequest
		metadata   *session.Metadata
		remembered bool
	}{
		"ANamedOne":          {active("x", on("phone"), by("sess_2")), onPhone, unseen, false},
		"AGeneratedOne":      {active("x", on("phone"), by("sess_2"), generated), onPhone, unseen, false},
		"OneToBeRefreshed":   {active("x", on("phone"), by("sess_2"), left(us)), onPhone, unseen, false},
		"Unreadable":         {active("x", on("phone"), by("sess_2"), sealed("lost")), onPhone, unseen, false},
		"BrokenSeal":         {active("x", on("phone"), by("sess_2"), sealed("broken")), onPhone, unseen, false},
		"MetadataDoesNot":    {active("x", on("phone"), by("sess_2"), kept), onPhone, unseen, false},
		"MetadataOfRequest":  {active("x", on("phone"), by("sess_2")), ports.OpenRequest{Device: phone, Metadata: &metadata}, &metadata, false},
		"RememberedStays":    {active("x", on("phone"), by("sess_2"), remembered), onPhone, unseen, true},
		"RememberedIsNot":    {active("x", on("phone"), by("sess_2"), remembered), ports.OpenRequest{Device: phone, Remember: new(false)}, unseen, false},
		"UsualIsRemembered":  {active("x", on("phone"), by("sess_2")), ports.OpenRequest{Device: phone, Remember: new(true)}, unseen, true},
		"WithASupersededOne": {active("x", on("phone"), by("sess_2"), rotatedAgo(0)), onPhone, unseen, false},
		"OfUnknownHolder":    {active("x", on("phone"), by("")), onPhone, unseen, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.has(c.current)
			b.creates()
			b.updates(nil, c.current)
			got := b.opens(t, verified(0), c.request)
			b.changed(t, "new active; x revoked (replaced)", createdHere+"; revoked x"+replacedBy+"new")
			b.notes(t, "sess_1 seen 0s")
			s := got.Session
			if got.Outcome != session.OutcomeCreated || got.Token != newToken || s.Device() != phone || s.Generated() || s.Remembered() != c.remembered || !s.CreatedAt().Equal(noon) {
				t.Errorf("%s %+v", got.Outcome, s)
			}
			if want := (session.Metadata{}); (c.metadata == nil && !s.Metadata().Equal(want)) || (c.metadata != nil && !s.Metadata().Equal(*c.metadata)) {
				t.Errorf("metadata = %v", s.Metadata().Tree())
			}
			old := b.changes.Sessions[1]
			if previous, _ := old.Previous(); old.Credential().Sealed != nil || !previous.IsZero() || !old.EndedAt().Equal(noon) {
				t.Errorf("ended %+v", old)
			}
		})
	}
}

// A session that was used since the caller's sign-in was verified is contested.
// The newer or equally new sign-in gets the device, with step-up if that is
// set. The older one is refused, nothing ends, and it is recorded.
func TestOpener_Open_Contends(t *testing.T) {
	t.Parallel()
	const contested = "anomaly phone from 192.0.2.1 action=record rule=contested_device"
	for name, c := range map[string]struct {
		caller   access.Caller
		within   time.Duration
		used     time.Duration // before noon
		holder   string
		verified time.Duration // of the holder, before noon
		want     session.Kind  // KindInternal for none
	}{
		"Newer":                  {verified(5 * time.Minute), 0, 0, "sess_2", 5*time.Minute + us, 0},
		"Equal":                  {verified(5 * time.Minute), 0, 0, "sess_2", 5 * time.Minute, 0},
		"Older":                  {verified(5 * time.Minute), 0, 0, "sess_2", 5*time.Minute - us, session.KindContested},
		"OlderByADay":            {verified(day), 0, 0, "sess_2", 0, session.KindContested},
		"UnknownIsOlder":         {verified(300 * day), 0, 0, "", 0, 0},
		"NotUsedSince":           {verified(5 * time.Minute), 0, 5 * time.Minute, "sess_2", 0, 0},
		"UsedSince":              {verified(5 * time.Minute), 0, 5*time.Minute - us, "sess_2", 0, session.KindContested},
		"NotStatedIsNew":         {caller, 0, 0, "sess_2", 0, 0},
		"NewerNotVerified":       {verified(5 * time.Minute), time.Minute, 0, "sess_2", day, session.KindReverification},
		"UnknownNotVerified":     {verified(5 * time.Minute), time.Minute, 0, "", 0, session.KindReverification},
		"NewerInTime":            {verified(time.Minute - us), time.Minute, 0, "sess_2", day, 0},
		"LeftOverNeedsNoStepUp":  {verified(5 * time.Minute), time.Minute, time.Hour, "sess_2", day, 0},
		"NotStatedNeedsNoStepUp": {caller, time.Minute, 0, "sess_2", 0, 0},
		"OlderIsRefused":         {verified(5 * time.Minute), time.Minute, 0, "sess_2", 0, session.KindContested},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.StepUp.Within = c.within
			b.remembers(known("sess_2", c.verified))
			b.mayMint()
			current := active("phone", by(c.holder), idle(c.used), age(day))
			b.has(current)
			b.updates(nil, current, active("mine"))
			got, err := b.opener().Open(t.Context(), c.caller, onPhone)
			if session.KindOf(err) != c.want || (err == nil) != (c.want == 0) {
				t.Fatalf("Open = %v", err)
			}
			switch c.want {
			case session.KindContested:
				b.changed(t, "", contested)
				b.notes(t, "")
				b.metered(t, session.RuleContestedDevice)
			case session.KindReverification:
				b.changed(t, "", "")
				b.metered(t)
			default:
				b.changed(t, "new active; phone revoked (replaced)", createdHere+"; revoked phone"+replacedBy+"new")
				b.metered(t)
			}
			if err != nil && (!reflect.DeepEqual(got, ports.Opened{}) || b.used(t) != "") {
				t.Errorf("Open = %+v", got)
			}
		})
	}
}

// The last use that this replica knows decides, written or not.
func TestOpener_Open_Contends_ExactUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.remembers(known("sess_2", 0))
	current := active("phone", by("sess_2"), idle(time.Hour))
	b.deps.Usage.Checked(current, noon, atHome)
	b.has(current)
	b.updates(nil, current)
	if _, err := b.opener().Open(t.Context(), verified(time.Minute), onPhone); session.KindOf(err) != session.KindContested {
		t.Errorf("Open = %v", err)
	}
}

// The older sign-in may open without a device.
func TestOpener_Open_Contends_WithoutADevice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.remembers(known("sess_2", 0))
	newer := active("phone", by("sess_2"), idle(0))
	b.has(newer)
	b.creates()
	b.updates(nil, newer)
	b.opens(t, verified(day), anywhere)
	b.changed(t, "new active", "created new from 192.0.2.1 deviceId=device_user_1_1735732800000")
}

// If the action is to revoke, the older sign-in is blocked. An anomaly that is
// not stored is not counted.
func TestOpener_Open_Contends_Revoke(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails   error
		want    session.Kind
		counted int
	}{"Stored": {nil, session.KindSignedOut, 1}, "StoreDown": {errDown, session.KindUnavailable, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.revokes(session.RuleContestedDevice)
			b.remembers(known("sess_2", 0), known("sess_1", day))
			newer := active("phone", by("sess_2"), idle(0))
			b.has(newer)
			b.updates(c.fails, newer, active("mine"), active("acted", acted(agent)))
			if _, err := b.opener().Open(t.Context(), verified(day), onPhone); session.KindOf(err) != c.want {
				t.Errorf("Open = %v", err)
			}
			b.changed(t, "mine revoked (anomaly)", "anomaly phone from 192.0.2.1 action=revoke rule=contested_device; revoked mine by=service reason=contested_device")
			b.notes(t, "sess_1 blocked")
			b.metered(t, []session.Rule{session.RuleContestedDevice}[:c.counted]...)
		})
	}
}

// A contested open that is also one too many does not report that: the next
// open does.
func TestOpener_Open_Contends_TooOften(t *testing.T) {
	t.Parallel()
	o := newRepeated(t, session.Limit{Most: 1, Within: time.Minute})
	if err := o.open(t, 0, false); err != nil {
		t.Fatal(err)
	}
	o.remembers(known("sess_2", 0))
	mine := o.current
	o.current = []session.Session{active("phone", by("sess_2"), idle(-us))}
	o.has(o.current...)
	o.updates(nil, o.current...)
	if _, err := o.opener.Open(t.Context(), verified(day), onPhone); session.KindOf(err) != session.KindContested {
		t.Errorf("Open = %v", err)
	}
	o.current = mine
	if err := o.open(t, 0, true); err != nil {
		t.Errorf("Open = %v", err)
	}
	o.metered(t, session.RuleContestedDevice, session.RuleOpens)
}

// Without a device, the session whose token is shown is replaced if another
// sign-in of the same user, actor and workflow holds it. A reused open still
// reads the store once.
func TestOpener_Open_ShownToken(t *testing.T) {
	t.Parallel()
	const hers = "new active; x revoked (replaced)"
	third := session.Must(session.ParseToken("7c9e6679-7425-40de-944b-e07fc1f90ae7"))
	mine := active("g", generated, func(s *session.Stored) { s.Credential.Hash = newToken.Hash() }, sealed("new"))
	for name, c := range map[string]struct {
		caller  access.Caller
		request ports.OpenRequest
		stored  []session.Session
		updates bool
		outcome session.Outcome
		got     string
		wrote   string
	}{
		"AnothersIsReplaced":    {verified(0), shows(oldToken), []session.Session{active("x", by("sess_2"))}, true, session.OutcomeCreated, "new", hers},
		"AnothersGeneratedOne":  {verified(0), shows(oldToken), []session.Session{active("x", by("sess_2"), generated)}, true, session.OutcomeCreated, "new", hers},
		"OwnSessionStaysActive": {verified(0), shows(oldToken), []session.Session{mine, active("x", by("sess_2"))}, true, session.OutcomeReused, "g", "x revoked (replaced)"},
		"TheirOwnIsReused":      {verified(0), shows(newToken), []session.Session{mine, active("x", by("sess_2"))}, false, session.OutcomeReused, "g", ""},
		"TheirOwnBefore":        {verified(0), shows(oldToken), []session.Session{active("g", generated, rotatedAgo(0), sealed("new"))}, false, session.OutcomeReused, "g", ""},
		"TheirOwnBeforeTheLock": {verified(0), shows(oldToken), []session.Session{active("g", generated, rotatedAgo(0), sealed("new"), left(us))}, true, session.OutcomeRefreshed, "g", "g active"},
		"TheirOwnNamedOne":      {verified(0), shows(oldToken), []session.Session{active("phone")}, true, session.OutcomeCreated, "new", "new active"},
		"AnothersBefore":        {verified(0), shows(oldToken), []session.Session{active("x", by("sess_2"), rotatedAgo(0))}, true, session.OutcomeCreated, "new", "new active"},
		"AnotherWorkflows":      {verified(0), shows(oldToken), []session.Session{active("x", by("sess_2"), of("workflow_2"))}, true, session.OutcomeCreated, "new", "new active"},
		"AnActors":              {verified(0), shows(oldToken), []session.Session{active("x", acted(agent))}, true, session.OutcomeCreated, "new", "new active"},
		"AnActorShowsTheUsers":  {as(agent), shows(oldToken), []session.Session{active("x")}, true, session.OutcomeCreated, "new", "new active"},
		"AnothersExpired":       {verified(0), shows(oldToken), []session.Session{active("x", by("sess_2"), left(0))}, true, session.OutcomeCreated, "new", "x expired (expired); new active"},
		"AnothersThatEnded":     {verified(0), shows(oldToken), []session.Session{active("x", by("sess_2"), signedOut)}, true, session.OutcomeCreated, "new", "new active"},
		"UnknownToken":          {verified(0), shows(third), []session.Session{mine, active("x", by("sess_2"))}, true, session.OutcomeReused, "g", ""},
		"NoToken":               {verified(0), ports.OpenRequest{Token: "x"}, []session.Session{mine}, false, session.OutcomeReused, "g", ""},
		"WithADeviceItIsNot":    {verified(0), ports.OpenRequest{Device: device("g"), Token: oldToken.Reveal()}, []session.Session{mine, active("x", by("sess_2"))}, false, session.OutcomeReused, "g", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.mayMint()
			b.has(c.stored...)
			if c.updates {
				b.updates(nil, c.stored...)
			}
			got := b.opens(t, c.caller, c.request)
			if got.Outcome != c.outcome || got.Session.ID() != id(c.got) || b.wrote() != c.wrote {
				t.Errorf("%s %s, wrote %q", got.Outcome, got.Session.ID(), b.wrote())
			}
			if strings.Contains(c.wrote, "x revoked") && !strings.Contains(b.recorded(t), "revoked x"+replacedBy+c.got) {
				t.Errorf("recorded %q", b.recorded(t))
			}
		})
	}
}

// The rules of contest and of remembering hold for a shown token, too.
func TestOpener_Open_ShownToken_Contends(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.remembers(known("sess_2", 0))
	newer := active("x", by("sess_2"), idle(0))
	b.has(newer)
	b.updates(nil, newer)
	if _, err := b.opener().Open(t.Context(), verified(day), shows(oldToken)); session.KindOf(err) != session.KindContested {
		t.Errorf("Open = %v", err)
	}
	b.changed(t, "", "anomaly x from 192.0.2.1 action=record rule=contested_device")
	stale := active("g", generated, left(0), func(s *session.Stored) { s.Credential.Hash = newToken.Hash() })
	for name, more := range map[string][]session.Session{"Alone": nil, "BesideTheirStaleOne": {stale}} {
		for remember, want := range map[*bool]bool{nil: true, new(false): false} {
			t.Run(fmt.Sprint(name, want), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				seen := append([]session.Session{active("x", by("sess_2"), remembered)}, more...)
				b.has(seen...)
				b.creates()
				b.updates(nil, seen...)
				if got := b.opens(t, verified(0), ports.OpenRequest{Token: oldToken.Reveal(), Remember: remember}); got.Session.Remembered() != want || got.Outcome != session.OutcomeCreated {
					t.Errorf("%s, remembered %v", got.Outcome, got.Session.Remembered())
				}
			})
		}
	}
}

// At the limit, ending a session of another sign-in that is in use requires
// step-up, if that is set. If it fails, nothing ends.
func TestOpener_Open_Limit_StepUp(t *testing.T) {
	t.Parallel()
	others := func(more ...session.Session) []session.Session {
		return append([]session.Session{active("a", by("sess_2"), idle(2*time.Hour)), active("b", by("sess_2"), idle(time.Hour))}, more...)
	}
	for name, c := range map[string]struct {
		caller access.Caller
		within time.Duration
		seen   []session.Session
		wrote  string
	}{
		"Off":                {caller, 0, others(), "a revoked (limit); new active"},
		"NotVerified":        {caller, time.Minute, others(), ""},
		"TooLate":            {verified(time.Minute), time.Minute, others(), ""},
		"InTime":             {verified(time.Minute - us), time.Minute, others(), "a revoked (limit); new active"},
		"NotReached":         {caller, time.Minute, others()[:1:1], "new active"},
		"OwnNeedsNone":       {caller, time.Minute, append(others()[:1:1], active("mine", idle(0))), "mine revoked (limit); new active"},
		"OwnAndThenOthers":   {caller, time.Minute, others(active("mine", idle(0))), ""},
		"UnusedForADay":      {caller, time.Minute, append(others()[:1:1], active("old", by("sess_3"), idle(day))), "old revoked (limit); new active"},
		"UnusedBeforeOwn":    {caller, 0, append(others()[:1:1], active("mine"), active("old", by("sess_3"), idle(day))), "old revoked (limit); mine revoked (limit); new active"},
		"StaleNeedsNone":     {caller, time.Minute, others(active("s", by("sess_3"), left(0)))[1:], "s expired (expired); new active"},
		"ReplacedMakesRoom":  {verified(2 * time.Hour), time.Minute, append(others()[:1:1], active("phone", by("sess_3"), idle(3*time.Hour))), "new active; phone revoked (replaced)"},
		"AnActorsMakeNoRoom": {caller, time.Minute, []session.Session{active("a"), active("x", acted(agent)), active("y", acted(support))}, "new active"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.Policy.MostSessions, b.deps.StepUp.Within = 2, c.within
			b.mayMint()
			b.has(c.seen...)
			b.updates(nil, c.seen...)
			_, err := b.opener().Open(t.Context(), c.caller, onPhone)
			if (err == nil) != (c.wrote != "") || (err != nil && session.KindOf(err) != session.KindReverification) || b.wrote() != c.wrote {
				t.Errorf("Open = %v, wrote %q", err, b.wrote())
			}
			if err != nil {
				b.notes(t, "")
			}
		})
	}
}

// An actor's session has a lifetime of its own, is never remembered, counts
// against a limit of its own, and is recorded with its actor.
func TestOpener_Open_Actor(t *testing.T) {
	t.Parallel()
	t.Run("Creates", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.deps.Policy.MostSessions = 1
		seen := []session.Session{active("phone"), active("a", left(0))}
		b.has(seen...)
		b.creates()
		b.updates(nil, seen...)
		got := b.opens(t, as(agent), ports.OpenRequest{Device: phone, Remember: new(true)})
		b.changed(t, "a expired (expired); new active", "expired a; created new from 192.0.2.1 actor=agent_1 deviceId=phone")
		b.notes(t, "sess_1 agent:agent_1 seen 0s")
		s := got.Session
		if s.Remembered() || !s.ExpiresAt().Equal(noon.Add(time.Hour)) || !got.RefreshAfter.Equal(s.ExpiresAt()) || got.ExpiresIn != time.Hour {
			t.Errorf("expires at %s, refreshes after %s", s.ExpiresAt(), got.RefreshAfter)
		}
	})
	t.Run("Reuses", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		current := active("x", on("phone"), acted(agent), left(us))
		b.has(current)
		if got := b.opens(t, as(agent), ports.OpenRequest{Device: phone, Remember: new(true)}); got.Outcome != session.OutcomeReused || !reflect.DeepEqual(got.Session, current) {
			t.Errorf("%s %+v", got.Outcome, got.Session)
		}
	})
	t.Run("RotatesWithoutLongerLife", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		current := active("x", on("phone"), acted(agent), left(time.Minute), sealed("lost"))
		b.mints(id("x"))
		b.has(current)
		b.updates(nil, current)
		if got := b.opens(t, as(agent), onPhone); got.Outcome != session.OutcomeRefreshed || got.Token != newToken || !got.Session.ExpiresAt().Equal(noon.Add(time.Minute)) {
			t.Errorf("%s until %s", got.Outcome, got.Session.ExpiresAt())
		}
		b.changed(t, "x active", "refreshed x from 192.0.2.1 actor=agent_1 deviceId=phone")
	})
	t.Run("HasTen", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var seen []session.Session
		for i := range 10 {
			seen = append(seen, active(fmt.Sprint("x", i), acted(agent), idle(time.Duration(i)*time.Minute)), active(fmt.Sprint("u", i), idle(time.Duration(i)*time.Hour)))
		}
		b.deps.Rules.NewDevices.Most = 0
		b.has(seen...)
		b.creates()
		b.updates(nil, seen...)
		b.opens(t, as(agent), onPhone)
		b.changed(t, "x9 revoked (limit); new active", "limit x9 from 192.0.2.1 actor=agent_1 successor=new; created new from 192.0.2.1 actor=agent_1 deviceId=phone")
	})
	t.Run("ReplacesItsOwnOfAnotherSignIn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		seen := []session.Session{active("phone", by("sess_2")), active("x", on("phone"), acted(agent), by("sess_2"))}
		b.has(seen...)
		b.creates()
		b.updates(nil, seen...)
		b.opens(t, as(agent), onPhone)
		b.changed(t, "new active; x revoked (replaced)", "created new from 192.0.2.1 actor=agent_1 deviceId=phone; revoked x from 192.0.2.1 actor=agent_1 by=user reason=replaced successor=new")
	})
	t.Run("NeverSatisfiesStepUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.deps.StepUp.Within = time.Hour
		x := active("x", on("phone"), acted(agent), by("sess_2"), idle(0))
		b.has(x)
		b.updates(nil, x)
		proved := as(agent)
		proved.Verified = noon.Add(-time.Minute)
		if _, err := b.opener().Open(t.Context(), proved, onPhone); session.KindOf(err) != session.KindReverification {
			t.Errorf("Open = %v", err)
		}
	})
	t.Run("IsBlockedAlone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.deps.Rules.NewDevices.Most = 1
		b.revokes(session.RuleNewDevices)
		seen := []session.Session{active("a", age(time.Minute)), active("x", age(time.Minute), acted(agent))}
		b.has(seen...)
		b.creates()
		b.updates(nil, seen...)
		if _, err := b.opener().Open(t.Context(), as(agent), onPhone); session.KindOf(err) != session.KindSignedOut {
			t.Errorf("Open = %v", err)
		}
		if got := b.wrote(); got != "new revoked (anomaly); x revoked (anomaly)" {
			t.Errorf("wrote %q", got)
		}
		b.notes(t, "sess_1 agent:agent_1 blocked")
	})
}

// Open remembers the caller's sign-in, and of the user's sign-ins that then
// hold no session the newest fifty.
func TestOpener_Open_Remembers(t *testing.T) {
	t.Parallel()
	var many session.SignIns
	for i := range session.MaxIdleSignIns {
		many = append(many, known(fmt.Sprintf("idle_%02d", i), time.Duration(i+1)*time.Hour))
	}
	for name, c := range map[string]struct {
		known []session.SignIn
		seen  []session.Session
		noted string
	}{
		"New":            {nil, nil, "sess_1 seen 1m0s"},
		"VerifiedAnew":   {[]session.SignIn{known("sess_1", time.Hour)}, nil, "sess_1 seen 1m0s"},
		"SeenLater":      {[]session.SignIn{known("sess_1", time.Second)}, nil, "sess_1 seen 1s"},
		"JustFifty":      {many, nil, "sess_1 seen 1m0s"},
		"OneHolds":       {append(many[:50:50], known("sess_2", day)), []session.Session{active("a", by("sess_2"))}, "sess_1 seen 1m0s"},
		"OneTooMany":     {append(many[:50:50], known("sess_2", 0)), nil, "sess_1 seen 1m0s; idle_49 forgotten"},
		"OneHeld":        {append(many[:50:50], known("sess_2", 0)), []session.Session{active("a", by("sess_2"), signedOut)}, "sess_1 seen 1m0s; idle_49 forgotten"},
		"OneIsReplaced":  {append(many[:50:50], known("sess_2", 100*day)), []session.Session{active("phone", by("sess_2"), idle(day))}, "sess_1 seen 1m0s; sess_2 forgotten"},
		"OneIsStale":     {append(many[:50:50], known("sess_2", 100*day)), []session.Session{active("a", by("sess_2"), left(0))}, "sess_1 seen 1m0s; sess_2 forgotten"},
		"TheCallerHolds": {append(many[:50:50], known("sess_1", 100*day)), nil, "sess_1 seen 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.remembers(c.known...)
			b.has(c.seen...)
			b.creates()
			b.updates(nil, c.seen...)
			b.opens(t, verified(time.Minute), onPhone)
			b.notes(t, c.noted)
		})
	}
}

// A blocked sign-in gets no session, whatever the store returns.
func TestOpener_Open_Blocked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.has()
	b.store.EXPECT().Update(gomock.Any(), ports.Scope{User: user, By: caller.Bearer, CreatedAfter: noon.Add(-10 * time.Minute), NewDevices: 11}, gomock.Any()).Return(session.KindSignedOut)
	if got, err := b.opener().Open(t.Context(), caller, onPhone); session.KindOf(err) != session.KindSignedOut || !reflect.DeepEqual(got, ports.Opened{}) {
		t.Errorf("Open = %+v, %v", got, err)
	}
}

// A new session may replace two, of which either may have been remembered.
func TestOpener_Open_ShownToken_OwnWasRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine := active("g", generated, remembered, age(90*day-time.Hour), func(s *session.Stored) { s.Credential.Hash = newToken.Hash() })
	seen := []session.Session{mine, active("x", by("sess_2"))}
	b.has(seen...)
	b.creates()
	b.updates(nil, seen...)
	if got := b.opens(t, verified(0), shows(oldToken)); !got.Session.Remembered() || got.Outcome != session.OutcomeCreated {
		t.Errorf("%s, remembered %v", got.Outcome, got.Session.Remembered())
	}
	if got := b.wrote(); got != "g expired (expired); new active; x revoked (replaced)" {
		t.Errorf("wrote %q", got)
	}
}
