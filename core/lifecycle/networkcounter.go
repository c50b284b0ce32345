package lifecycle

import (
	"context"
	"slices"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// tooManyNetworks reports whether a session's token is used from more networks
// than is normal and nobody said so yet; then this check is the one that does.
// Others are told of a network when this replica first sees it.
func (c *Checker) tooManyNetworks(ctx context.Context, now time.Time, id session.ID, source session.Source) bool {
	network := source.Network()
	if network == (session.Network{}) || c.Rules.Addresses.Most == 0 {
		return false
	}
	var alone ports.Count
	owed, since := c.networks.see(now, id, func(seen *[]session.Network) {
		alone.Before = len(*seen)
		if !c.Rules.Addresses.Passed(alone.Before) && !slices.Contains(*seen, network) {
			*seen = append(*seen, network)
		}
		alone.After = len(*seen)
	})
	if alone.Before == alone.After {
		return owed
	}
	return c.networks.passes(since, id, alone, func(all ports.SharedCounter, key ports.CounterKey) (ports.Count, error) {
		return all.AddDistinct(ctx, key, network.String())
	}) || owed
}

// reportNetworks records that a token is used from many networks. Its error is
// that of a session that ended for it, or is to end and could not; a token that
// is only recorded stays good, and the next check reports it.
func (c *Checker) reportNetworks(ctx context.Context, now time.Time, found session.Session, source session.Source) error {
	action := c.Rules.Action(session.RuleAddresses)
	err := c.report(ctx, found.User(), found.ID(), session.RuleAddresses, func(s session.Session) ports.Changes {
		return anomaly(s, source, now, session.RuleAddresses, action)
	})
	if err != nil {
		c.networks.owe(now, found.ID())
	}
	if action != session.ActionRevoke {
		return nil
	}
	if err != nil {
		return err
	}
	return session.Wrap(session.KindNotFound, errNotAccepted)
}
