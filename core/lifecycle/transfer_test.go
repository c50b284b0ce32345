package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var laptop = device("laptop")

func TestTransferrer_Offer(t *testing.T) {
	t.Parallel()
	older := func(s *session.Stored) {
		s.Offer = session.Offer{Code: session.TokenHash{7}, Until: noon.Add(day), Refused: 3}
	}
	for name, c := range map[string]struct {
		seen  []session.Session
		fails error
		want  error
		wrote string
	}{
		"Good":             {[]session.Session{active("a"), active("phone")}, nil, nil, "phone active"},
		"InPlaceOfAnother": {[]session.Session{active("phone", older)}, nil, nil, "phone active"},
		"NoSuchSession":    {[]session.Session{active("a")}, nil, session.KindNotFound, ""},
		"Expired":          {[]session.Session{active("phone", left(0))}, nil, session.KindNotFound, ""},
		"Ended":            {[]session.Session{active("phone", signedOut)}, nil, session.KindNotFound, ""},
		"OfAnotherSignIn":  {[]session.Session{active("phone", by("sess_2"))}, nil, session.KindOtherSignIn, ""},
		"OfAnActor":        {[]session.Session{active("phone", acted(agent))}, nil, session.KindOtherSignIn, ""},
		"UnknownHolder":    {[]session.Session{active("phone", by(""))}, nil, session.KindOtherSignIn, ""},
		"StaleOfAnother":   {[]session.Session{active("phone", by("sess_2"), left(0))}, nil, session.KindNotFound, ""},
		"StoreDown":        {[]session.Session{active("phone")}, errDown, session.KindUnavailable, "phone active"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.ids.EXPECT().TransferCode().Return(code, nil)
			b.updates(c.fails, c.seen...)
			got, err := lifecycle.NewTransferrer(b.deps).Offer(t.Context(), caller, id("phone"))
			want := ports.Offered{Code: code, ExpiresAt: noon.Add(2 * time.Minute)}
			if c.want != nil {
				want = ports.Offered{}
			}
			if !errors.Is(err, c.want) || got != want {
				t.Errorf("Offer = %v, %v", got, err)
			}
			hides(t, err)
			b.changed(t, c.wrote, "")
			for _, s := range b.changes.Sessions {
				if offer := (session.Offer{Code: code.Hash(), Until: noon.Add(2 * time.Minute)}); s.Offer() != offer {
					t.Errorf("wrote %+v", s.Offer())
				}
			}
			if b.scope != (ports.Scope{User: user, By: caller.Bearer}) {
				t.Errorf("Update had the scope %+v", b.scope)
			}
		})
	}
	t.Run("NoCode", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.ids.EXPECT().TransferCode().Return(session.TransferCode{}, errBug)
		if _, err := lifecycle.NewTransferrer(b.deps).Offer(t.Context(), caller, id("phone")); !errors.Is(err, errBug) {
			t.Errorf("Offer = %v", err)
		}
	})
}

// noCode expects the look-up of a malformed code, whose error is err.
func noCode(err error) func(*bench) {
	return func(b *bench) {
		b.secrets.EXPECT().FindByOffer(gomock.Any(), session.TransferCode{}.Hash(), gomock.Any()).Return(session.Session{}, err)
	}
}

// claims returns a Transferrer whose store finds a session by the code.
func claims(b *bench, found session.Session, err error) *lifecycle.Transferrer {
	b.secrets.EXPECT().FindByOffer(gomock.Any(), code.Hash(), gomock.Any()).Return(found, err)
	return lifecycle.NewTransferrer(b.deps)
}

