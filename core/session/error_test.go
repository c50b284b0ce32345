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
	t.Run("WrappedTwice", func(t *testing.T) {
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
				t.Errorf("two kinds have the text %q", kind)
			}
			seen[kind.Error()] = true
		}
		if text := session.Kind(-1).Error(); seen[text] {
			t.Errorf("unknown kind: Error = %q", text)
		}
	})
	t.Run("OutermostKind", func(t *testing.T) {
		t.Parallel()
		err := session.Wrap(session.KindCreateFailed, session.Wrap(session.KindConflict, cause))
		if session.KindOf(err) != session.KindCreateFailed || !errors.Is(err, session.KindConflict) {
			t.Errorf("KindOf = %v", session.KindOf(err))
		}
	})
	t.Run("OtherErrors", func(t *testing.T) {
		t.Parallel()
		if session.KindOf(cause) != session.KindInternal || errors.Is(session.Wrap(session.KindNotFound, cause), session.KindConflict) {
			t.Error("KindOf an error without a kind is not internal")
		}
	})
	t.Run("WrapNil", func(t *testing.T) {
		t.Parallel()
		if session.Wrap(session.KindNotFound, nil) != nil {
			t.Error("Wrap of nil is not nil")
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
