package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/access"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
	"chatkit-session/ports/portmock"
)

const (
	us  = time.Microsecond
	day = 24 * time.Hour
)

var (
	noon     = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	user     = session.Must(session.ParseUserID("user_1"))
	stranger = session.Must(session.ParseUserID("user_2"))
	phone    = session.Must(session.ParseDeviceID("phone"))
	workflow = session.Must(session.ParseWorkflowID("workflow_1"))
	signIn   = session.Must(session.ParseSignInID("sess_1"))
	member   = session.Must(access.ParseRole("member"))
	admin    = session.Must(access.ParseRole("admin"))

	oldToken = session.Must(session.ParseToken("550e8400-e29b-41d4-a716-446655440000"))
	newToken = session.Must(session.ParseToken("6ba7b810-9dad-41d1-80b4-00c04fd430c8"))
	code     = session.Must(session.ParseTransferCode("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))

	errDown = session.Wrap(session.KindUnavailable, errors.New("down"))
	errBug  = errors.New("bug")

	atHome = from("192.0.2.1")
	caller = access.Caller{Bearer: session.Bearer{User: user, Holder: session.Holder{SignIn: signIn}}, Role: member, Source: atHome}

	agent   = session.Must(session.NewActor(session.ActorAgent, "agent_1"))
	support = session.Must(session.NewActor(session.ActorImpersonator, "user_support"))
)

// verified returns the caller with a factor verified this long before noon. The
// plain caller's time of verification is unknown.
func verified(ago time.Duration) access.Caller {
	c := caller
	c.Verified = noon.Add(-ago)
	return c
}

// as returns the caller with an actor in their sign-in.
func as(actor session.Actor) access.Caller {
	c := caller
	c.Actor = actor
	return c
}

// known returns a remembered sign-in, named "sess_1", or "sess_1 agent:agent_1"
// with an actor. It was first seen and verified this long before noon.
func known(name string, ago time.Duration) session.SignIn {
	signIn, actor, _ := strings.Cut(name, " ")
	return session.RestoreSignIn(session.StoredSignIn{SignIn: signIn, Actor: actor, FirstSeen: noon.Add(-ago), Verified: noon.Add(-ago)})
}

// from returns a source in the network of an address, with Firefox on Linux.
func from(address string) session.Source {
	return session.NewSource(netip.MustParseAddr(address), session.NewClient("Firefox 133", "Linux", "desktop"))
}

// thief returns a source that differs from all others in address and client.
func thief() session.Source {
	return session.NewSource(netip.MustParseAddr("203.0.113.9"), session.NewClient("Chrome 130", "Windows 11", "desktop"))
}

func id(text string) session.ID             { return session.Must(session.ParseID(text)) }
func device(text string) session.DeviceID   { return session.Must(session.ParseDeviceID(text)) }
func signInID(text string) session.SignInID { return session.Must(session.ParseSignInID(text)) }

// with changes a session before it is restored.
type with func(*session.Stored)

// active returns a session on a device named like its id. The caller's sign-in
// opened it an hour ago; it has 20 hours left and oldToken.
func active(id string, with ...with) session.Session {
	s := session.Stored{
		ID: id, User: "user_1", Device: id, Workflow: "workflow_1", SignIn: "sess_1", Status: session.StatusActive,
		CreatedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(20 * time.Hour), LastActivityAt: noon.Add(-time.Hour),
		Credential: session.Credential{Hash: oldToken.Hash(), Sealed: []byte("old")}, Source: atHome, Opens: 1,
	}
	for _, change := range with {
		change(&s)
	}
	return session.Restore(s)
}

func left(d time.Duration) with { return func(s *session.Stored) { s.ExpiresAt = noon.Add(d) } }
func age(d time.Duration) with  { return func(s *session.Stored) { s.CreatedAt = noon.Add(-d) } }
func idle(d time.Duration) with {
	return func(s *session.Stored) { s.LastActivityAt = noon.Add(-d) }
}

func acted(by session.Actor) with {
	return func(s *session.Stored) { s.Actor = by.String() }
}
func by(signIn string) with   { return func(s *session.Stored) { s.SignIn = signIn } }
func on(device string) with   { return func(s *session.Stored) { s.Device = device } }
func of(workflow string) with { return func(s *session.Stored) { s.Workflow = workflow } }
func sealed(sealed string) with {
	return func(s *session.Stored) { s.Credential.Sealed = []byte(sealed) }
}
func generated(s *session.Stored)  { s.Generated = true }
func remembered(s *session.Stored) { s.Remembered = true }

// signedOut ends the session by the user, a minute ago.
func signedOut(s *session.Stored) {
	s.Status, s.EndReason, s.EndedAt = session.StatusRevoked, session.EndUser, noon.Add(-time.Minute)
}

// rotatedAgo makes oldToken the superseded token of a rotation to newToken this
// long ago.
func rotatedAgo(d time.Duration) with {
	return func(s *session.Stored) {
		s.Credential.Hash = newToken.Hash()
		s.Previous, s.PreviousUntil = oldToken.Hash(), noon.Add(-d).Add(session.DefaultPolicy().Grace)
	}
}

// offers gives the session a transfer code that expires in d.
func offers(d time.Duration) with {
	return func(s *session.Stored) { s.Offer = session.Offer{Code: code.Hash(), Until: noon.Add(d)} }
}

// bench has mocks of the use cases' dependencies. Its time is noon until a test
// sets now.
type bench struct {
	store   *portmock.MockSessionStore
	secrets *portmock.MockSecretFinder
	sealer  *portmock.MockSealer
	ids     *portmock.MockIdentifiers
	meter   *portmock.MockMeter
	usages  *portmock.MockUsageStore
	shared  *portmock.MockSharedCounter
	deps    lifecycle.Deps
	now     time.Time

	// What Update shows beside the sessions.
	signIns       session.SignIns
	holderBlocked bool

	scope   ports.Scope // of the last Update
	changes ports.Changes
	counted []session.Rule
}

func setup(t *testing.T) *bench {
	t.Helper()
	ctrl := gomock.NewController(t)
	clock := portmock.NewMockClock(ctrl)
	b := &bench{
		store:   portmock.NewMockSessionStore(ctrl),
		secrets: portmock.NewMockSecretFinder(ctrl),
		sealer:  portmock.NewMockSealer(ctrl),
		ids:     portmock.NewMockIdentifiers(ctrl),
		meter:   portmock.NewMockMeter(ctrl),
		usages:  portmock.NewMockUsageStore(ctrl),
		shared:  portmock.NewMockSharedCounter(ctrl),
		now:     noon,
	}
	clock.EXPECT().Now().DoAndReturn(func() time.Time { return b.now }).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), []byte("old")).Return(oldToken, nil).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), []byte("new")).Return(newToken, nil).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), []byte("lost")).Return(session.Token{}, session.KindUnreadable).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), []byte("broken")).Return(session.Token{}, errBug).AnyTimes()
	b.meter.EXPECT().Anomaly(gomock.Any()).Do(func(rule session.Rule) { b.counted = append(b.counted, rule) }).AnyTimes()
	b.deps = lifecycle.Deps{
		Store: b.store, Secrets: b.secrets, Sealer: b.sealer, IDs: b.ids, Clock: clock, Meter: b.meter,
		Usage:  lifecycle.NewUsageBuffer(b.usages, clock, time.Minute),
		Policy: session.DefaultPolicy(), Rules: session.DefaultAnomalyRules(),
	}
	return b
}

