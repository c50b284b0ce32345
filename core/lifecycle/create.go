package lifecycle

import (
	"time"

	"chatkit-session/core/session"
)

// create creates a session, after ending those that must make room for it.
func (a *attempt) create(seen []session.Session, current, rival *session.Session) error {
	id, err := a.IDs.SessionID()
	if err != nil {
		return err
	}
	token, credential, err := a.mint(id)
	if err != nil {
		return err
	}
	draft := session.Draft{
		ID: id, Slot: a.slot, SignIn: a.caller.SignIn, Credential: credential,
		ExpiresAt: a.decision.ExpiresAt, Remembered: a.decision.Remembered, Source: a.caller.Source,
	}
	if a.slot.Device.IsZero() {
		draft.Slot.Device, draft.Generated = a.generateDevice(seen), true
	}
	if a.request.Metadata != nil {
		draft.Metadata = *a.request.Metadata
	}
	a.token, a.session = token, session.New(draft, a.now)
	if err := a.makeRoom(seen, current, rival); err != nil {
		return err
	}
	a.write(a.session, record(a.caller, a.session, a.now, session.ActivityCreated, map[string]string{session.DetailDevice: a.session.Device().String()}))
	return nil
}

// makeRoom ends expired sessions, including current, and the sessions above the
// user's limit. Ending another sign-in's session that is in use needs step-up.
// The rival is left to replace.
func (a *attempt) makeRoom(seen []session.Session, current, rival *session.Session) error {
	var live []session.Session
	for _, s := range seen {
		switch {
		case s.Status() != session.StatusActive || (rival != nil && s.ID() == rival.ID()):
		case (current != nil && s.ID() == current.ID()) || a.Policy.StatusAt(a.now, s) == session.StatusExpired:
			activity := expire(&s, a.now)
			a.write(s, activity)
		default:
			live = append(live, s)
		}
	}
	for _, s := range a.Policy.Excess(a.now, live, a.caller.Holder) {
		if !s.HeldBy(a.caller.Holder) && !s.Unused(a.now) {
			if err := a.StepUp.Require(a.caller, a.now); err != nil {
				return err
			}
		}
		s.Revoke(session.EndLimit, a.now)
		a.write(s, record(a.caller, s, a.now, session.ActivityLimit, map[string]string{session.DetailSuccessor: a.session.ID().String()}))
	}
	return nil
}

// generateDevice returns a generated device's name that no active session has:
// it tries later milliseconds until one is free.
func (a *attempt) generateDevice(seen []session.Session) session.DeviceID {
	for at := a.now; ; at = at.Add(time.Millisecond) {
		device, taken := session.GenerateDeviceID(a.slot.User, at), false
		for _, s := range seen {
			taken = taken || (s.Status() == session.StatusActive && s.Device() == device)
		}
		if !taken {
			return device
		}
	}
}
