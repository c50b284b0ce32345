package session_test

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"chatkit-session/core/session"
)

var (
	user     = session.Must(session.ParseUserID("user_1"))
	phone    = session.Must(session.ParseDeviceID("phone"))
	laptop   = session.Must(session.ParseDeviceID("laptop"))
	workflow = session.Must(session.ParseWorkflowID("workflow_1"))
	signIn   = session.Must(session.ParseSignInID("sess_1"))

	agent = session.Must(session.NewActor(session.ActorAgent, "agent_1"))

	atHome   = session.NewSource(netip.MustParseAddr("192.0.2.1"), session.NewClient("Firefox 133", "Linux", "desktop"))
	metadata = session.Must(session.NewMetadata(map[string]any{"source": "web"}))
)

// busy returns a stored session in which every field is set.
func busy() session.Stored {
	return session.Stored{
		ID: "id-1", User: "user_1", Device: "phone", Workflow: "workflow_1", SignIn: "sess_1",
		Actor:          "agent:agent_1",
		Generated:      true,
		Status:         session.StatusActive,
		Credential:     session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")},
		Previous:       session.TokenHash{2},
		PreviousUntil:  noon.Add(time.Minute),
		Metadata:       metadata,
		CreatedAt:      noon.Add(-time.Hour),
		ExpiresAt:      noon.Add(time.Hour),
		LastActivityAt: noon.Add(-time.Minute),
		EndedAt:        noon.Add(time.Second),
		EndReason:      session.EndLimit,
		Remembered:     true,
		Opens:          3,
		Checks:         5,
		Source:         atHome,
		SupersededSeen: true,
		Offer:          session.Offer{Code: session.TokenHash{3}, Until: noon.Add(time.Minute), Refused: 1},
	}
}

// contents returns the results of all getters of a session.
func contents(s session.Session) session.Stored {
	previous, until := s.Previous()
	return session.Stored{
		ID: s.ID().String(), User: s.User().String(), Device: s.Device().String(), Workflow: s.Workflow().String(), SignIn: s.Holder().SignIn.String(),
		Actor:          s.Actor().String(),
		Generated:      s.Generated(),
		Status:         s.Status(),
		Credential:     s.Credential(),
		Previous:       previous,
		PreviousUntil:  until,
		Metadata:       s.Metadata(),
		CreatedAt:      s.CreatedAt(),
		ExpiresAt:      s.ExpiresAt(),
		LastActivityAt: s.LastActivityAt(),
		EndedAt:        s.EndedAt(),
		EndReason:      s.EndReason(),
		Remembered:     s.Remembered(),
		Opens:          s.Opens(),
		Checks:         s.Checks(),
		Source:         s.Source(),
		SupersededSeen: s.SupersededSeen(),
		Offer:          s.Offer(),
	}
}

