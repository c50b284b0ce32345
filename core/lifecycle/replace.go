package lifecycle

import (
	"errors"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
)

var errContested = errors.New("a newer sign-in of the user is using the device")

// mayReplace returns nil when the caller's sign-in may end rival, an active
// session that another sign-in holds, to take its place at now. Its errors are
// KindContested and KindReverification.
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

// replaced ends rival because the caller's session successor takes its place,
// and returns the record of that.
func replaced(caller access.Caller, rival *session.Session, successor session.ID, now time.Time) session.Activity {
	rival.Revoke(session.EndReplaced, now)
	return note(caller, *rival, now, session.ActivityRevoked, map[string]string{
		session.DetailBy: session.DetailByUser, session.DetailReason: string(session.EndReplaced), session.DetailSuccessor: successor.String(),
	})
}
