package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var (
	onPhone  = ports.OpenRequest{Device: phone}
	anywhere = ports.OpenRequest{}
	metadata = session.Must(session.NewMetadata(map[string]any{"source": "web"}))
)

func (b *bench) opener() *lifecycle.Opener { return lifecycle.NewOpener(b.deps, workflow) }

// opens opens a session and checks what holds for every outcome.
func (b *bench) opens(t *testing.T, caller access.Caller, request ports.OpenRequest) ports.Opened {
	t.Helper()
	got, err := b.opener().Open(t.Context(), caller, request)
	if err != nil {
		t.Fatal(err)
	}
	s := got.Session
	if !got.RefreshAfter.Equal(b.deps.Policy.RefreshAfter(s)) || got.ExpiresIn != s.ExpiresAt().Sub(b.now) {
		t.Errorf("refreshes after %s, expires in %s at %s", got.RefreshAfter, got.ExpiresIn, s.ExpiresAt())
	}
	if s.Credential().Hash != got.Token.Hash() {
		t.Error("the token is not the one of the session")
	}
	if s.User() != user || s.Workflow() != workflow || !s.HeldBy(caller.Holder) || s.Actor() != caller.Actor {
		t.Errorf("the session has user %s, workflow %s, holder %v", s.User(), s.Workflow(), s.Holder())
	}
	for _, written := range b.changes.Sessions {
		if written.ID() == s.ID() && !reflect.DeepEqual(written, s) {
			t.Error("the returned session differs from the written one")
		}
	}
	return got
}

const created, createdHere = "created new from 192.0.2.1 deviceId=", "created new from 192.0.2.1 deviceId=phone"

