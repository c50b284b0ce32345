package session_test

import (
	"errors"
	"strings"
	"testing"

	"chatkit-session/core/session"
)

func TestNewActor(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "user_9", "a:b", "https://agent.example/~x", strings.Repeat("x", session.MaxActorSubjectLength)} {
		for _, kind := range []session.ActorKind{session.ActorAgent, session.ActorImpersonator} {
			got, err := session.NewActor(kind, good)
			if err != nil || got.Kind() != kind || got.Subject() != good || got.IsZero() {
				t.Errorf("NewActor(%q) = %+v, %v", good, got, err)
			}
			if text := string(kind) + ":" + good; got.String() != text || session.RestoreActor(text) != got {
				t.Errorf("%s: String = %q, restored as %+v", text, got, session.RestoreActor(text))
			}
		}
	}
	for _, bad := range []string{"", " ", "a b", "a\n", "\x00", "\x7f", "é", "\xff", strings.Repeat("x", session.MaxActorSubjectLength+1)} {
		got, err := session.NewActor(session.ActorAgent, bad)
		var e *session.Error
		if !errors.As(err, &e) || e.Kind != session.KindInvalid || e.Field != "act.sub" || !got.IsZero() {
			t.Errorf("NewActor(%q) = %+v, %v", bad, got, err)
		}
	}
}

// The user in person has no actor, also after Restore.
func TestActor_Zero(t *testing.T) {
	t.Parallel()
	if got := session.RestoreActor(""); !got.IsZero() || got.String() != "" || (session.Actor{}).String() != "" {
		t.Errorf("the zero Actor is restored as %+v", got)
	}
}

func TestParseActorKind(t *testing.T) {
	t.Parallel()
	for _, want := range []session.ActorKind{session.ActorAgent, session.ActorImpersonator} {
		if got, err := session.ParseActorKind(string(want)); err != nil || got != want {
			t.Errorf("ParseActorKind(%s) = %s, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "Agent", "user"} {
		if _, err := session.ParseActorKind(text); !errors.Is(err, session.KindInvalid) {
			t.Errorf("ParseActorKind(%q) = %v", text, err)
		}
	}
}
