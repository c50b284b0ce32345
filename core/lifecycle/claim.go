package lifecycle

import (
	"cmp"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// claim is one call of Claim.
type claim struct {
	*Transferrer
	caller access.Caller
	code   session.TokenHash
	device session.DeviceID

	now   time.Time
	moved session.Session
	token session.Token
	// refusal is the caller's error when the changes are stored nevertheless: the
	// device is contested.
	refusal error
}

// change moves the session under the store's lock. Moving it voids the code, so
// that one of several concurrent claims succeeds.
func (c *claim) change(seen ports.Seen) (ports.Changes, error) {
	c.now = c.Clock.Now()
	seen.Sessions = c.Usage.Exact(seen.Sessions)
	offered := c.offered(seen.Sessions)
	switch {
	case offered == nil:
		return ports.Changes{}, session.Wrap(session.KindNotFound, errInvalidCode)
	case offered.Device() == c.device:
		return ports.Changes{}, session.Invalid("deviceId", "must differ from the device that the session is on")
	}
	occupant := c.occupant(seen.Sessions, offered.Slot())
	if occupant != nil && !occupant.HeldBy(c.caller.Holder) && c.Policy.StatusAt(c.now, *occupant) == session.StatusActive {
		if err := c.mayReplace(c.caller, seen.SignIns, *occupant, c.now); err != nil { // contested: step-up is done
			var changes ports.Changes
			c.refusal = cmp.Or(c.addSignInAnomaly(c.caller, session.RuleContestedDevice, *occupant, seen, &changes, c.now), err)
			return changes, nil
		}
	}
	return c.move(*offered, occupant, seen)
}

// offered returns the active session that the code moves, or nil.
func (c *claim) offered(seen []session.Session) *session.Session {
	for i, s := range seen {
		if s.Offers(c.code, c.now) && c.Policy.StatusAt(c.now, s) == session.StatusActive {
			return &seen[i]
		}
	}
	return nil
}

// occupant returns the active session, expired or not, that is on the claiming
// device in slot's place, or nil.
func (c *claim) occupant(seen []session.Session, slot session.Slot) *session.Session {
	slot.Device = c.device
	for i, s := range seen {
		if s.Status() == session.StatusActive && s.Slot() == slot {
			return &seen[i]
		}
	}
	return nil
}

// move moves the offered session to the device and ends the occupant.
func (c *claim) move(offered session.Session, occupant *session.Session, seen ports.Seen) (ports.Changes, error) {
	token, credential, err := c.mint(offered.ID())
	if err != nil {
		return ports.Changes{}, err
	}
	c.token, c.moved = token, offered
	c.moved.Move(c.device, c.caller.SignIn, credential, c.caller.Source, c.now)
	changes := ports.Changes{
		Sessions: []session.Session{c.moved},
		Activity: []session.Activity{record(c.caller, c.moved, c.now, session.ActivityTransferred, map[string]string{
			session.DetailFromDevice: offered.Device().String(), session.DetailDevice: c.device.String(),
		})},
	}
	changes.SignIns = []session.SignIn{seen.SignIns.See(c.caller.Bearer, c.now)}
	if occupant != nil {
		changes.Activity = append(changes.Activity, c.end(occupant))
		changes.Sessions = append(changes.Sessions, *occupant)
	}
	return changes, nil
}

// end ends the occupant and returns the record of that.
func (c *claim) end(occupant *session.Session) session.Activity {
	switch {
	case c.Policy.StatusAt(c.now, *occupant) == session.StatusExpired:
		return expire(occupant, c.now)
	case !occupant.HeldBy(c.caller.Holder):
		return revokeReplaced(c.caller, occupant, c.moved.ID(), c.now)
	}
	occupant.Revoke(session.EndTransferred, c.now)
	return record(c.caller, *occupant, c.now, session.ActivityTransferred, map[string]string{
		session.DetailDevice: c.device.String(), session.DetailSuccessor: c.moved.ID().String(),
	})
}