func TestTransferrer_Claim(t *testing.T) {
	t.Parallel()
	const moved = "transferred phone from 192.0.2.1 deviceId=laptop fromDeviceId=phone"
	phone := active("phone", offers(us), rotatedAgo(0), func(s *session.Stored) { s.SignIn, s.Opens = "sess_2", 3 })
	for name, c := range map[string]struct {
		seen     []session.Session
		wrote    string
		recorded string
	}{
		"ToANewDevice": {[]session.Session{active("a"), phone}, "phone active", moved},
		"Occupied": {
			[]session.Session{active("laptop"), phone},
			"phone active; laptop revoked (transferred)",
			moved + "; transferred laptop from 192.0.2.1 deviceId=laptop successor=phone",
		},
		"OccupantOfAnotherSignIn": {
			[]session.Session{active("laptop", by("sess_3")), phone},
			"phone active; laptop revoked (replaced)",
			moved + "; revoked laptop from 192.0.2.1 by=user reason=replaced successor=phone",
		},
		"OccupantOfAnotherSignInExpired": {
			[]session.Session{active("laptop", by("sess_3"), left(0)), phone}, "phone active; laptop expired (expired)", moved + "; expired laptop",
		},
		"OccupantOfActor": {[]session.Session{active("laptop", acted(agent)), phone}, "phone active", moved},
		"OccupantExpired": {
			[]session.Session{active("laptop", left(0)), phone}, "phone active; laptop expired (expired)", moved + "; expired laptop",
		},
		"OccupantOfAnotherWorkflow": {[]session.Session{active("laptop", of("workflow_2")), phone}, "phone active", moved},
		"OccupantEnded":             {[]session.Session{active("laptop", signedOut, by("sess_3")), phone}, "phone active", moved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.mints(id("phone"))
			b.updates(nil, c.seen...)
			got, err := claims(b, phone, nil).Claim(t.Context(), caller, code.Reveal(), laptop)
			if err != nil {
				t.Fatal(err)
			}
			b.changed(t, c.wrote, c.recorded)
			// All other fields are unchanged, including its times.
			want := active("phone", on("laptop"), idle(0), sealed("new"), func(s *session.Stored) { s.Opens, s.Credential.Hash = 4, newToken.Hash() })
			if !reflect.DeepEqual(got.Session, want) || !reflect.DeepEqual(b.changes.Sessions[0], want) {
				t.Errorf("moved %+v, want %+v", got.Session, want)
			}
			if got.Outcome != session.OutcomeTransferred || got.Token != newToken || got.ExpiresIn != 20*time.Hour || !got.RefreshAfter.Equal(noon.Add(19*time.Hour)) {
				t.Errorf("Claim = %+v", got)
			}
			b.notes(t, "sess_1 seen 0s")
			if !got.Session.HeldBy(caller.Holder) {
				t.Errorf("holder %v", got.Session.Holder())
			}
			if b.scope != (ports.Scope{User: user, By: caller.Bearer}) {
				t.Errorf("Update had the scope %+v", b.scope)
			}
		})
	}
}

// A session moved from a generated device is on a named one. The code is
// accepted in lower case.
func TestTransferrer_Claim_FromAGeneratedDevice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	x := active("x", generated, offers(us))
	b.mints(id("x"))
	b.updates(nil, x)
	got, err := claims(b, x, nil).Claim(t.Context(), caller, strings.ToLower(code.Reveal()), laptop)
	if err != nil || got.Session.Generated() {
		t.Errorf("Claim = %+v, %v", got, err)
	}
	b.changed(t, "x active", "transferred x from 192.0.2.1 deviceId=laptop fromDeviceId=x")
}

