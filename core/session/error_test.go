package session_test

import (
	"errors"
	"fmt"
	"testing"

	"chatkit-session/core/session"
)

func TestError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	t.Run("EveryKindIsFoundTwiceWrapped", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for _, kind := range session.Kinds() {
			err := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", session.Wrap(kind, cause)))
			if !errors.Is(err, kind) || !errors.Is(err, cause) || session.KindOf(err) != kind {
				t.Errorf("kind %v is lost: %v", kind, err)
			}
			if bare := fmt.Errorf("bare: %w", kind); session.KindOf(bare) != kind {
				t.Errorf("bare kind %v is lost", kind)
			}
			if seen[kind.Error()] {
				t.Errorf("two kinds say %q", kind)
			}
			seen[kind.Error()] = true
		}
		if text := session.Kind(-1).Error(); seen[text] {
			t.Errorf("an unknown kind says %q", text)
		}
	})
	t.Run("OutermostKindCounts", func(t *testing.T) {
		t.Parallel()
		err := session.Wrap(session.KindCreateFailed, session.Wrap(session.KindConflict, cause))
		if session.KindOf(err) != session.KindCreateFailed || !errors.Is(err, session.KindConflict) {
			t.Errorf("KindOf = %v", session.KindOf(err))
		}
	})
	t.Run("OthersAreInternal", func(t *testing.T) {
		t.Parallel()
		if session.KindOf(cause) != session.KindInternal || errors.Is(session.Wrap(session.KindNotFound, cause), session.KindConflict) {
			t.Error("a kind out of nowhere")
		}
	})
	t.Run("WrapsNothing", func(t *testing.T) {
		t.Parallel()
		if session.Wrap(session.KindNotFound, nil) != nil {
			t.Error("an error out of nothing")
		}
	})
	t.Run("Text", func(t *testing.T) {
		t.Parallel()
		err := &session.Error{Kind: session.KindInvalid, Field: "deviceId", Problem: "must not be empty", Cause: cause}
		if got := err.Error(); got != "invalid input: deviceId: must not be empty: cause" {
			t.Errorf("Error = %q", got)
		}
	})
}