func TestOpener_Open_Creates(t *testing.T) {
	t.Parallel()
	const first, second, third = "device_user_1_1735732800000", "device_user_1_1735732800001", "device_user_1_1735732800002"
	most := func(n int) func(*bench) { return func(b *bench) { b.deps.Policy.MostSessions = n } }
	cases := map[string]struct {
		arrange  func(*bench)
		seen     []session.Session
		request  ports.OpenRequest
		wrote    string
		recorded string
	}{
		"OnTheClientsDevice": {nil, nil, onPhone, "new active", createdHere},
		"OnAGeneratedDevice": {nil, nil, anywhere, "new active", created + first},
		"NamedOneIsNotContinued": {
			nil, []session.Session{active("phone")}, anywhere, "new active", created + first,
		},
		"GeneratedNamesAreTaken": {
			nil, []session.Session{active(first), active("x", on(second), of("workflow_2"))}, anywhere, "new active", created + third,
		},
		"GeneratedNameWasTaken": {
			nil, []session.Session{active(first, signedOut, by("sess_2"))}, anywhere, "new active", created + first,
		},
		"OtherWorkflowsDoNotCount": {
			nil, []session.Session{active("other", on("phone"), of("workflow_2"))}, onPhone, "new active", createdHere,
		},
		"StaleOnTheDeviceEnds": {
			nil,
			[]session.Session{active("phone", left(0))},
			onPhone,
			"phone expired (expired); new active", "expired phone; " + createdHere,
		},
		"IdleOnTheDeviceEnds": {
			nil,
			[]session.Session{active("phone", remembered, idle(7*day), age(8*day))},
			onPhone,
			"phone expired (expired); new active", "expired phone; " + createdHere,
		},
		"NearLongestLifeCreates": {
			nil,
			[]session.Session{active("phone", age(30*day-time.Hour))},
			onPhone,
			"phone expired (expired); new active", "expired phone; " + createdHere,
		},
		"EveryStaleOneEnds": {
			nil,
			[]session.Session{active("a", left(-day), of("workflow_2")), active("b", left(us)), active("c", left(0))},
			onPhone,
			"a expired (expired); c expired (expired); new active", "expired a; expired c; " + createdHere,
		},
		"LimitEndsLeastRecentlyUsed": {
			most(2),
			[]session.Session{active("a", idle(time.Minute)), active("b", idle(time.Hour))},
			onPhone,
			"b revoked (limit); new active", "limit b from 192.0.2.1 successor=new; " + createdHere,
		},
		"LimitOfAllWorkflows": {
			most(1),
			[]session.Session{active("a", of("workflow_2"))},
			onPhone,
			"a revoked (limit); new active", "limit a from 192.0.2.1 successor=new; " + createdHere,
		},
		"LimitIsNotReached": {most(3), []session.Session{active("a"), active("b")}, onPhone, "new active", createdHere},
		"LimitWasLowered": {
			most(1),
			[]session.Session{active("a", idle(time.Hour)), active("b", idle(2*time.Hour))},
			onPhone,
			"b revoked (limit); a revoked (limit); new active",
			"limit b from 192.0.2.1 successor=new; limit a from 192.0.2.1 successor=new; " + createdHere,
		},
		"StaleOnesMakeRoom": {
			most(2),
			[]session.Session{active("a", left(0)), active("b", idle(time.Hour))},
			onPhone,
			"a expired (expired); new active", "expired a; " + createdHere,
		},
		"TheReplacedOneMakesRoom": {
			most(2),
			[]session.Session{active("a"), active("phone", age(30*day-time.Hour))},
			onPhone,
			"phone expired (expired); new active", "expired phone; " + createdHere,
		},
		"EndedDoNotCount": {
			most(2), []session.Session{active("a", signedOut, by("sess_2")), active("b")}, onPhone, "new active", createdHere,
		},
		"NoLimit": {most(0), []session.Session{active("a"), active("b")}, onPhone, "new active", createdHere},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if c.arrange != nil {
				c.arrange(b)
			}
			b.has(c.seen...)
			b.creates()
			b.updates(nil, c.seen...)
			got := b.opens(t, caller, c.request)
			b.changed(t, c.wrote, c.recorded)
			b.notes(t, "sess_1 seen 0s")
			if got.Outcome != session.OutcomeCreated || got.Token != newToken || got.Session.ID() != id("new") || got.Session.Generated() != c.request.Device.IsZero() {
				t.Errorf("%s %s, generated %v", got.Outcome, got.Session.ID(), got.Session.Generated())
			}
			if used := b.used(t); used != "" {
				t.Errorf("a new session has one open, but %q is pending", used)
			}
			b.metered(t)
		})
	}
}

// A new session has what the request says.
func TestOpener_Open_Creates_FromRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request  ports.OpenRequest
		lives    time.Duration
		metadata session.Metadata
	}{
		"Nothing":    {onPhone, day, session.Metadata{}},
		"Metadata":   {ports.OpenRequest{Device: phone, Metadata: &metadata}, day, metadata},
		"Remembered": {ports.OpenRequest{Device: phone, Remember: new(true)}, 30 * day, session.Metadata{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.has()
			b.creates()
			b.updates(nil)
			s := b.opens(t, caller, c.request).Session
			if !s.CreatedAt().Equal(noon) || !s.ExpiresAt().Equal(noon.Add(c.lives)) || s.Remembered() != (c.lives > day) || !s.Metadata().Equal(c.metadata) {
				t.Errorf("created %s, expires %s, remembered %v, metadata %v", s.CreatedAt(), s.ExpiresAt(), s.Remembered(), s.Metadata().Tree())
			}
			if s.Device() != phone || s.Source() != atHome || s.Opens() != 1 || string(s.Credential().Sealed) != "new" {
				t.Errorf("device %s, source %v, %d opens", s.Device(), s.Source(), s.Opens())
			}
			if want := (ports.Scope{User: user, By: caller.Bearer, CreatedAfter: noon.Add(-10 * time.Minute), NewDevices: 11}); b.scope != want {
				t.Errorf("Update had the scope %+v, want %+v", b.scope, want)
			}
		})
	}
	t.Run("WithoutNewDevicesRule", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.deps.Rules.NewDevices = session.Limit{}
		b.has()
		b.creates()
		b.updates(nil)
		b.opens(t, caller, onPhone)
		if want := (ports.Scope{User: user, By: caller.Bearer}); b.scope != want {
			t.Errorf("Update had the scope %+v, want %+v", b.scope, want)
		}
	})
}

