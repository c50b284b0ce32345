package lifecycle

import (
	"context"
	"errors"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errNotAccepted = errors.New("the session has ended, or the token is not its own any more")

// Checker checks tokens. It implements ports.Checker.
type Checker struct {
	tokens   ports.TokenFinder
	clock    ports.Clock
	policy   session.Policy
	activity *Activity
}

var _ ports.Checker = (*Checker)(nil)

// NewChecker returns a Checker. The policy must be valid.
func NewChecker(tokens ports.TokenFinder, clock ports.Clock, policy session.Policy, activity *Activity) *Checker {
	return &Checker{tokens: tokens, clock: clock, policy: policy, activity: activity}
}

// Check implements ports.Checker.
func (c *Checker) Check(ctx context.Context, text string) (session.Session, error) {
	token, err := session.ParseToken(text)
	if err != nil {
		return session.Session{}, session.Wrap(session.KindNotFound, err)
	}
	found, err := c.tokens.FindByToken(ctx, token.Hash())
	if err != nil {
		return session.Session{}, err
	}
	now := c.clock.Now()
	if !c.policy.Accepts(now, found, token.Hash()) {
		return session.Session{}, session.Wrap(session.KindNotFound, errNotAccepted)
	}
	c.activity.See(found, now)
	return found, nil
}
