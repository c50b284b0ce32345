package lifecycle

import (
	"context"
	"slices"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// networkCounter counts from how many networks each session's token is used, for
// session.RuleAddresses.
type networkCounter struct {
	limit  session.Limit
	window *window[session.ID, []session.Network]
}

func newNetworkCounter(limit session.Limit, shared ports.SharedCounter) *networkCounter {
	return &networkCounter{limit: limit, window: newWindow[session.ID, []session.Network](session.RuleAddresses, limit, shared)}
}

// add counts a use of the session's token, and reports whether the caller has to
// report that the session exceeds the limit. It calls the shared counter only
// for a network that this replica sees for the first time.
func (c *networkCounter) add(ctx context.Context, now time.Time, id session.ID, source session.Source) (report bool) {
	network := source.Network()
	if network == (session.Network{}) || c.limit.Most == 0 {
		return false
	}
	var local ports.Count
	pending, start := c.window.add(now, id, func(networks *[]session.Network) {
		local.Before = len(*networks)
		if !c.limit.Passed(local.Before) && !slices.Contains(*networks, network) {
			*networks = append(*networks, network)
		}
		local.After = len(*networks)
	})
	if local.Before == local.After {
		return pending
	}
	return c.window.exceeded(start, id, local, func(shared ports.SharedCounter, key ports.CounterKey) (ports.Count, error) {
		return shared.AddDistinct(ctx, key, network.String())
	}) || pending
}

// retryReport makes the next check of the session report it, because this
// caller's report was not stored.
func (c *networkCounter) retryReport(now time.Time, id session.ID) { c.window.retryReport(now, id) }