// An unchanged reuse costs one read and no write: the mocks refuse all other
// calls.
func TestOpener_Open_Reuse_WritesNothing(t *testing.T) {
	t.Parallel()
	same := session.Metadata{}
	for name, c := range map[string]struct {
		current session.Session
		request ports.OpenRequest
	}{
		"OnTheClientsDevice":    {active("phone"), onPhone},
		"OnAGeneratedDevice":    {active("x", generated), anywhere},
		"JustAboveTheThreshold": {active("phone", left(time.Hour+us)), onPhone},
		"TheSameMetadata":       {active("phone"), ports.OpenRequest{Device: phone, Metadata: &same}},
		"StaysUsual":            {active("phone"), ports.OpenRequest{Device: phone, Remember: new(false)}},
		"StaysRemembered":       {active("phone", remembered), ports.OpenRequest{Device: phone, Remember: new(true)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.has(c.current)
			got := b.opens(t, caller, c.request)
			if got.Outcome != session.OutcomeReused || got.Token != oldToken || !reflect.DeepEqual(got.Session, c.current) {
				t.Errorf("%s %v", got.Outcome, got.Session)
			}
			if used := b.used(t); used != c.current.ID().String()+" 1/0 from 192.0.2.1" {
				t.Errorf("wrote the uses %q", used)
			}
		})
	}
}

func TestOpener_Open_Reuse_WritesChanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		current session.Session
		request ports.OpenRequest
		want    session.Session
	}{
		"Metadata":     {active("phone"), ports.OpenRequest{Device: phone, Metadata: &metadata}, active("phone", idle(0), func(s *session.Stored) { s.Metadata = metadata })},
		"Remember":     {active("phone"), ports.OpenRequest{Device: phone, Remember: new(true)}, active("phone", idle(0), remembered, left(30*day))},
		"NotAnyMore":   {active("phone", remembered, left(20*day)), ports.OpenRequest{Device: phone, Remember: new(false)}, active("phone", idle(0), left(day))},
		"LateRemember": {active("phone", left(us)), ports.OpenRequest{Device: phone, Remember: new(true)}, active("phone", idle(0), remembered, left(30*day))},
		// The session is in use: the new terms must not make it idle at once.
		"RememberOfLongIdle": {active("phone", idle(8*day), age(9*day)), ports.OpenRequest{Device: phone, Remember: new(true)}, active("phone", idle(0), age(9*day), remembered, left(30*day))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.has(c.current)
			b.updates(nil, active("ended", on("phone"), signedOut, by("sess_9")), c.current)
			got := b.opens(t, caller, c.request)
			if got.Outcome != session.OutcomeReused || got.Token != oldToken || !reflect.DeepEqual(got.Session, c.want) {
				t.Errorf("%s %+v, want %+v", got.Outcome, got.Session, c.want)
			}
			b.changed(t, "phone active", "")
			b.notes(t, "sess_1 seen 0s")
			if used := b.used(t); used != "phone 1/0 from 192.0.2.1" {
				t.Errorf("wrote the uses %q", used)
			}
		})
	}
}

