package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
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

var (
	noon      = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	caller    = access.Caller{User: user, SignIn: signIn, Role: member}
	phoneSlot = session.Slot{User: user, Workflow: workflow, Device: phone}
	anySlot   = session.Slot{User: user, Workflow: workflow}
	onPhone   = ports.OpenRequest{Device: phone}
	oldToken  = session.Must(session.ParseToken("550e8400-e29b-41d4-a716-446655440000"))
	newToken  = session.Must(session.ParseToken("6ba7b810-9dad-41d1-80b4-00c04fd430c8"))
	newID     = session.Must(session.ParseID("0194f3a0-0000-7000-8000-000000000002"))
	errBug    = errors.New("bug")
)

// bench is an Opener on mocks, at noon.
type bench struct {
	store  *portmock.MockSessionStore
	sealer *portmock.MockSealer
	ids    *portmock.MockIdentifiers
	clock  *portmock.MockClock
	opener *lifecycle.Opener

	activity *lifecycle.Activity
	touched  *portmock.MockActivityStore

	written []session.Session // by the last Update
}

func setup(t *testing.T) *bench {
	t.Helper()
	ctrl := gomock.NewController(t)
	b := &bench{
		store:  portmock.NewMockSessionStore(ctrl),
		sealer: portmock.NewMockSealer(ctrl),
		ids:    portmock.NewMockIdentifiers(ctrl),
		clock:  portmock.NewMockClock(ctrl),
	}
	b.touched = portmock.NewMockActivityStore(ctrl)
	b.activity = lifecycle.NewActivity(b.touched, time.Minute)
	b.clock.EXPECT().Now().Return(noon).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), []byte("old")).Return(oldToken, nil).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), []byte("new")).Return(newToken, nil).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), []byte("lost")).Return(session.Token{}, session.KindUnreadable).AnyTimes()
	b.sealer.EXPECT().Unseal(gomock.Any(), []byte("broken")).Return(session.Token{}, errBug).AnyTimes()
	b.opener = lifecycle.NewOpener(b.store, b.sealer, b.ids, b.clock, session.DefaultPolicy(), workflow, b.activity)
	return b
}

// mints lets the mocks make ids and tokens.
func (b *bench) mints() {
	b.ids.EXPECT().SessionID().Return(newID, nil).AnyTimes()
	b.ids.EXPECT().Token().Return(newToken, nil).AnyTimes()
	b.sealer.EXPECT().Seal(gomock.Any(), newToken).Return([]byte("new"), nil).AnyTimes()
}

// finds lets the look without a lock find current, nil for nothing.
func (b *bench) finds(slot session.Slot, current *session.Session) {
	if current == nil {
		b.store.EXPECT().Find(gomock.Any(), slot).Return(session.Session{}, session.KindNotFound)
		return
	}
	b.store.EXPECT().Find(gomock.Any(), slot).Return(*current, nil)
}

// updates lets one Update see current under the lock and return err after it
// has written.
func (b *bench) updates(slot session.Slot, current *session.Session, err error) {
	b.store.EXPECT().Update(gomock.Any(), slot, gomock.Any()).DoAndReturn(
		func(_ context.Context, _ session.Slot, change func(*session.Session) ([]session.Session, error)) error {
			var failed error
			if b.written, failed = change(current); failed != nil {
				return failed
			}
			return err
		})
}

// phoneSession is active on the phone, an hour old, with the given time left.
func phoneSession(left time.Duration, sealed string) *session.Session {
	s := session.Restore(session.Stored{
		ID: "0194f3a0-0000-7000-8000-000000000001", User: "user_1", Device: "phone", Workflow: "workflow_1", SignIn: "sess_1",
		Status:     session.StatusActive,
		CreatedAt:  noon.Add(-time.Hour),
		ExpiresAt:  noon.Add(left),
		Credential: session.Credential{Hash: oldToken.Hash(), Sealed: []byte(sealed)},
	})
	return &s
}

func (b *bench) open(t *testing.T, request ports.OpenRequest) ports.Opened {
	t.Helper()
	opened, err := b.opener.Open(t.Context(), caller, request)
	if err != nil {
		t.Fatal(err)
	}
	if want := opened.Session.ExpiresAt().Add(-time.Hour); opened.RefreshAfter != want {
		t.Errorf("RefreshAfter = %s, want %s", opened.RefreshAfter, want)
	}
	if opened.Session.Credential().Hash != opened.Token.Hash() {
		t.Error("the token is not the session's")
	}
	return opened
}

