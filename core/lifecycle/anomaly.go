package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// report stores what judge makes of a session of user, an anomaly of rule;
// judge may find that it is none any more and return no changes.
func (d Deps) report(ctx context.Context, user session.UserID, id session.ID, rule session.Rule, judge func(session.Session) ports.Changes) error {
	seen := false
	err := d.Store.Update(ctx, ports.Scope{User: user}, func(shown ports.Seen) (ports.Changes, error) {
		for _, s := range shown.Sessions {
			if s.ID() == id && s.Status() == session.StatusActive {
				changes := judge(s)
				seen = len(changes.Activity) > 0
				return changes, nil
			}
		}
		return ports.Changes{}, nil
	})
	if err == nil && seen {
		d.Meter.Anomaly(rule)
	}
	return err
}

// anomalyOf is the record of an anomaly.
func anomalyOf(caller access.Caller, s session.Session, now time.Time, rule session.Rule, action session.Action) session.Activity {
	return note(caller, s, now, session.ActivityAnomaly, map[string]string{
		session.DetailRule: string(rule), session.DetailAction: string(action),
	})
}

// suspect adds to changes that what the caller's sign-in does is an anomaly, which
// is about a session. Where that is what is to be done, it blocks the sign-in and
// ends all that it holds; then the caller is to get its error.
func (d Deps) suspect(caller access.Caller, rule session.Rule, about session.Session, seen ports.Seen, changes *ports.Changes, now time.Time) error {
	action := d.Rules.Action(rule)
	changes.Activity = append(changes.Activity, anomalyOf(caller, about, now, rule, action))
	if action != session.ActionRevoke {
		return nil
	}
	culprit := []session.Holder{caller.Holder}
	changes.Sessions = withHeld(changes.Sessions, seen.Sessions, culprit)
	for i := range changes.Sessions {
		if s := &changes.Sessions[i]; s.Status() == session.StatusActive {
			changes.Activity = append(changes.Activity, revokedFor(rule, s, now))
		}
	}
	changes.SignIns = blocked(seen.SignIns, culprit, now)
	return session.Wrap(session.KindSignedOut, errBlocked)
}

// revokedFor ends s because of an anomaly and returns the record of that.
func revokedFor(rule session.Rule, s *session.Session, now time.Time) session.Activity {
	s.Revoke(session.EndAnomaly, now)
	return note(access.Caller{}, *s, now, session.ActivityRevoked, map[string]string{
		session.DetailBy: session.DetailByService, session.DetailReason: string(rule),
	})
}
