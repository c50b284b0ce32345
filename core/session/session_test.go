package session_test

import (
	"errors"
	"testing"
	"time"

	"chatkit-session/core/session"
)

var (
	user     = session.Must(session.ParseUserID("user_1"))
	phone    = session.Must(session.ParseDeviceID("phone"))
	workflow = session.Must(session.ParseWorkflowID("workflow_1"))
	signIn   = session.Must(session.ParseSignInID("sess_1"))
)

func TestNew(t *testing.T) {
	t.Parallel()
	metadata := session.Must(session.NewMetadata(map[string]any{"source": "web"}))
	credential := session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")}
	s := session.New(session.Draft{
		ID:         session.Must(session.ParseID("id-1")),
		Slot:       session.Slot{User: user, Workflow: workflow, Device: phone},
		Generated:  true,
		SignIn:     signIn,
		Credential: credential,
		Metadata:   metadata,
		ExpiresAt:  noon.Add(time.Hour),
	}, noon)

	if s.ID().String() != "id-1" || s.User() != user || s.Workflow() != workflow || s.Device() != phone || s.SignIn() != signIn {
		t.Errorf("names differ: %v %v %v %v %v", s.ID(), s.User(), s.Workflow(), s.Device(), s.SignIn())
	}
	if !s.Generated() || s.Status() != session.StatusActive || !s.Metadata().Equal(metadata) {
		t.Errorf("generated %v, status %s, metadata %v", s.Generated(), s.Status(), s.Metadata())
	}
	if s.Credential().Hash != credential.Hash || string(s.Credential().Sealed) != "sealed" {
		t.Errorf("credential = %v", s.Credential())
	}
	if s.CreatedAt() != noon || s.LastActivityAt() != noon || s.ExpiresAt() != noon.Add(time.Hour) {
		t.Errorf("times = %s, %s, %s", s.CreatedAt(), s.LastActivityAt(), s.ExpiresAt())
	}
	if hash, until := s.Previous(); !hash.IsZero() || !until.IsZero() || !s.EndedAt().IsZero() || s.EndReason() != "" {
		t.Error("a new session has a past")
	}
}

func TestSession_Rotate(t *testing.T) {
	t.Parallel()
	s := stored(noon.Add(-time.Hour), noon.Add(time.Minute))
	s.Rotate(session.Credential{Hash: session.TokenHash{2}, Sealed: []byte("new")}, noon, noon.Add(time.Hour), noon.Add(30*time.Second))

	previous, until := s.Previous()
	if previous != (session.TokenHash{1}) || until != noon.Add(30*time.Second) {
		t.Errorf("previous = %v until %s", previous, until)
	}
	if s.Credential().Hash != (session.TokenHash{2}) || string(s.Credential().Sealed) != "new" {
		t.Errorf("credential = %v", s.Credential())
	}
	if s.ExpiresAt() != noon.Add(time.Hour) || s.LastActivityAt() != noon || s.CreatedAt() != noon.Add(-time.Hour) {
		t.Errorf("times = %s, %s, %s", s.ExpiresAt(), s.LastActivityAt(), s.CreatedAt())
	}
}

func TestSession_Continue(t *testing.T) {
	t.Parallel()
	same := stored(noon, noon.Add(time.Hour))
	other := session.Must(session.NewMetadata(map[string]any{"source": "app"}))
	var empty session.Metadata

	cases := map[string]struct {
		signIn    session.SignInID
		metadata  *session.Metadata
		expiresAt time.Time
		changed   bool
	}{
		"NothingNew":    {same.SignIn(), nil, same.ExpiresAt(), false},
		"SameMetadata":  {same.SignIn(), &empty, same.ExpiresAt(), false},
		"OtherSignIn":   {signIn, nil, same.ExpiresAt(), true},
		"OtherMetadata": {same.SignIn(), &other, same.ExpiresAt(), true},
		"OtherExpiry":   {same.SignIn(), nil, noon.Add(time.Minute), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := same
			if got := s.Continue(c.signIn, c.metadata, c.expiresAt); got != c.changed {
				t.Errorf("Continue = %v, want %v", got, c.changed)
			}
			if s.SignIn() != c.signIn || s.ExpiresAt() != c.expiresAt || s.Credential().Hash != same.Credential().Hash {
				t.Errorf("sign-in %v, expires %s, credential %v", s.SignIn(), s.ExpiresAt(), s.Credential())
			}
			if c.metadata != nil && !s.Metadata().Equal(*c.metadata) {
				t.Errorf("metadata = %v", s.Metadata().Tree())
			}
		})
	}
}

func TestSession_End(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		end    func(*session.Session)
		status session.Status
		reason session.EndReason
	}{
		"Expire": {func(s *session.Session) { s.Expire(noon) }, session.StatusExpired, session.EndExpired},
		"Revoke": {func(s *session.Session) { s.Revoke(session.EndUser, noon) }, session.StatusRevoked, session.EndUser},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stored(noon, noon.Add(time.Hour))
			s.Rotate(session.Credential{Hash: session.TokenHash{2}, Sealed: []byte("new")}, noon, noon.Add(time.Hour), noon.Add(time.Minute))
			c.end(&s)
			if s.Status() != c.status || s.EndReason() != c.reason || s.EndedAt() != noon {
				t.Errorf("ended as %s (%s) at %s", s.Status(), s.EndReason(), s.EndedAt())
			}
			if previous, until := s.Previous(); !previous.IsZero() || !until.IsZero() {
				t.Error("the grace outlives the session")
			}
			if s.Credential().Sealed != nil || s.Credential().Hash != (session.TokenHash{2}) {
				t.Errorf("credential = %v, want the hash alone", s.Credential())
			}
		})
	}
}

func TestSession_StatusAt(t *testing.T) {
	t.Parallel()
	active := stored(noon, noon.Add(time.Hour))
	revoked := active
	revoked.Revoke(session.EndUser, noon)
	for _, c := range []struct {
		session session.Session
		at      time.Duration
		want    session.Status
	}{
		{active, time.Hour - time.Microsecond, session.StatusActive},
		{active, time.Hour, session.StatusExpired},
		{revoked, 0, session.StatusRevoked},
		{revoked, 2 * time.Hour, session.StatusRevoked},
	} {
		if got := c.session.StatusAt(noon.Add(c.at)); got != c.want {
			t.Errorf("%s after noon it is %s, want %s", c.at, got, c.want)
		}
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
