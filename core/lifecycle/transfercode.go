package lifecycle

import (
	"context"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Offer implements ports.Transferrer.
func (t *Transferrer) Offer(ctx context.Context, caller access.Caller, id session.ID) (ports.Offered, error) {
	if err := t.may(caller); err != nil {
		return ports.Offered{}, err
	}
	code, err := t.IDs.TransferCode()
	if err != nil {
		return ports.Offered{}, err
	}
	offered := ports.Offered{Code: code}
	err = t.Store.Update(ctx, ports.Scope{User: caller.User, By: caller.Bearer}, func(seen ports.Seen) (ports.Changes, error) {
		now := t.Clock.Now()
		found := findByID(seen.Sessions, id)
		switch {
		case found == nil || t.Policy.StatusAt(now, *found) != session.StatusActive:
			return ports.Changes{}, session.Wrap(session.KindNotFound, errNoSuchSession)
		case !found.HeldBy(caller.Holder):
			return ports.Changes{}, session.Wrap(session.KindOtherSignIn, errNotHolder)
		}
		offered.ExpiresAt = now.Add(t.Policy.OfferLifetime)
		found.OfferTransfer(code.Hash(), offered.ExpiresAt)
		return ports.Changes{Sessions: []session.Session{*found}}, nil
	})
	if err != nil {
		return ports.Offered{}, err
	}
	return offered, nil
}

// refuse counts and records that somebody else tried the code.
func (t *Transferrer) refuse(ctx context.Context, found session.Session, code session.TokenHash) error {
	now := t.Clock.Now()
	err := t.storeAnomaly(ctx, found.User(), found.ID(), session.RuleForeignCode, func(s session.Session) ports.Changes {
		if !s.Offers(code, now) {
			return ports.Changes{}
		}
		s.RefuseTransfer()
		var changes ports.Changes
		if t.Rules.ForeignCode(s.Offer().Refused) {
			action := t.Rules.Action(session.RuleForeignCode)
			// Who it was, and from where, is not the owner's to know.
			changes.Activity = append(changes.Activity, anomalyRecord(access.Caller{}, s, now, session.RuleForeignCode, action))
			if action == session.ActionRevoke {
				changes.Activity = append(changes.Activity, revokeForAnomaly(session.RuleForeignCode, &s, now))
			}
		}
		changes.Sessions = []session.Session{s}
		return changes
	})
	if err != nil {
		return err
	}
	return session.Wrap(session.KindNotFound, errBadCode)
}