// A refused claim changes nothing and makes no token: the mocks expect none.
func TestTransferrer_Claim_Refuses(t *testing.T) {
	t.Parallel()
	good := active("phone", offers(us))
	used := active("phone")
	for name, c := range map[string]struct {
		seen []session.Session
		to   session.DeviceID
		want session.Kind
	}{
		"CodeWasUsedMeanwhile": {[]session.Session{used}, laptop, session.KindNotFound},
		"CodeIsTooOld":         {[]session.Session{active("phone", offers(0))}, laptop, session.KindNotFound},
		"SessionIsTooOld":      {[]session.Session{active("phone", offers(us), left(0))}, laptop, session.KindNotFound},
		"SessionEnded":         {nil, laptop, session.KindNotFound},
		"SameDevice":           {[]session.Session{good}, phone, session.KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.updates(nil, c.seen...)
			got, err := claims(b, good, nil).Claim(t.Context(), caller, code.Reveal(), c.to)
			var e *session.Error
			if session.KindOf(err) != c.want || !reflect.DeepEqual(got, ports.Opened{}) || !errors.As(err, &e) {
				t.Fatalf("Claim = %+v, %v", got, err)
			}
			if want := map[session.Kind]string{session.KindInvalid: "deviceId"}[c.want]; e.Field != want {
				t.Errorf("the error's field is %q", e.Field)
			}
			hides(t, err)
			b.changed(t, "", "")
			b.metered(t)
		})
	}
}

func TestTransferrer_Claim_Fails(t *testing.T) {
	t.Parallel()
	good := active("phone", offers(us))
	for name, c := range map[string]struct {
		text    string
		arrange func(*bench)
		want    error
	}{
		"NoCode":    {"", noCode(session.KindNotFound), session.KindNotFound},
		"BadCode":   {code.Reveal()[1:], noCode(session.KindNotFound), session.KindNotFound},
		"Blocked":   {code.Reveal()[1:], noCode(session.KindSignedOut), session.KindSignedOut},
		"Mistyped":  {code.Reveal(), func(b *bench) { claims(b, session.Session{}, session.KindNotFound) }, session.KindNotFound},
		"StoreDown": {code.Reveal(), func(b *bench) { claims(b, session.Session{}, errDown) }, session.KindUnavailable},
		"SignedOut": {code.Reveal(), func(b *bench) {
			claims(b, good, nil)
			b.mints(id("phone"))
			b.updates(session.KindSignedOut, good)
		}, session.KindSignedOut},
		"StoreDownLater": {code.Reveal(), func(b *bench) {
			claims(b, good, nil)
			b.mints(id("phone"))
			b.updates(errDown, good)
		}, session.KindUnavailable},
		"NoToken": {code.Reveal(), func(b *bench) {
			claims(b, good, nil)
			b.updates(nil, good)
			b.ids.EXPECT().Token().Return(session.Token{}, errBug)
		}, errBug},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c.arrange(b)
			got, err := lifecycle.NewTransferrer(b.deps).Claim(t.Context(), caller, c.text, laptop)
			if !errors.Is(err, c.want) || !reflect.DeepEqual(got, ports.Opened{}) {
				t.Errorf("Claim = %+v, %v", got, err)
			}
			hides(t, err)
			if err != nil && c.text != "" && strings.Contains(err.Error(), c.text) {
				t.Errorf("the error contains the code: %v", err)
			}
			b.metered(t)
		})
	}
}

// Offer and Claim require step-up before they change anything.
func TestTransferrer_StepUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.StepUp.Within = time.Minute
	transferrer := lifecycle.NewTransferrer(b.deps)
	b.ids.EXPECT().TransferCode().Return(code, nil).AnyTimes()
	b.updates(nil, active("phone"))
	if _, err := transferrer.Offer(t.Context(), caller, id("phone")); session.KindOf(err) != session.KindReverification {
		t.Errorf("Offer = %v", err)
	}
	for _, found := range []error{nil, session.KindNotFound} { // nor does it learn which codes exist
		if _, err := claims(b, active("phone", offers(us)), found).Claim(t.Context(), caller, code.Reveal(), laptop); session.KindOf(err) != session.KindReverification {
			t.Errorf("Claim = %v", err)
		}
	}
	b.updates(nil, active("phone"))
	if _, err := transferrer.Offer(t.Context(), verified(0), id("phone")); err != nil {
		t.Errorf("Offer = %v", err)
	}
	b.mints(id("phone"))
	b.updates(nil, active("phone", offers(us)))
	if _, err := claims(b, active("phone", offers(us)), nil).Claim(t.Context(), verified(0), code.Reveal(), laptop); err != nil {
		t.Errorf("Claim = %v", err)
	}
}