func TestOpener_Open_Create(t *testing.T) {
	t.Parallel()
	t.Run("OnTheClientsDevice", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.mints()
		b.finds(phoneSlot, nil)
		b.updates(phoneSlot, nil, nil)
		metadata := session.Must(session.NewMetadata(map[string]any{"source": "web"}))
		got := b.open(t, ports.OpenRequest{Device: phone, Metadata: &metadata})

		s := got.Session
		if got.Outcome != session.OutcomeCreated || got.Token != newToken || s.ID() != newID {
			t.Errorf("opened %v %s", got.Outcome, s.ID())
		}
		if s.User() != user || s.Device() != phone || s.Generated() || s.Workflow() != workflow || s.SignIn() != signIn || !s.Metadata().Equal(metadata) {
			t.Errorf("session = %v", s.Device())
		}
		if s.CreatedAt() != noon || s.ExpiresAt() != noon.Add(24*time.Hour) {
			t.Errorf("lives from %s to %s", s.CreatedAt(), s.ExpiresAt())
		}
		if len(b.written) != 1 || b.written[0].ID() != newID {
			t.Errorf("wrote %d sessions", len(b.written))
		}
	})
	t.Run("OnAGeneratedDevice", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.mints()
		b.finds(anySlot, nil)
		b.updates(anySlot, nil, nil)
		got := b.open(t, ports.OpenRequest{}).Session
		if got.Device().String() != "device_user_1_1735732800000" || !got.Generated() {
			t.Errorf("device = %s, generated %v", got.Device(), got.Generated())
		}
	})
	t.Run("EndsTheStaleSessionFirst", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.mints()
		stale := phoneSession(0, "old")
		b.finds(phoneSlot, stale)
		b.updates(phoneSlot, stale, nil)
		got := b.open(t, onPhone)
		if got.Outcome != session.OutcomeCreated || len(b.written) != 2 {
			t.Fatalf("%s, wrote %d sessions", got.Outcome, len(b.written))
		}
		if first := b.written[0]; first.ID() != stale.ID() || first.Status() != session.StatusExpired || first.EndedAt() != noon {
			t.Errorf("first wrote %s, %s", first.ID(), first.Status())
		}
		if b.written[1].ID() != newID || got.Session.ID() != newID {
			t.Errorf("then wrote %s", b.written[1].ID())
		}
	})
	t.Run("LosesTheRace", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.finds(phoneSlot, nil)
		b.updates(phoneSlot, phoneSession(24*time.Hour, "old"), nil)
		got := b.open(t, onPhone)
		if got.Outcome != session.OutcomeReused || got.Token != oldToken || len(b.written) != 0 {
			t.Errorf("%s, wrote %d sessions", got.Outcome, len(b.written))
		}
	})
	t.Run("TakesTheNextNameWhenOneIsTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.mints()
		b.finds(anySlot, nil)
		b.updates(anySlot, nil, session.KindConflict)
		b.updates(anySlot, nil, nil)
		if got := b.open(t, ports.OpenRequest{}).Session.Device().String(); got != "device_user_1_1735732800001" {
			t.Errorf("device = %s", got)
		}
	})
}

func TestOpener_Open_Reuse(t *testing.T) {
	t.Parallel()
	t.Run("WritesNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t) // a store that is asked once, to find
		current := phoneSession(time.Hour+time.Microsecond, "old")
		b.finds(phoneSlot, current)
		got := b.open(t, onPhone)
		if got.Outcome != session.OutcomeReused || got.Token != oldToken || got.Session.ID() != current.ID() || got.Session.ExpiresAt() != current.ExpiresAt() {
			t.Errorf("opened %+v", got.Outcome)
		}
	})
	t.Run("WritesWhatIsNew", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		current := phoneSession(24*time.Hour, "old")
		b.finds(phoneSlot, current)
		b.updates(phoneSlot, current, nil)
		metadata := session.Must(session.NewMetadata(map[string]any{"version": "2"}))
		got := b.open(t, ports.OpenRequest{Device: phone, Metadata: &metadata})
		if got.Outcome != session.OutcomeReused || got.Token != oldToken || len(b.written) != 1 || !b.written[0].Metadata().Equal(metadata) {
			t.Errorf("%s, wrote %d sessions", got.Outcome, len(b.written))
		}
		if current.Metadata().Equal(metadata) {
			t.Error("the store's session was changed before it was written")
		}
	})
}

func TestOpener_Open_Refresh(t *testing.T) {
	t.Parallel()
	refreshed := func(t *testing.T, b *bench, current *session.Session) {
		t.Helper()
		b.mints()
		b.finds(phoneSlot, current)
		b.updates(phoneSlot, current, nil)
		got := b.open(t, onPhone)
		s := got.Session
		if got.Outcome != session.OutcomeRefreshed || got.Token != newToken || s.ID() != current.ID() || s.ExpiresAt() != noon.Add(24*time.Hour) {
			t.Errorf("%s %s until %s", got.Outcome, s.ID(), s.ExpiresAt())
		}
		if previous, until := s.Previous(); previous != oldToken.Hash() || until != noon.Add(30*time.Second) {
			t.Errorf("the superseded token is good until %s", until)
		}
		if len(b.written) != 1 || b.written[0].Credential().Hash != newToken.Hash() {
			t.Errorf("wrote %d sessions", len(b.written))
		}
	}
	t.Run("AtTheThreshold", func(t *testing.T) {
		t.Parallel()
		refreshed(t, setup(t), phoneSession(time.Hour, "old"))
	})
	t.Run("TokenThatNoKeyOpens", func(t *testing.T) {
		t.Parallel()
		refreshed(t, setup(t), phoneSession(20*time.Hour, "lost"))
	})
	t.Run("LosesTheRace", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.mints()
		b.finds(phoneSlot, phoneSession(time.Hour, "old"))
		winner := phoneSession(time.Hour, "old")
		winner.Rotate(session.Credential{Hash: newToken.Hash(), Sealed: []byte("new")}, noon, noon.Add(24*time.Hour), noon)
		b.updates(phoneSlot, winner, nil)
		got := b.open(t, onPhone)
		if got.Outcome != session.OutcomeReused || got.Token != newToken || len(b.written) != 0 {
			t.Errorf("%s, wrote %d sessions", got.Outcome, len(b.written))
		}
	})
}