func TestOpener_Open_Refreshes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		current session.Session
		request ports.OpenRequest
		lives   time.Duration
	}{
		"AtTheThreshold":      {active("phone", left(time.Hour)), onPhone, day},
		"TokenThatNoKeyOpens": {active("phone", sealed("lost")), onPhone, day},
		"Remembered":          {active("phone", left(time.Hour), remembered), onPhone, 30 * day},
		"LostAndRemembered":   {active("phone", sealed("lost")), ports.OpenRequest{Device: phone, Remember: new(true)}, 30 * day},
		"WithMetadata":        {active("phone", left(time.Hour)), ports.OpenRequest{Device: phone, Metadata: &metadata}, day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.mints(id("phone"))
			b.has(c.current)
			b.updates(nil, active("a"), c.current)
			got := b.opens(t, caller, c.request)
			s := got.Session
			if got.Outcome != session.OutcomeRefreshed || got.Token != newToken || s.ID() != id("phone") || !s.ExpiresAt().Equal(noon.Add(c.lives)) || s.Remembered() != (c.lives > day) {
				t.Errorf("%s %s until %s", got.Outcome, s.ID(), s.ExpiresAt())
			}
			if previous, until := s.Previous(); previous != oldToken.Hash() || !until.Equal(noon.Add(30*time.Second)) {
				t.Errorf("the grace ends at %s", until)
			}
			if c.request.Metadata != nil && !s.Metadata().Equal(metadata) {
				t.Errorf("metadata = %v", s.Metadata().Tree())
			}
			b.changed(t, "phone active", "refreshed phone from 192.0.2.1 deviceId=phone")
			b.notes(t, "sess_1 seen 0s")
			if used := b.used(t); used != "phone 1/0 from 192.0.2.1" {
				t.Errorf("wrote the uses %q", used)
			}
		})
	}
}

// Another call changed the session between the read without a lock and the one
// under it.
func TestOpener_Open_LosesTheRace(t *testing.T) {
	t.Parallel()
	winner := active("phone", rotatedAgo(0), sealed("new"))
	for name, c := range map[string]struct {
		found, seen []session.Session
		token       session.Token
		outcome     session.Outcome
		wrote       string
	}{
		"ToCreate":     {nil, []session.Session{active("phone", left(day))}, oldToken, session.OutcomeReused, ""},
		"ToRefresh":    {[]session.Session{active("phone", left(time.Hour))}, []session.Session{winner}, newToken, session.OutcomeReused, ""},
		"ToReplace":    {[]session.Session{active("phone", by("sess_2"))}, []session.Session{active("phone")}, oldToken, session.OutcomeReused, ""},
		"ToSignedOut":  {[]session.Session{active("phone", left(time.Hour))}, nil, newToken, session.OutcomeCreated, "new active"},
		"NowRefreshed": {nil, []session.Session{active("phone", left(time.Hour))}, newToken, session.OutcomeRefreshed, "phone active"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.ids.EXPECT().SessionID().Return(id("new"), nil).MaxTimes(1)
			b.ids.EXPECT().Token().Return(newToken, nil).MaxTimes(1)
			b.sealer.EXPECT().Seal(gomock.Any(), newToken).Return([]byte("new"), nil).MaxTimes(1)
			b.has(c.found...)
			b.updates(nil, c.seen...)
			got := b.opens(t, caller, onPhone)
			if got.Outcome != c.outcome || got.Token != c.token || b.wrote() != c.wrote {
				t.Errorf("%s, wrote %q", got.Outcome, b.wrote())
			}
		})
	}
}

// The time under the lock decides: the wait for it may have been long.
func TestOpener_Open_TakesTheTimeUnderTheLock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.creates()
	b.store.EXPECT().Find(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(func(context.Context, session.Slot, session.SignInID) (session.Session, error) {
		b.now = noon.Add(time.Hour)
		return session.Session{}, session.KindNotFound
	})
	b.updates(nil)
	if s := b.opens(t, caller, onPhone).Session; !s.CreatedAt().Equal(noon.Add(time.Hour)) {
		t.Errorf("created at %s", s.CreatedAt())
	}
}

