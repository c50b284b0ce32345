package lifecycle

import (
	"context"
	"errors"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errNotAccepted = errors.New("the session has ended, or the token is not its own any more")

// Checker checks tokens. It implements ports.Checker.
type Checker struct {
	Deps
	networks *window[session.ID, []session.Network]
}

var _ ports.Checker = (*Checker)(nil)

// NewChecker returns a Checker.
func NewChecker(deps Deps) *Checker {
	return &Checker{Deps: deps, networks: newWindow[session.ID, []session.Network](session.RuleAddresses, deps.Rules.Addresses, deps.Counter)}
}

// Check implements ports.Checker.
func (c *Checker) Check(ctx context.Context, text string, source session.Source) (ports.Checked, error) {
	token, err := session.ParseToken(text)
	if err != nil {
		return ports.Checked{}, session.Wrap(session.KindNotFound, err)
	}
	found, err := c.Secrets.FindByToken(ctx, token.Hash())
	if err != nil {
		return ports.Checked{}, err
	}
	now := c.Clock.Now()
	if !c.Policy.Accepts(now, found, token.Hash()) {
		return ports.Checked{}, c.refuse(ctx, now, found, token.Hash(), source)
	}
	if c.tooManyNetworks(ctx, now, found.ID(), source) {
		if err := c.reportNetworks(ctx, now, found, source); err != nil {
			return ports.Checked{}, err
		}
	}
	c.Usage.Checked(found, now, source)
	_, expiring := c.Policy.Left(now, found)
	return ports.Checked{Session: found, Expiring: expiring}, nil
}

// refuse is the error of a token that is not good; one that was superseded is
// recorded once.
func (c *Checker) refuse(ctx context.Context, now time.Time, found session.Session, hash session.TokenHash, source session.Source) error {
	if c.superseded(now, found, hash) {
		err := c.report(ctx, found.User(), found.ID(), session.RuleSupersededToken, func(s session.Session) ports.Changes {
			if !c.superseded(now, s, hash) {
				return ports.Changes{}
			}
			s.SeeSuperseded()
			return anomaly(s, source, now, session.RuleSupersededToken, c.Rules.SupersededAction(s, source))
		})
		if err != nil {
			return err
		}
	}
	return session.Wrap(session.KindNotFound, errNotAccepted)
}

func (c *Checker) superseded(now time.Time, s session.Session, hash session.TokenHash) bool {
	return c.Policy.StatusAt(now, s) == session.StatusActive && c.Rules.Superseded(now, s, hash)
}

// anomaly are the changes that an anomaly of a token makes to its session.
func anomaly(s session.Session, source session.Source, now time.Time, rule session.Rule, action session.Action) ports.Changes {
	records := []session.Activity{anomalyOf(access.Caller{Source: source}, s, now, rule, action)}
	if action == session.ActionRevoke {
		records = append(records, revokedFor(rule, &s, now))
	}
	return ports.Changes{Sessions: []session.Session{s}, Activity: records}
}
