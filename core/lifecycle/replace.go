package lifecycle

import (
	"errors"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

var errContested = errors.New("a newer sign-in of the user is using the device")

// rival returns the active session of another sign-in that the caller's replaces,
// or nil: the session on the same device, or the one whose current token the
// request shows.
func (a *attempt) rival(seen []session.Session) *session.Session {
	for i, s := range seen {
		match := s.Device() == a.slot.Device || (!a.shownToken.IsZero() && s.Credential().Hash == a.shownToken)
		if match && s.Workflow() == a.slot.Workflow && s.Actor() == a.slot.Actor &&
			!s.HeldBy(a.caller.Holder) && a.Policy.StatusAt(a.now, s) == session.StatusActive {
			return &seen[i]
		}
	}
	return nil
}

// replace ends the rival, whose place the new session takes.
func (a *attempt) replace(rival session.Session) {
	activity := revokeReplaced(a.caller, &rival, a.session.ID(), a.now)
	a.write(rival, activity)
}

// mayReplace returns nil if the caller's sign-in may end rival, an active session
// of another sign-in, and take its place. known are the user's remembered
// sign-ins.
//
// Errors: KindContested when a newer sign-in uses rival; KindReverification when
// the caller has to verify a factor first.
func (d Deps) mayReplace(caller access.Caller, known session.SignIns, rival session.Session, now time.Time) error {
	switch known.Contest(rival, caller.Bearer, now) {
	case session.ContestLost:
		return session.Wrap(session.KindContested, errContested)
	case session.ContestWon:
		return d.StepUp.Require(caller, now)
	case session.ContestNone:
	}
	return nil
}

// revokeReplaced ends rival, which successor replaces, and returns the record of
// that.
func revokeReplaced(caller access.Caller, rival *session.Session, successor session.ID, now time.Time) session.Activity {
	rival.Revoke(session.EndReplaced, now)
	return record(caller, *rival, now, session.ActivityRevoked, map[string]string{
		session.DetailBy: session.DetailByUser, session.DetailReason: string(session.EndReplaced), session.DetailSuccessor: successor.String(),
	})
}
