package lifecycle

import (
	"context"
	"errors"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errNotAccepted = errors.New("the session has ended, or its token was replaced")

// Checker checks tokens. It implements ports.Checker.
type Checker struct {
	Deps
	networks *networkCounter
}

var _ ports.Checker = (*Checker)(nil)

// NewChecker returns a Checker.
func NewChecker(deps Deps) *Checker {
	return &Checker{Deps: deps, networks: newNetworkCounter(deps.Rules.Addresses, deps.Counter)}
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
	if c.networks.add(ctx, now, found.ID(), source) {
		if err := c.reportNetworks(ctx, now, found, source); err != nil {
			return ports.Checked{}, err
		}
	}
	c.Usage.Checked(found, now, source)
	_, expiring := c.Policy.Left(now, found)
	return ports.Checked{Session: found, Expiring: expiring}, nil
}

// refuse returns the error for an invalid token. The first use of a superseded
// token after its grace is recorded as an anomaly.
func (c *Checker) refuse(ctx context.Context, now time.Time, found session.Session, hash session.TokenHash, source session.Source) error {
	if c.superseded(now, found, hash) {
		err := c.storeAnomaly(ctx, found.User(), found.ID(), session.RuleSupersededToken, func(s session.Session) ports.Changes {
			if !c.superseded(now, s, hash) {
				return ports.Changes{}
			}
			s.SeeSuperseded()
			return tokenAnomaly(s, source, now, session.RuleSupersededToken, c.Rules.SupersededAction(s, source))
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

// reportNetworks records that the session's token is used from too many
// networks. It returns an error when the token is to be refused: the session was
// revoked, or should have been and could not be. If the rule only records, the
// token stays valid even when recording fails; the next check retries it.
func (c *Checker) reportNetworks(ctx context.Context, now time.Time, found session.Session, source session.Source) error {
	action := c.Rules.Action(session.RuleAddresses)
	err := c.storeAnomaly(ctx, found.User(), found.ID(), session.RuleAddresses, func(s session.Session) ports.Changes {
		return tokenAnomaly(s, source, now, session.RuleAddresses, action)
	})
	if err != nil {
		c.networks.retryReport(now, found.ID())
	}
	if action != session.ActionRevoke {
		return nil
	}
	if err != nil {
		return err
	}
	return session.Wrap(session.KindNotFound, errNotAccepted)
}