// A blocked sign-in gets the error that it is blocked, not that of step-up.
func TestTransferrer_StepUp_Blocked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.StepUp.Within = time.Minute
	b.ids.EXPECT().TransferCode().Return(code, nil)
	b.store.EXPECT().Update(gomock.Any(), gomock.Any(), gomock.Any()).Return(session.KindSignedOut)
	if _, err := lifecycle.NewTransferrer(b.deps).Offer(t.Context(), caller, id("phone")); session.KindOf(err) != session.KindSignedOut {
		t.Errorf("Offer = %v", err)
	}
	if _, err := claims(b, session.Session{}, session.KindSignedOut).Claim(t.Context(), caller, code.Reveal(), laptop); session.KindOf(err) != session.KindSignedOut {
		t.Errorf("Claim = %v", err)
	}
}

// The caller has a code of another user: the error tells nothing about it, and
// the owner's timeline does not show who it was.
func TestTransferrer_Claim_ForeignCode(t *testing.T) {
	t.Parallel()
	const (
		recorded = "anomaly phone action=record rule=foreign_code"
		revoked  = "anomaly phone action=revoke rule=foreign_code; revoked phone by=service reason=foreign_code"
	)
	refused := func(n int) with {
		return func(s *session.Stored) { s.Offer = session.Offer{Code: code.Hash(), Until: noon.Add(us), Refused: n} }
	}
	for name, c := range map[string]struct {
		most     int
		revokes  bool
		seen     []session.Session
		fails    error
		wrote    string
		tries    int
		recorded string
		counted  int
	}{
		"TheFirst":          {1, false, []session.Session{active("a"), active("phone", refused(0))}, nil, "phone active", 1, recorded, 1},
		"RecordedOnce":      {1, false, []session.Session{active("phone", refused(1))}, nil, "phone active", 2, "", 0},
		"BelowTheThreshold": {3, true, []session.Session{active("phone", refused(1))}, nil, "phone active", 2, "", 0},
		"AtTheThreshold":    {3, false, []session.Session{active("phone", refused(2))}, nil, "phone active", 3, recorded, 1},
		"SwitchedOff":       {0, true, []session.Session{active("phone", refused(0))}, nil, "phone active", 1, "", 0},
		"Revoke":            {1, true, []session.Session{active("phone", refused(0))}, nil, "phone revoked (anomaly)", 0, revoked, 1},
		"CodeIsTooOld":      {1, true, []session.Session{active("phone", offers(0))}, nil, "", 0, "", 0},
		"UsedMeanwhile":     {1, true, []session.Session{active("phone")}, nil, "", 0, "", 0},
		"EndedMeanwhile":    {1, true, nil, nil, "", 0, "", 0},
		"StoreDown":         {1, false, []session.Session{active("phone", refused(0))}, errDown, "phone active", 1, recorded, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.deps.Rules.ForeignCodes = c.most
			if c.revokes {
				b.revokes(session.RuleForeignCode)
			}
			b.updates(c.fails, c.seen...)
			foreign := access.Caller{Bearer: session.Bearer{User: stranger, Holder: session.Holder{SignIn: signInID("sess_9")}}, Source: thief()}
			got, err := claims(b, active("phone", refused(0)), nil).Claim(t.Context(), foreign, code.Reveal(), laptop)
			want := session.KindNotFound
			if c.fails != nil {
				want = session.KindUnavailable
			}
			if session.KindOf(err) != want || !reflect.DeepEqual(got, ports.Opened{}) {
				t.Errorf("Claim = %+v, %v", got, err)
			}
			hides(t, err)
			b.changed(t, c.wrote, c.recorded)
			for _, s := range b.changes.Sessions {
				if s.Offer().Refused != c.tries {
					t.Errorf("refused %d times", s.Offer().Refused)
				}
			}
			b.metered(t, []session.Rule{session.RuleForeignCode}[:c.counted]...)
			if b.scope != (ports.Scope{User: user}) {
				t.Errorf("Update had the scope %+v", b.scope)
			}
		})
	}
}