// holds checks the results of all getters of a session.
func holds(t *testing.T, s session.Session, want session.Stored) {
	t.Helper()
	got, wanted := reflect.ValueOf(contents(s)), reflect.ValueOf(want)
	for i := range got.NumField() {
		if name := got.Type().Field(i).Name; !reflect.DeepEqual(got.Field(i).Interface(), wanted.Field(i).Interface()) {
			t.Errorf("%s is %v, want %v", name, got.Field(i), wanted.Field(i))
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	credential := session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")}
	s := session.New(session.Draft{
		ID:         session.Must(session.ParseID("id-1")),
		Slot:       session.Slot{User: user, Workflow: workflow, Device: phone, Actor: agent},
		Generated:  true,
		SignIn:     signIn,
		Credential: credential,
		Metadata:   metadata,
		ExpiresAt:  noon.Add(time.Hour),
		Remembered: true,
		Source:     atHome,
	}, noon)
	holds(t, s, session.Stored{
		ID: "id-1", User: "user_1", Device: "phone", Workflow: "workflow_1", SignIn: "sess_1", Actor: "agent:agent_1",
		Generated: true, Status: session.StatusActive, Credential: credential, Metadata: metadata,
		CreatedAt: noon, ExpiresAt: noon.Add(time.Hour), LastActivityAt: noon, Remembered: true, Opens: 1, Source: atHome,
	})
}

// Each method that changes a session changes these fields and no others.
func TestSession_Changes(t *testing.T) {
	t.Parallel()
	other := session.Must(session.ParseSignInID("sess_2"))
	fresh := session.Credential{Hash: session.TokenHash{9}, Sealed: []byte("new")}
	elsewhere := session.NewSource(netip.MustParseAddr("198.51.100.7"), session.NewClient("Safari 18", "iOS 18", "mobile"))
	ends := func(s *session.Stored, status session.Status, reason session.EndReason) {
		s.Status, s.EndReason, s.EndedAt = status, reason, noon
		s.Credential.Sealed, s.Previous, s.PreviousUntil, s.Offer = nil, session.TokenHash{}, time.Time{}, session.Offer{}
	}
	for name, c := range map[string]struct {
		do   func(*session.Session)
		want func(*session.Stored)
	}{
		"Rotate": {
			func(s *session.Session) { s.Rotate(fresh, noon, noon.Add(day), noon.Add(time.Second)) },
			func(s *session.Stored) {
				s.Previous, s.PreviousUntil, s.SupersededSeen = s.Credential.Hash, noon.Add(time.Second), false
				s.Credential, s.ExpiresAt, s.LastActivityAt = fresh, noon.Add(day), noon
			},
		},
		"Use":           {func(s *session.Session) { s.Use(noon) }, func(s *session.Stored) { s.LastActivityAt = noon }},
		"SeeSuperseded": {func(s *session.Session) { *s = unseen(*s); s.SeeSuperseded() }, func(*session.Stored) {}},
		"Expire": {
			func(s *session.Session) { s.Expire(noon) },
			func(s *session.Stored) { ends(s, session.StatusExpired, session.EndExpired) },
		},
		"Revoke": {
			func(s *session.Session) { s.Revoke(session.EndAnomaly, noon) },
			func(s *session.Stored) { ends(s, session.StatusRevoked, session.EndAnomaly) },
		},
		"OfferTransfer": {
			func(s *session.Session) { s.OfferTransfer(session.TokenHash{7}, noon) },
			func(s *session.Stored) { s.Offer = session.Offer{Code: session.TokenHash{7}, Until: noon} },
		},
		"RefuseTransfer": {(*session.Session).RefuseTransfer, func(s *session.Stored) { s.Offer.Refused = 2 }},
		"Move": {
			func(s *session.Session) { s.Move(laptop, other, fresh, elsewhere, noon) },
			func(s *session.Stored) {
				s.Device, s.Generated, s.SignIn, s.Credential, s.Source = "laptop", false, "sess_2", fresh, elsewhere
				s.Previous, s.PreviousUntil, s.Offer = session.TokenHash{}, time.Time{}, session.Offer{}
				s.LastActivityAt, s.Opens = noon, 4
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := session.Restore(busy())
			s, want := before, busy()
			c.do(&s)
			c.want(&want)
			holds(t, s, want)
			holds(t, before, busy()) // a copy is a copy
		})
	}
}

func unseen(s session.Session) session.Session {
	stored := s.Stored()
	stored.SupersededSeen = false
	return session.Restore(stored)
}

// An outline has only the fields that the rules about tokens and events use: stores
// read it for every check.
func TestSession_Outline(t *testing.T) {
	t.Parallel()
	all := session.Restore(busy())
	outline := all.Outline()
	want := busy()
	want.SignIn, want.Generated, want.Credential.Sealed, want.Metadata = "", false, nil, session.Metadata{}
	want.EndedAt, want.EndReason = time.Time{}, ""
	want.Opens, want.Checks, want.Source, want.Offer = 0, 0, session.Source{}, session.Offer{}
	if got := contents(outline); !reflect.DeepEqual(got, want) {
		t.Errorf("Outline = %+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(contents(all), busy()) {
		t.Error("Outline changed the session")
	}
}

func TestSession_Continue(t *testing.T) {
	t.Parallel()
	same, other := busy(), session.Must(session.NewMetadata(map[string]any{"source": "app"}))
	equal := session.Must(session.NewMetadata(map[string]any{"source": "web"}))
	var empty session.Metadata
	for name, c := range map[string]struct {
		metadata   *session.Metadata
		expiresAt  time.Time
		remembered bool
		changed    bool
	}{
		"NothingNew":      {nil, same.ExpiresAt, true, false},
		"SameMetadata":    {&equal, same.ExpiresAt, true, false},
		"OtherMetadata":   {&other, same.ExpiresAt, true, true},
		"NoMetadataAtAll": {&empty, same.ExpiresAt, true, true},
		"OtherExpiry":     {nil, noon.Add(time.Minute), true, true},
		"OtherTerms":      {nil, same.ExpiresAt, false, true},
		"SameInAnyZone":   {nil, same.ExpiresAt.In(time.FixedZone("", 3600)), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, want := session.Restore(busy()), busy()
			decision := session.Decision{ExpiresAt: c.expiresAt, Remembered: c.remembered}
			if got := s.Continue(c.metadata, decision); got != c.changed {
				t.Errorf("Continue = %v, want %v", got, c.changed)
			}
			want.ExpiresAt, want.Remembered = c.expiresAt, c.remembered
			if c.metadata != nil {
				want.Metadata = *c.metadata
			}
			holds(t, s, want)
		})
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	for _, want := range []session.Status{session.StatusActive, session.StatusExpired, session.StatusRevoked} {
		if got, err := session.ParseStatus(string(want)); err != nil || got != want {
			t.Errorf("ParseStatus(%s) = %s, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "ACTIVE", "paused"} {
		if _, err := session.ParseStatus(text); !errors.Is(err, session.KindInvalid) {
			t.Errorf("ParseStatus(%q) = %v", text, err)
		}
	}
}

// Only its sign-in and actor hold a session. Nobody holds one whose sign-in is
// unknown.
func TestSession_HeldBy(t *testing.T) {
	t.Parallel()
	of := func(signIn, actor string) session.Session {
		return session.Restore(session.Stored{SignIn: signIn, Actor: actor})
	}
	holder := func(text, actor string) session.Holder { return of(text, actor).Holder() }
	for name, c := range map[string]struct {
		session session.Session
		holder  session.Holder
		want    bool
	}{
		"ItsHolder":          {of("sess_1", ""), holder("sess_1", ""), true},
		"ItsActor":           {of("sess_1", "agent:agent_1"), holder("sess_1", "agent:agent_1"), true},
		"AnotherSignIn":      {of("sess_1", ""), holder("sess_2", ""), false},
		"AnActorInTheSignIn": {of("sess_1", ""), holder("sess_1", "agent:agent_1"), false},
		"TheUserOfAnActors":  {of("sess_1", "agent:agent_1"), holder("sess_1", ""), false},
		"AnotherActor":       {of("sess_1", "agent:agent_1"), holder("sess_1", "impersonator:agent_1"), false},
		"Unknown":            {of("", ""), holder("", ""), false},
		"UnknownIsNotThis":   {of("", ""), holder("sess_1", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.session.HeldBy(c.holder); got != c.want {
				t.Errorf("HeldBy = %v", got)
			}
		})
	}
}
