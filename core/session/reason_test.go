package session_test

import (
	"errors"
	"fmt"
	"testing"

	"chatkit-session/core/session"
)

func TestReasonOf(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause")
	expired := session.Because(session.KindUnauthenticated, session.ReasonExpired, cause)
	for name, c := range map[string]struct {
		err  error
		want session.Reason
	}{
		"None":            {nil, ""},
		"Another":         {cause, ""},
		"WithoutReason":   {session.Wrap(session.KindUnauthenticated, cause), ""},
		"Itself":          {expired, session.ReasonExpired},
		"Wrapped":         {fmt.Errorf("one: %w", fmt.Errorf("two: %w", expired)), session.ReasonExpired},
		"BelowAnotherOne": {session.Wrap(session.KindUnavailable, expired), session.ReasonExpired},
		"Outermost":       {session.Because(session.KindUnauthenticated, session.ReasonClaims, expired), session.ReasonClaims},
		"OfNothing":       {session.Because(session.KindUnauthenticated, session.ReasonExpired, nil), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := session.ReasonOf(c.err); got != c.want {
				t.Errorf("ReasonOf = %q, want %q", got, c.want)
			}
		})
	}
	if !errors.Is(expired, session.KindUnauthenticated) || !errors.Is(expired, cause) || session.KindOf(expired) != session.KindUnauthenticated {
		t.Errorf("Because = %v", expired)
	}
}