func TestOpener_Open_Fails(t *testing.T) {
	t.Parallel()
	failsToCreate := func(b *bench) { b.finds(phoneSlot, nil); b.updates(phoneSlot, nil, nil) }
	cases := map[string]struct {
		arrange func(*bench)
		want    session.Kind
		cause   error
	}{
		"FindUnavailable": {func(b *bench) {
			b.store.EXPECT().Find(gomock.Any(), phoneSlot).Return(session.Session{}, fmt.Errorf("find: %w", errDown))
		}, session.KindUnavailable, errDown},
		"FindBroken": {func(b *bench) {
			b.store.EXPECT().Find(gomock.Any(), phoneSlot).Return(session.Session{}, errBug)
		}, session.KindCreateFailed, errBug},
		"CreateUnavailable": {func(b *bench) { b.mints(); b.finds(phoneSlot, nil); b.updates(phoneSlot, nil, errDown) }, session.KindUnavailable, errDown},
		"CreateBroken":      {func(b *bench) { b.mints(); b.finds(phoneSlot, nil); b.updates(phoneSlot, nil, errBug) }, session.KindCreateFailed, errBug},
		"RefreshUnavailable": {func(b *bench) {
			b.mints()
			b.finds(phoneSlot, phoneSession(time.Hour, "old"))
			b.updates(phoneSlot, phoneSession(time.Hour, "old"), errDown)
		}, session.KindUnavailable, errDown},
		"RefreshBroken": {func(b *bench) {
			b.mints()
			b.finds(phoneSlot, phoneSession(time.Hour, "old"))
			b.updates(phoneSlot, phoneSession(time.Hour, "old"), errBug)
		}, session.KindRefreshFailed, errBug},
		"SignedOut": {func(b *bench) { b.mints(); b.finds(phoneSlot, nil); b.updates(phoneSlot, nil, session.KindSignedOut) }, session.KindSignedOut, session.KindSignedOut},
		"ConflictForGood": {func(b *bench) {
			b.mints()
			b.finds(phoneSlot, nil)
			for range 3 {
				b.updates(phoneSlot, nil, session.KindConflict)
			}
		}, session.KindCreateFailed, session.KindConflict},
		"NoID": {func(b *bench) {
			failsToCreate(b)
			b.ids.EXPECT().SessionID().Return(session.ID{}, errBug)
		}, session.KindCreateFailed, errBug},
		"NoToken": {func(b *bench) {
			failsToCreate(b)
			b.ids.EXPECT().SessionID().Return(newID, nil)
			b.ids.EXPECT().Token().Return(session.Token{}, errBug)
		}, session.KindCreateFailed, errBug},
		"NoSeal": {func(b *bench) {
			failsToCreate(b)
			b.ids.EXPECT().SessionID().Return(newID, nil)
			b.ids.EXPECT().Token().Return(newToken, nil)
			b.sealer.EXPECT().Seal(newID, newToken).Return(nil, errBug)
		}, session.KindCreateFailed, errBug},
		"NoTokenToRefreshWith": {func(b *bench) {
			b.finds(phoneSlot, phoneSession(time.Hour, "old"))
			b.ids.EXPECT().Token().Return(session.Token{}, errBug)
		}, session.KindRefreshFailed, errBug},
		"SealerBroken": {func(b *bench) { b.finds(phoneSlot, phoneSession(20*time.Hour, "broken")) }, session.KindCreateFailed, errBug},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c.arrange(b)
			opened, err := b.opener.Open(t.Context(), caller, onPhone)
			if session.KindOf(err) != c.want || !errors.Is(err, c.cause) {
				t.Errorf("Open = %v, want %v because of %v", err, c.want, c.cause)
			}
			if opened.Token != (session.Token{}) || !opened.Session.ID().IsZero() {
				t.Error("a failed opening gives something out")
			}
			if err != nil && strings.Contains(err.Error(), newToken.Reveal()) {
				t.Error("the error shows a token")
			}
		})
	}
}

func TestOpener_Open_WithoutWorkflow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	opener := lifecycle.NewOpener(b.store, b.sealer, b.ids, b.clock, session.DefaultPolicy(), session.WorkflowID{}, b.activity)
	if _, err := opener.Open(t.Context(), caller, onPhone); session.KindOf(err) != session.KindNotConfigured {
		t.Errorf("Open = %v", err)
	}
	if _, err := opener.Workflow(); session.KindOf(err) != session.KindNotConfigured {
		t.Errorf("Workflow = %v", err)
	}
}