func (b *bench) revokes(rules ...session.Rule) {
	b.deps.Rules.Actions = map[session.Rule]session.Action{}
	for _, rule := range rules {
		b.deps.Rules.Actions[rule] = session.ActionRevoke
	}
}

// mints expects one token to be made, for the session with id.
func (b *bench) mints(id session.ID) {
	b.ids.EXPECT().Token().Return(newToken, nil)
	b.sealer.EXPECT().Seal(id, newToken).Return([]byte("new"), nil)
}

// creates expects one session to be created, with the id "new".
func (b *bench) creates() {
	b.ids.EXPECT().SessionID().Return(id("new"), nil)
	b.mints(id("new"))
}

// updates expects one Update, which reads the sessions and returns fails after
// its changes.
func (b *bench) updates(fails error, seen ...session.Session) {
	b.store.EXPECT().Update(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
			b.scope = scope
			changes, err := change(ports.Seen{Sessions: slices.Clone(seen), SignIns: slices.Clone(b.signIns), HolderBlocked: b.holderBlocked})
			if err != nil {
				return err
			}
			b.changes = changes
			return fails
		})
}

// remembers sets the sign-ins that the store remembers.
func (b *bench) remembers(signIns ...session.SignIn) { b.signIns = signIns }

// wrote returns what the last Update wrote of sessions: "id status" and, for an
// ended one, the reason.
func (b *bench) wrote() string {
	var lines []string
	for _, s := range b.changes.Sessions {
		line := fmt.Sprintf("%s %s", s.ID(), s.Status())
		if s.Status() != session.StatusActive {
			line += fmt.Sprintf(" (%s)", s.EndReason())
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// noted returns what the last Update wrote of sign-ins: "sess_1 seen" with the
// time from its verification to noon, "sess_2 blocked", "sess_3 forgotten", and
// the moment as the time to noon.
func (b *bench) noted() string {
	var lines []string
	name := func(h session.Holder) string { return strings.TrimSuffix(h.SignIn.String()+" "+h.Actor.String(), " ") }
	for _, s := range b.changes.SignIns {
		if s.BlockedAt().IsZero() {
			lines = append(lines, fmt.Sprintf("%s seen %s", name(s.Holder()), noon.Sub(s.Verified())))
		} else {
			lines = append(lines, name(s.Holder())+" blocked")
		}
	}
	for _, h := range b.changes.Forget {
		lines = append(lines, name(h)+" forgotten")
	}
	if !b.changes.Moment.IsZero() {
		lines = append(lines, fmt.Sprintf("moment %s", noon.Sub(b.changes.Moment)))
	}
	return strings.Join(lines, "; ")
}

// notes checks what the last Update wrote of sign-ins.
func (b *bench) notes(t *testing.T, want string) {
	t.Helper()
	if got := b.noted(); got != want {
		t.Errorf("wrote of sign-ins %q, want %q", got, want)
	}
}

// recorded returns what the last Update added to the timeline: "type id", the
// address if there is one, and the details.
func (b *bench) recorded(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, a := range b.changes.Activity {
		line := fmt.Sprintf("%s %s", a.Type, a.Session)
		if a.Source.Address.IsValid() {
			line += " from " + a.Source.Address.String()
		}
		for _, name := range slices.Sorted(maps.Keys(a.Detail)) {
			line += " " + name + "=" + a.Detail[name]
		}
		lines = append(lines, line)
		if !a.At.Equal(b.now) || a.User != user || !a.ID.IsZero() {
			t.Errorf("record %s has user %s, time %s and id %q", line, a.User, a.At, a.ID)
		}
	}
	return strings.Join(lines, "; ")
}

// changed checks what the last Update wrote of sessions and added to the
// timeline.
func (b *bench) changed(t *testing.T, wrote, recorded string) {
	t.Helper()
	if got := b.wrote(); got != wrote {
		t.Errorf("wrote %q, want %q", got, wrote)
	}
	if got := b.recorded(t); got != recorded {
		t.Errorf("recorded\n%s\nwant\n%s", got, recorded)
	}
}

// metered checks which anomalies were counted.
func (b *bench) metered(t *testing.T, want ...session.Rule) {
	t.Helper()
	if !slices.Equal(b.counted, want) {
		t.Errorf("counted anomalies %v, want %v", b.counted, want)
	}
}

// used flushes the usage buffer and returns what it wrote: "id opens/checks
// from address".
func (b *bench) used(t *testing.T) string {
	t.Helper()
	var lines []string
	b.usages.EXPECT().Touch(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, uses []session.Use) ([]session.ID, error) {
		for _, use := range uses {
			lines = append(lines, fmt.Sprintf("%s %d/%d from %s", use.Session, use.Opens, use.Checks, use.Source.Address))
			if !use.At.Equal(b.now) {
				t.Errorf("last use at %s, want now", use.At)
			}
		}
		return nil, nil
	}).AnyTimes()
	if err := b.deps.Usage.FlushAll(t.Context()); err != nil {
		t.Error(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// find answers Find like a store with these sessions.
func find(slot session.Slot, by session.SignInID, sessions []session.Session) (session.Session, error) {
	for _, s := range sessions {
		same := s.Device() == slot.Device || (slot.Device.IsZero() && s.Generated() && s.Holder().SignIn == by)
		if same && s.Status() == session.StatusActive && s.User() == slot.User && s.Workflow() == slot.Workflow && s.Actor() == slot.Actor {
			return s, nil
		}
	}
	return session.Session{}, session.KindNotFound
}

// has expects one Find, answered like a store with these sessions.
func (b *bench) has(sessions ...session.Session) {
	b.store.EXPECT().Find(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
			return find(slot, by, sessions)
		})
}

// hides checks that an error contains no secret.
func hides(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{oldToken.Reveal(), newToken.Reveal(), code.Reveal(), strings.ToLower(code.Reveal())} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error contains a secret: %v", err)
		}
	}
}
