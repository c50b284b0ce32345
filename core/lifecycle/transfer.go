package lifecycle

import (
	"context"
	"errors"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var (
	errNoSuchSession = errors.New("the caller has no such active session")
	errInvalidCode   = errors.New("the transfer code is invalid")
	errNotHolder     = errors.New("another sign-in holds the session")
)

// Transferrer moves sessions between devices. It implements ports.Transferrer.
//
// A transfer has two calls. Offer makes a code and stores its hash and expiry
// with the session; the code itself is only in the answer. Claim, on the other
// device, finds the session by that hash and moves it.
type Transferrer struct{ Deps }

var _ ports.Transferrer = (*Transferrer)(nil)

// NewTransferrer returns a Transferrer.
func NewTransferrer(deps Deps) *Transferrer { return &Transferrer{deps} }

// Offer implements ports.Transferrer.
func (t *Transferrer) Offer(ctx context.Context, caller access.Caller, id session.ID) (ports.Offered, error) {
	if err := caller.InPerson(); err != nil {
		return ports.Offered{}, err
	}
	code, err := t.IDs.TransferCode()
	if err != nil {
		return ports.Offered{}, err
	}
	offered := ports.Offered{Code: code}
	err = t.Store.Update(ctx, ports.Scope{User: caller.User, By: caller.Bearer}, func(seen ports.Seen) (ports.Changes, error) {
		now := t.Clock.Now()
		if err := t.StepUp.Require(caller, now); err != nil {
			return ports.Changes{}, err
		}
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

// Claim implements ports.Transferrer. It looks the code up before it locks the
// caller's sessions, because a code of another user is recorded for its owner.
func (t *Transferrer) Claim(ctx context.Context, caller access.Caller, text string, device session.DeviceID) (ports.Opened, error) {
	if err := caller.InPerson(); err != nil {
		return ports.Opened{}, err
	}
	code, _ := session.ParseTransferCode(text) // a malformed code is found nowhere
	found, err := t.Secrets.FindByOffer(ctx, code.Hash(), caller.Bearer)
	if err := t.requireStepUpAfter(err, caller); err != nil {
		return ports.Opened{}, err
	}
	if found.User() != caller.User {
		return ports.Opened{}, t.refuseForeignCode(ctx, found, code.Hash())
	}
	c := claim{Transferrer: t, caller: caller, code: code.Hash(), device: device}
	err = t.Store.Update(ctx, ports.Scope{User: caller.User, By: caller.Bearer}, c.change)
	if err == nil && c.refusal != nil {
		t.Meter.Anomaly(session.RuleContestedDevice)
		err = c.refusal
	}
	if err != nil {
		return ports.Opened{}, err
	}
	return t.ownerView(c.now, c.moved, c.token, session.OutcomeTransferred), nil
}

// refuseForeignCode returns the error for a code of another user's session, and
// counts the attempt for that user.
func (t *Transferrer) refuseForeignCode(ctx context.Context, found session.Session, code session.TokenHash) error {
	now := t.Clock.Now()
	err := t.storeAnomaly(ctx, found.User(), found.ID(), session.RuleForeignCode, func(s session.Session) ports.Changes {
		if !s.Offers(code, now) {
			return ports.Changes{}
		}
		s.RefuseTransfer()
		var changes ports.Changes
		if t.Rules.ForeignCode(s.Offer().Refused) {
			action := t.Rules.Action(session.RuleForeignCode)
			// The owner must not learn who tried the code, nor from where.
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
	return session.Wrap(session.KindNotFound, errInvalidCode)
}
