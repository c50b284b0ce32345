package lifecycle

import (
	"context"
	"errors"
	"slices"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var errNotAccepted = errors.New("the session has ended, or the token is not its own any more")

// Checker checks tokens. It implements ports.Checker.
type Checker struct {
	Parts
	networks *window[session.ID, []session.Network]
}

var _ ports.Checker = (*Checker)(nil)

// NewChecker returns a Checker.
func NewChecker(parts Parts) *Checker {
	return &Checker{Parts: parts, networks: newWindow[session.ID, []session.Network](parts.Rules.Addresses.Within)}
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
	if c.tooManyNetworks(found.ID(), now, source) {
		if revoked, err := c.reportNetworks(ctx, now, found, source); revoked || err != nil {
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

// tooManyNetworks reports whether this check is the one that makes the many
// networks of a session an anomaly. Each replica counts those that it sees.
func (c *Checker) tooManyNetworks(id session.ID, now time.Time, source session.Source) (crossed bool) {
	network := source.Network()
	if network == (session.Network{}) {
		return false
	}
	c.networks.change(now, id, func(seen []session.Network) []session.Network {
		if slices.Contains(seen, network) || c.Rules.Addresses.Passed(len(seen)) {
			return seen
		}
		crossed = c.Rules.Addresses.Crossed(len(seen) + 1)
		return append(seen, network)
	})
	return crossed
}

// reportNetworks records that a token is used from many networks, and reports
// whether its session was ended for it.
func (c *Checker) reportNetworks(ctx context.Context, now time.Time, found session.Session, source session.Source) (bool, error) {
	action := c.Rules.Action(session.RuleAddresses)
	err := c.report(ctx, found.User(), found.ID(), session.RuleAddresses, func(s session.Session) ports.Changes {
		return anomaly(s, source, now, session.RuleAddresses, action)
	})
	if err != nil || action != session.ActionRevoke {
		return false, err
	}
	return true, session.Wrap(session.KindNotFound, errNotAccepted)
}