// It is no anomaly when the owner mistypes a code, uses it twice or too late,
// or claims it on the session's own device.
func TestTransferrer_Claim_OwnerIsNoAnomaly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.revokes(session.Rules()...)
	claim := func(found session.Session, fails error, to session.DeviceID) error {
		if fails == nil {
			b.updates(nil, found)
		}
		_, err := claims(b, found, fails).Claim(t.Context(), caller, code.Reveal(), to)
		return err
	}
	b.mints(id("phone"))
	if err := claim(active("phone", offers(us)), nil, laptop); err != nil {
		t.Fatal(err)
	}
	b.changes = ports.Changes{}
	for name, err := range map[string]error{
		"Mistyped":   claim(session.Session{}, session.KindNotFound, laptop),
		"SecondTime": claim(active("phone", on("laptop")), nil, phone),
		"TooLate":    claim(active("phone", offers(0)), nil, laptop),
		"SameDevice": claim(active("phone", offers(us)), nil, phone),
	} {
		if want := map[bool]session.Kind{true: session.KindInvalid, false: session.KindNotFound}[name == "SameDevice"]; session.KindOf(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.changed(t, "", "")
	b.metered(t)
}

// A session on the claiming device follows the rules of replacement: a newer
// sign-in that uses it keeps it, and the attempt is recorded.
func TestTransferrer_Claim_Contested(t *testing.T) {
	t.Parallel()
	const contested = "anomaly laptop from 192.0.2.1 action=%s rule=contested_device"
	for name, c := range map[string]struct {
		holder   string
		verified time.Duration // of the other sign-in, before noon
		used     time.Duration
		revokes  bool
		want     error
		wrote    string
		recorded string
		noted    string
	}{
		"Newer":        {"sess_3", time.Minute - us, 0, false, session.KindContested, "", fmt.Sprintf(contested, "record"), ""},
		"Equal":        {"sess_3", time.Minute, 0, false, nil, "phone active; laptop revoked (replaced)", "", "sess_1 seen 1m0s"},
		"Unknown":      {"", 0, 0, false, nil, "phone active; laptop revoked (replaced)", "", "sess_1 seen 1m0s"},
		"NotUsedSince": {"sess_3", 0, time.Minute, false, nil, "phone active; laptop revoked (replaced)", "", "sess_1 seen 1m0s"},
		"Revoke": {
			"sess_3", 0, 0, true, session.KindContested, "phone revoked (anomaly); more revoked (anomaly)",
			fmt.Sprintf(contested, "revoke") + "; revoked phone by=service reason=contested_device; revoked more by=service reason=contested_device", "sess_1 blocked",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if c.revokes {
				b.revokes(session.RuleContestedDevice)
				c.want = session.KindSignedOut
			}
			if c.want == nil {
				b.mints(id("phone"))
			}
			b.remembers(known("sess_3", c.verified))
			good := active("phone", offers(us))
			b.updates(nil, active("laptop", by(c.holder), idle(c.used)), good, active("more"))
			got, err := claims(b, good, nil).Claim(t.Context(), verified(time.Minute), code.Reveal(), laptop)
			if !errors.Is(err, c.want) || (err != nil) != (c.want != nil) || reflect.DeepEqual(got, ports.Opened{}) != (err != nil) {
				t.Errorf("Claim = %+v, %v", got, err)
			}
			if b.wrote() != c.wrote || (c.recorded != "" && b.recorded(t) != c.recorded) {
				t.Errorf("wrote %q, recorded %q", b.wrote(), b.recorded(t))
			}
			b.notes(t, c.noted)
			b.metered(t, []session.Rule{session.RuleContestedDevice}[:min(1, len(c.recorded))]...)
		})
	}
	t.Run("ExactUse", func(t *testing.T) { // pending in this replica's usage buffer
		t.Parallel()
		b := setup(t)
		b.remembers(known("sess_3", 0))
		good, there := active("phone", offers(us)), active("laptop", by("sess_3"), idle(time.Hour))
		b.deps.Usage.Checked(there, noon, atHome)
		b.updates(nil, there, good)
		if _, err := claims(b, good, nil).Claim(t.Context(), verified(time.Minute), code.Reveal(), laptop); session.KindOf(err) != session.KindContested {
			t.Errorf("Claim = %v", err)
		}
	})
	t.Run("StoreDown", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.remembers(known("sess_3", 0))
		good := active("phone", offers(us))
		b.updates(errDown, active("laptop", by("sess_3"), idle(0)), good)
		if _, err := claims(b, good, nil).Claim(t.Context(), verified(time.Minute), code.Reveal(), laptop); session.KindOf(err) != session.KindUnavailable {
			t.Errorf("Claim = %v", err)
		}
		b.metered(t)
	})
}

