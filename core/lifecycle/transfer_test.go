package lifecycle_test

import (
	"errors"
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
		"TimeIsUp":         {[]session.Session{active("phone", left(0))}, nil, session.KindNotFound, ""},
		"Ended":            {[]session.Session{active("phone", signedOut)}, nil, session.KindNotFound, ""},
		"StoreDown":        {[]session.Session{active("phone")}, errDown, session.KindUnavailable, "phone active"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.ids.EXPECT().TransferCode().Return(code, nil)
			b.updates(c.fails, c.seen...)
			got, err := lifecycle.NewTransferrer(b.parts).Offer(t.Context(), caller, id("phone"))
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
			if b.scope != (ports.Scope{User: user}) {
				t.Errorf("looks at %+v", b.scope)
			}
		})
	}
	t.Run("NoCode", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.ids.EXPECT().TransferCode().Return(session.TransferCode{}, errBug)
		if _, err := lifecycle.NewTransferrer(b.parts).Offer(t.Context(), caller, id("phone")); !errors.Is(err, errBug) {
			t.Errorf("Offer = %v", err)
		}
	})
}

// claims is a Transferrer whose store finds a session by the code.
func claims(b *bench, found session.Session, err error) *lifecycle.Transferrer {
	b.secrets.EXPECT().FindByOffer(gomock.Any(), code.Hash()).Return(found, err)
	return lifecycle.NewTransferrer(b.parts)
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
		"ThatHadASession": {
			[]session.Session{active("laptop"), phone},
			"phone active; laptop revoked (transferred)",
			moved + "; transferred laptop from 192.0.2.1 deviceId=laptop successor=phone",
		},
		"ThatHadOneOfAnotherSignIn": {
			[]session.Session{active("laptop", by("sess_3")), phone},
			"phone active; laptop revoked (transferred)",
			moved + "; transferred laptop from 192.0.2.1 deviceId=laptop successor=phone",
		},
		"ThatHadOneWhoseTimeWasUp": {
			[]session.Session{active("laptop", left(0)), phone}, "phone active; laptop expired (expired)", moved + "; expired laptop",
		},
		"ThatHasOneOfAnotherWorkflow": {[]session.Session{active("laptop", of("workflow_2")), phone}, "phone active", moved},
		"ThatHadOneThatEnded":         {[]session.Session{active("laptop", signedOut, by("sess_3")), phone}, "phone active", moved},
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
			// All but this stays as it was, its times among it.
			want := active("phone", on("laptop"), idle(0), sealed("new"), func(s *session.Stored) { s.Opens, s.Credential.Hash = 4, newToken.Hash() })
			if !reflect.DeepEqual(got.Session, want) || !reflect.DeepEqual(b.changes.Sessions[0], want) {
				t.Errorf("moved is %+v, want %+v", got.Session, want)
			}
			if got.Outcome != session.OutcomeTransferred || got.Token != newToken || got.ExpiresIn != 20*time.Hour || !got.RefreshAfter.Equal(noon.Add(19*time.Hour)) {
				t.Errorf("Claim = %+v", got)
			}
			if b.scope != (ports.Scope{User: user, SignIn: signIn}) {
				t.Errorf("looks at %+v", b.scope)
			}
		})
	}
}

// A generated device that is moved becomes a named one; the code is good in
// lower case; who impersonates is in the record.
func TestTransferrer_Claim_FromAGeneratedDevice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	x, support := active("x", generated, offers(us)), caller
	support.ActedBy = "user_support"
	b.mints(id("x"))
	b.updates(nil, x)
	got, err := claims(b, x, nil).Claim(t.Context(), support, strings.ToLower(code.Reveal()), laptop)
	if err != nil || got.Session.Generated() {
		t.Errorf("Claim = %+v, %v", got, err)
	}
	b.changed(t, "x active", "transferred x from 192.0.2.1 actor=user_support deviceId=laptop fromDeviceId=x")
}

// What is refused changes nothing, and no token is made for it: the mocks make
// none.
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
		"SignedOut":            {[]session.Session{active("a", signedOut), good}, laptop, session.KindSignedOut},
		"UnknownBeforeThat":    {[]session.Session{active("a", signedOut), used}, laptop, session.KindNotFound},
		"SignedOutBeforeThat":  {[]session.Session{active("a", signedOut), good}, phone, session.KindSignedOut},
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
				t.Errorf("the field is %q", e.Field)
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
		"NoCode":    {"", func(*bench) {}, session.KindNotFound},
		"BadCode":   {code.Reveal()[1:], func(*bench) {}, session.KindNotFound},
		"Mistyped":  {code.Reveal(), func(b *bench) { claims(b, session.Session{}, session.KindNotFound) }, session.KindNotFound},
		"StoreDown": {code.Reveal(), func(b *bench) { claims(b, session.Session{}, errDown) }, session.KindUnavailable},
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
			got, err := lifecycle.NewTransferrer(b.parts).Claim(t.Context(), caller, c.text, laptop)
			if !errors.Is(err, c.want) || !reflect.DeepEqual(got, ports.Opened{}) {
				t.Errorf("Claim = %+v, %v", got, err)
			}
			hides(t, err)
			if err != nil && c.text != "" && strings.Contains(err.Error(), c.text) {
				t.Errorf("the error shows the code: %v", err)
			}
			b.metered(t)
		})
	}
}

// Both need a factor that was verified recently, before anything else happens.
func TestTransferrer_StepUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.parts.StepUp.Within = time.Minute
	transferrer := lifecycle.NewTransferrer(b.parts)
	if _, err := transferrer.Offer(t.Context(), caller, id("phone")); session.KindOf(err) != session.KindReverification {
		t.Errorf("Offer = %v", err)
	}
	if _, err := transferrer.Claim(t.Context(), caller, code.Reveal(), laptop); session.KindOf(err) != session.KindReverification {
		t.Errorf("Claim = %v", err)
	}
	verified := caller
	verified.VerifiedAgo = 0
	b.ids.EXPECT().TransferCode().Return(code, nil)
	b.updates(nil, active("phone"))
	if _, err := transferrer.Offer(t.Context(), verified, id("phone")); err != nil {
		t.Errorf("Offer = %v", err)
	}
	b.mints(id("phone"))
	b.updates(nil, active("phone", offers(us)))
	if _, err := claims(b, active("phone", offers(us)), nil).Claim(t.Context(), verified, code.Reveal(), laptop); err != nil {
		t.Errorf("Claim = %v", err)
	}
}

// Somebody else has the code: whoever they are, they learn nothing, and the
// owner's timeline does not say who it was.
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
			b.parts.Rules.ForeignCodes = c.most
			if c.revokes {
				b.revokes(session.RuleForeignCode)
			}
			b.updates(c.fails, c.seen...)
			foreign := access.Caller{User: stranger, SignIn: signInID("sess_9"), ActedBy: "user_9", Source: thief()}
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
					t.Errorf("tried %d times", s.Offer().Refused)
				}
			}
			b.metered(t, []session.Rule{session.RuleForeignCode}[:c.counted]...)
			if b.scope != (ports.Scope{User: user}) {
				t.Errorf("looks at %+v", b.scope)
			}
		})
	}
}

// The owner who mistypes the code, or uses one a second time or too late, is no
// anomaly; nor is the one who claims it where the session is.
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
