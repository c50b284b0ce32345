package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var (
	errNoSuchSession = errors.New("the user has no such active session")
	errBadCode       = errors.New("the code is invalid")
	errNotHolder     = errors.New("another sign-in holds the session")
)

// Transferrer moves sessions between devices. It implements
// ports.Transferrer.
type Transferrer struct{ Deps }

var _ ports.Transferrer = (*Transferrer)(nil)

// NewTransferrer returns a Transferrer.
func NewTransferrer(deps Deps) *Transferrer { return &Transferrer{deps} }

// may reports whether the caller may move anything.
func (t *Transferrer) may(caller access.Caller) error {
	if err := caller.InPerson(); err != nil {
		return err
	}
	return t.StepUp.Require(caller, t.Clock.Now())
}

// Claim implements ports.Transferrer. It first looks whose the code is: that
// somebody else has it is worth a record.
func (t *Transferrer) Claim(ctx context.Context, caller access.Caller, text string, device session.DeviceID) (ports.Opened, error) {
	if err := t.may(caller); err != nil {
		return ports.Opened{}, err
	}
	code, _ := session.ParseTransferCode(text) // a text that is no code finds none
	found, err := t.Secrets.FindByOffer(ctx, code.Hash(), caller.Bearer)
	if err != nil {
		return ports.Opened{}, err
	}
	if found.User() != caller.User {
		return ports.Opened{}, t.refuse(ctx, found, code.Hash())
	}
	c := claim{Transferrer: t, caller: caller, code: code.Hash(), device: device}
	err = t.Store.Update(ctx, ports.Scope{User: caller.User, By: caller.Bearer}, c.apply)
	if err == nil && c.failed != nil {
		t.Meter.Anomaly(session.RuleContestedDevice)
		err = c.failed
	}
	if err != nil {
		return ports.Opened{}, err
	}
	return t.ownerView(c.now, c.moved, c.token, session.OutcomeTransferred), nil
}

// claim is one call of Claim on its way.
type claim struct {
	*Transferrer
	caller access.Caller
	code   session.TokenHash
	device session.DeviceID

	now   time.Time
	moved session.Session
	token session.Token
	// failed is what becomes of the caller though the changes are stored: the
	// device is contested.
	failed error
}

// apply moves the session under the store's lock: of many claims, the first
// takes the code away.
func (c *claim) apply(seen ports.Seen) (ports.Changes, error) {
	c.now = c.Clock.Now()
	seen.Sessions = c.Usage.Exact(seen.Sessions)
	current := c.offering(seen.Sessions)
	switch {
	case current == nil:
		return ports.Changes{}, session.Wrap(session.KindNotFound, errBadCode)
	case current.Device() == c.device:
		return ports.Changes{}, session.Invalid("deviceId", "must be another device than the session is on")
	}
	there := c.there(seen.Sessions, current.Slot())
	if there != nil && !there.HeldBy(c.caller.Holder) && c.Policy.StatusAt(c.now, *there) == session.StatusActive {
		switch err := c.mayReplace(c.caller, seen.SignIns, *there, c.now); {
		case errors.Is(err, session.KindContested):
			var changes ports.Changes
			c.failed = cmp.Or(c.addSignInAnomaly(c.caller, session.RuleContestedDevice, *there, seen, &changes, c.now), err)
			return changes, nil
		case err != nil:
			return ports.Changes{}, err
		}
	}
	return c.move(*current, there, seen)
}

// move moves current to the device, and ends the session that is there.
func (c *claim) move(current session.Session, there *session.Session, seen ports.Seen) (ports.Changes, error) {
	token, credential, err := c.mint(current.ID())
	if err != nil {
		return ports.Changes{}, err
	}
	c.token, c.moved = token, current
	c.moved.Move(c.device, c.caller.SignIn, credential, c.caller.Source, c.now)
	changes := ports.Changes{
		Sessions: []session.Session{c.moved},
		Activity: []session.Activity{record(c.caller, c.moved, c.now, session.ActivityTransferred, map[string]string{
			session.DetailFromDevice: current.Device().String(), session.DetailDevice: c.device.String(),
		})},
	}
	changes.SignIns = []session.SignIn{seen.SignIns.See(c.caller.Bearer, c.now)}
	if there != nil {
		changes.Activity = append(changes.Activity, c.end(there))
		changes.Sessions = append(changes.Sessions, *there)
	}
	return changes, nil
}

// offering is the session that the code is good for, nil when there is none.
func (c *claim) offering(seen []session.Session) *session.Session {
	for i, s := range seen {
		if s.Offers(c.code, c.now) && c.Policy.StatusAt(c.now, s) == session.StatusActive {
			return &seen[i]
		}
	}
	return nil
}

// there is the active session that the device has in the place of slot.
func (c *claim) there(seen []session.Session, slot session.Slot) *session.Session {
	slot.Device = c.device
	for i, s := range seen {
		if s.Status() == session.StatusActive && s.Slot() == slot {
			return &seen[i]
		}
	}
	return nil
}

// end ends what the device had.
func (c *claim) end(s *session.Session) session.Activity {
	switch {
	case c.Policy.StatusAt(c.now, *s) == session.StatusExpired:
		return expire(s, c.now)
	case !s.HeldBy(c.caller.Holder):
		return revokeReplaced(c.caller, s, c.moved.ID(), c.now)
	}
	s.Revoke(session.EndTransferred, c.now)
	return record(c.caller, *s, c.now, session.ActivityTransferred, map[string]string{
		session.DetailDevice: c.device.String(), session.DetailSuccessor: c.moved.ID().String(),
	})
}