func TestOpener_Open_Fails(t *testing.T) {
	t.Parallel()
	refreshes := active("phone", left(time.Hour))
	finds := func(err error) func(*bench) {
		return func(b *bench) {
			b.store.EXPECT().Find(gomock.Any(), gomock.Any(), gomock.Any()).Return(session.Session{}, err)
		}
	}
	creating := func(err error) func(*bench) {
		return func(b *bench) { b.creates(); b.has(); b.updates(err) }
	}
	refreshing := func(err error) func(*bench) {
		return func(b *bench) { b.mints(id("phone")); b.has(refreshes); b.updates(err, refreshes) }
	}
	makes := func(arrange func(*bench)) func(*bench) {
		return func(b *bench) { b.has(); b.updates(nil); arrange(b) }
	}
	noToken := func(b *bench) { b.ids.EXPECT().Token().Return(session.Token{}, errBug) }
	newID := func(b *bench) { b.ids.EXPECT().SessionID().Return(id("new"), nil) }
	for name, c := range map[string]struct {
		arrange func(*bench)
		want    session.Kind
		cause   error
	}{
		"FindUnavailable":    {finds(fmt.Errorf("find: %w", errDown)), session.KindUnavailable, errDown},
		"FindBroken":         {finds(errBug), session.KindCreateFailed, errBug},
		"CreateUnavailable":  {creating(fmt.Errorf("update: %w", errDown)), session.KindUnavailable, errDown},
		"CreateBroken":       {creating(errBug), session.KindCreateFailed, errBug},
		"CreateConflict":     {creating(session.KindConflict), session.KindCreateFailed, session.KindConflict},
		"CreateOverloaded":   {creating(session.Wrap(session.KindOverloaded, errDown)), session.KindOverloaded, errDown},
		"RefreshUnavailable": {refreshing(fmt.Errorf("update: %w", errDown)), session.KindUnavailable, errDown},
		"RefreshBroken":      {refreshing(errBug), session.KindRefreshFailed, errBug},
		"NoID":               {makes(func(b *bench) { b.ids.EXPECT().SessionID().Return(session.ID{}, errBug) }), session.KindCreateFailed, errBug},
		"NoToken":            {makes(func(b *bench) { newID(b); noToken(b) }), session.KindCreateFailed, errBug},
		"NoSeal": {makes(func(b *bench) {
			newID(b)
			b.ids.EXPECT().Token().Return(newToken, nil)
			b.sealer.EXPECT().Seal(id("new"), newToken).Return(nil, errBug)
		}), session.KindCreateFailed, errBug},
		"NoTokenToRefreshWith": {func(b *bench) { b.has(refreshes); b.updates(nil, refreshes); noToken(b) }, session.KindRefreshFailed, errBug},
		"SealerBroken":         {func(b *bench) { b.has(active("phone", sealed("broken"))) }, session.KindCreateFailed, errBug},
		"SealerBrokenLater":    {func(b *bench) { b.has(); b.updates(nil, active("phone", sealed("broken"))) }, session.KindCreateFailed, errBug},
		"SignedOut":            {creating(session.KindSignedOut), session.KindSignedOut, session.KindSignedOut},
		"ReuseBroken": {func(b *bench) {
			b.has()
			b.updates(errBug, active("phone"))
		}, session.KindCreateFailed, errBug},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c.arrange(b)
			opened, err := b.opener().Open(t.Context(), caller, onPhone)
			if session.KindOf(err) != c.want || !errors.Is(err, c.cause) {
				t.Errorf("Open = %v, want %v because of %v", err, c.want, c.cause)
			}
			if !reflect.DeepEqual(opened, ports.Opened{}) || b.used(t) != "" {
				t.Error("a failed Open returned a session, or counted")
			}
			hides(t, err)
		})
	}
}

func TestOpener_Open_WithoutWorkflow(t *testing.T) {
	t.Parallel()
	opener := lifecycle.NewOpener(setup(t).deps, session.WorkflowID{})
	if _, err := opener.Open(t.Context(), caller, onPhone); session.KindOf(err) != session.KindNotConfigured {
		t.Errorf("Open = %v", err)
	}
	if _, err := opener.Workflow(); session.KindOf(err) != session.KindNotConfigured {
		t.Errorf("Workflow = %v", err)
	}
	if got, err := setup(t).opener().Workflow(); err != nil || got != workflow {
		t.Errorf("Workflow = %s, %v", got, err)
	}
}