// Actors cannot transfer: the stores are not called.
func TestTransferrer_Actor(t *testing.T) {
	t.Parallel()
	for _, actor := range []session.Actor{agent, support} {
		transferrer := lifecycle.NewTransferrer(setup(t).deps)
		if _, err := transferrer.Offer(t.Context(), as(actor), id("phone")); session.KindOf(err) != session.KindActorDenied {
			t.Errorf("Offer = %v", err)
		}
		if _, err := transferrer.Claim(t.Context(), as(actor), code.Reveal(), laptop); session.KindOf(err) != session.KindActorDenied {
			t.Errorf("Claim = %v", err)
		}
	}
}

// The end of a session voids its code, whatever ended it.
func TestTransferrer_Offer_VoidAfterEnd(t *testing.T) {
	t.Parallel()
	voids := func(t *testing.T, b *bench) {
		t.Helper()
		for _, s := range b.changes.Sessions {
			if s.ID() == id("phone") && (s.Status() == session.StatusActive || s.Offer() != (session.Offer{})) {
				t.Errorf("status %s, offer %+v", s.Status(), s.Offer())
			}
		}
		if !strings.Contains(b.wrote(), "phone ") {
			t.Errorf("wrote %q", b.wrote())
		}
	}
	offering := active("phone", offers(time.Minute), by("sess_2"))
	t.Run("Replaced", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.has(offering)
		b.creates()
		b.updates(nil, offering)
		b.opens(t, verified(0), onPhone)
		voids(t, b)
	})
	t.Run("HolderBlocked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.store.EXPECT().FindByID(gomock.Any(), user, id("x"), verified(0).Bearer).Return(active("x"), nil)
		b.updates(nil, active("x", by("sess_2"), signedOut), offering)
		if err := lifecycle.NewRevoker(b.deps).Revoke(t.Context(), verified(0), id("x")); err != nil {
			t.Fatal(err)
		}
		voids(t, b)
	})
}

// Step-up is required at the time under the lock, however long the wait for it
// was.
func TestTransferrer_Claim_StepUpUnderTheLock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.StepUp.Within = time.Minute
	good := active("phone", offers(day))
	b.store.EXPECT().Update(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, _ ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
			b.now = noon.Add(time.Second)
			_, err := change(ports.Seen{Sessions: []session.Session{active("laptop", by("sess_3"), idle(0)), good}})
			return err
		})
	_, err := claims(b, good, nil).Claim(t.Context(), verified(time.Minute-time.Second), code.Reveal(), laptop)
	if session.KindOf(err) != session.KindReverification {
		t.Errorf("Claim = %v", err)
	}
}
