package lifecycle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/mock/gomock"

	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports/portmock"
)

func TestChecker_Check(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	token := session.Must(session.ParseToken("550e8400-e29b-41d4-a716-446655440000"))
	stored := session.Restore(session.Stored{
		ID: "0194f3a0-0000-7000-8000-000000000001", User: "user_1", Status: session.StatusActive,
		Credential: session.Credential{Hash: token.Hash()}, CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour),
	})
	expired := session.Restore(session.Stored{Status: session.StatusActive, Credential: session.Credential{Hash: token.Hash()}, CreatedAt: now.Add(-time.Hour), ExpiresAt: now})
	cases := map[string]struct {
		token string
		found *session.Session // nil when the store is not asked or fails
		fails error
		want  error
	}{
		"Good":             {token.Reveal(), &stored, nil, nil},
		"Unknown":          {token.Reveal(), nil, session.KindNotFound, session.KindNotFound},
		"Expired":          {token.Reveal(), &expired, nil, session.KindNotFound},
		"StoreDown":        {token.Reveal(), nil, session.KindUnavailable, session.KindUnavailable},
		"Empty":            {"", nil, nil, session.KindNotFound},
		"NoToken":          {"hunter2", nil, nil, session.KindNotFound},
		"AnotherSpelling":  {strings.ToUpper(token.Reveal()), nil, nil, session.KindNotFound},
		"TokenWithComment": {token.Reveal() + " ", nil, nil, session.KindNotFound},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			control := gomock.NewController(t)
			tokens, clock := portmock.NewMockTokenFinder(control), portmock.NewMockClock(control)
			clock.EXPECT().Now().Return(now).AnyTimes()
			touched := portmock.NewMockActivityStore(control)
			if test.want == nil {
				touched.EXPECT().Touch(gomock.Any(), map[session.ID]time.Time{stored.ID(): now}).Return(nil)
			}
			activity := lifecycle.NewActivity(touched, time.Minute)
			switch {
			case test.found != nil:
				tokens.EXPECT().FindByToken(gomock.Any(), token.Hash()).Return(*test.found, nil)
			case test.fails != nil:
				tokens.EXPECT().FindByToken(gomock.Any(), token.Hash()).Return(session.Session{}, test.fails)
			}
			got, err := lifecycle.NewChecker(tokens, clock, session.DefaultPolicy(), activity).Check(t.Context(), test.token)
			if !errors.Is(err, test.want) {
				t.Errorf("Check = %v, want %v", err, test.want)
			}
			if (got.User().String() == "user_1") != (test.want == nil) {
				t.Errorf("Check = %v", got)
			}
			if err := activity.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			if err != nil && test.token != "" && strings.Contains(err.Error(), test.token) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}
