package lifecycle

import (
	"time"

	"chatkit-session/core/session"
)

// create makes room for a new session and makes it.
func (op *opening) create(seen []session.Session, current, rival *session.Session) error {
	id, err := op.IDs.SessionID()
	if err != nil {
		return err
	}
	token, credential, err := op.mint(id)
	if err != nil {
		return err
	}
	draft := session.Draft{
		ID: id, Slot: op.slot, SignIn: op.caller.SignIn, Credential: credential,
		ExpiresAt: op.decision.ExpiresAt, Remembered: op.decision.Remembered, Source: op.caller.Source,
	}
	if op.slot.Device.IsZero() {
		draft.Slot.Device, draft.Generated = op.freeDevice(seen), true
	}
	if op.request.Metadata != nil {
		draft.Metadata = *op.request.Metadata
	}
	op.token, op.opened = token, session.New(draft, op.now)
	if err := op.makeRoom(seen, current, rival); err != nil {
		return err
	}
	op.write(op.opened, note(op.caller, op.opened, op.now, session.ActivityCreated, map[string]string{session.DetailDevice: op.opened.Device().String()}))
	return nil
}

// makeRoom ends the sessions whose time is up, the current one among them, and
// those that are too many. The rival ends otherwise.
func (op *opening) makeRoom(seen []session.Session, current, rival *session.Session) error {
	var live []session.Session
	for _, s := range seen {
		switch {
		case s.Status() != session.StatusActive || (rival != nil && s.ID() == rival.ID()):
		case (current != nil && s.ID() == current.ID()) || op.Policy.StatusAt(op.now, s) == session.StatusExpired:
			s.Expire(op.now)
			op.write(s, expired(s, op.now))
		default:
			live = append(live, s)
		}
	}
	for _, s := range op.Policy.Excess(op.now, live, op.caller.Holder) {
		if !s.HeldBy(op.caller.Holder) && !s.Unused(op.now) {
			if err := op.StepUp.Require(op.caller, op.now); err != nil {
				return err
			}
		}
		s.Revoke(session.EndLimit, op.now)
		op.write(s, note(op.caller, s, op.now, session.ActivityLimit, map[string]string{session.DetailSuccessor: op.opened.ID().String()}))
	}
	return nil
}

// freeDevice makes the name of a device, of the next millisecond where one is
// taken.
func (op *opening) freeDevice(seen []session.Session) session.DeviceID {
	for at := op.now; ; at = at.Add(time.Millisecond) {
		device, taken := session.GenerateDeviceID(op.slot.User, at), false
		for _, s := range seen {
			taken = taken || (s.Status() == session.StatusActive && s.Device() == device)
		}
		if !taken {
			return device
		}
	}
}
