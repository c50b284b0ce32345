package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// storeAnomaly stores an anomaly of an active session, and counts it. judge
// returns the changes to store, or none if the session, read again under the
// store's lock, shows no anomaly any more.
func (d Deps) storeAnomaly(ctx context.Context, user session.UserID, id session.ID, rule session.Rule, judge func(session.Session) ports.Changes) error {
	recorded := false
	err := d.Store.Update(ctx, ports.Scope{User: user}, func(seen ports.Seen) (ports.Changes, error) {
		for _, s := range seen.Sessions {
			if s.ID() == id && s.Status() == session.StatusActive {
				changes := judge(s)
				recorded = len(changes.Activity) > 0
				return changes, nil
			}
		}
		return ports.Changes{}, nil
	})
	if err == nil && recorded {
		d.Meter.Anomaly(rule)
	}
	return err
}

// tokenAnomaly returns the changes for an anomaly in the use of a session's
// token: a record and, if that is the action, the end of the session.
func tokenAnomaly(s session.Session, source session.Source, now time.Time, rule session.Rule, action session.Action) ports.Changes {
	records := []session.Activity{anomalyRecord(access.Caller{Source: source}, s, now, rule, action)}
	if action == session.ActionRevoke {
		records = append(records, revokeForAnomaly(rule, &s, now))
	}
	return ports.Changes{Sessions: []session.Session{s}, Activity: records}
}

// addSignInAnomaly adds to changes an anomaly in what the caller's sign-in does,
// recorded with the session that it is about. If the action is to revoke, it also
// blocks the sign-in, ends all its sessions and returns the caller's error.
func (d Deps) addSignInAnomaly(caller access.Caller, rule session.Rule, about session.Session, seen ports.Seen, changes *ports.Changes, now time.Time) error {
	action := d.Rules.Action(rule)
	changes.Activity = append(changes.Activity, anomalyRecord(caller, about, now, rule, action))
	if action != session.ActionRevoke {
		return nil
	}
	blocked := []session.Holder{caller.Holder}
	changes.Sessions = session.AddHeld(changes.Sessions, seen.Sessions, blocked)
	for i := range changes.Sessions {
		if s := &changes.Sessions[i]; s.Status() == session.StatusActive {
			changes.Activity = append(changes.Activity, revokeForAnomaly(rule, s, now))
		}
	}
	changes.SignIns = seen.SignIns.Block(now, blocked...)
	return session.Wrap(session.KindSignedOut, errBlocked)
}

// revokeForAnomaly ends s and returns the record of that.
func revokeForAnomaly(rule session.Rule, s *session.Session, now time.Time) session.Activity {
	s.Revoke(session.EndAnomaly, now)
	return record(access.Caller{}, *s, now, session.ActivityRevoked, map[string]string{
		session.DetailBy: session.DetailByService, session.DetailReason: string(rule),
	})
}

func anomalyRecord(caller access.Caller, s session.Session, now time.Time, rule session.Rule, action session.Action) session.Activity {
	return record(caller, s, now, session.ActivityAnomaly, map[string]string{
		session.DetailRule: string(rule), session.DetailAction: string(action),
	})
}
