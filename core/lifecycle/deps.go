package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Deps are the dependencies that the use cases share.
type Deps struct {
	Store   ports.SessionStore
	Secrets ports.SecretFinder
	Sealer  ports.Sealer
	IDs     ports.Identifiers
	Clock   ports.Clock
	Meter   ports.Meter
	Usage   *Usage
	// Sightings is what replicas see together; nil where each counts for itself.
	Sightings ports.Sightings
	// Policy must be valid.
	Policy session.Policy
	Rules  session.AnomalyRules
	StepUp access.StepUp
}

// mint makes a token for the session id, and its credential.
func (d Deps) mint(id session.ID) (session.Token, session.Credential, error) {
	token, err := d.IDs.Token()
	if err != nil {
		return session.Token{}, session.Credential{}, err
	}
	sealed, err := d.Sealer.Seal(id, token)
	if err != nil {
		return session.Token{}, session.Credential{}, err
	}
	return token, session.Credential{Hash: token.Hash(), Sealed: sealed}, nil
}

// opened is s as its owner sees it at now.
func (d Deps) opened(now time.Time, s session.Session, token session.Token, outcome session.Outcome) ports.Opened {
	left, _ := d.Policy.Left(now, s)
	return ports.Opened{
		Session: s, Token: token, Outcome: outcome,
		RefreshAfter: d.Policy.RefreshAfter(s), ExpiresIn: left,
	}
}

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

// expired is the record of a session's end because its time is up.
func expired(s session.Session, now time.Time) session.Activity {
	return note(access.Caller{}, s, now, session.ActivityExpired, map[string]string{})
}

// note is the record of what caller, zero for nobody, did to s.
func note(caller access.Caller, s session.Session, now time.Time, what session.ActivityType, detail map[string]string) session.Activity {
	if !caller.Actor.IsZero() {
		detail[session.DetailActor] = caller.Actor.Subject()
	}
	return session.Activity{User: s.User(), Session: s.ID(), Type: what, At: now, Source: caller.Source, Detail: detail}
}
