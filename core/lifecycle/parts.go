package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Parts are what the use cases that change sessions are made of.
type Parts struct {
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
func (p Parts) mint(id session.ID) (session.Token, session.Credential, error) {
	token, err := p.IDs.Token()
	if err != nil {
		return session.Token{}, session.Credential{}, err
	}
	sealed, err := p.Sealer.Seal(id, token)
	if err != nil {
		return session.Token{}, session.Credential{}, err
	}
	return token, session.Credential{Hash: token.Hash(), Sealed: sealed}, nil
}

// opened is s as its owner sees it at now.
func (p Parts) opened(now time.Time, s session.Session, token session.Token, outcome session.Outcome) ports.Opened {
	left, _ := p.Policy.Left(now, s)
	return ports.Opened{
		Session: s, Token: token, Outcome: outcome,
		RefreshAfter: p.Policy.RefreshAfter(s.ExpiresAt()), ExpiresIn: left,
	}
}

// report stores what judge makes of a session of user, an anomaly of rule;
// judge may find that it is none any more and return no changes.
func (p Parts) report(ctx context.Context, user session.UserID, id session.ID, rule session.Rule, judge func(session.Session) ports.Changes) error {
	seen := false
	err := p.Store.Update(ctx, ports.Scope{User: user}, func(active []session.Session) (ports.Changes, error) {
		for _, s := range active {
			if s.ID() == id && s.Status() == session.StatusActive {
				changes := judge(s)
				seen = len(changes.Activity) > 0
				return changes, nil
			}
		}
		return ports.Changes{}, nil
	})
	if err == nil && seen {
		p.Meter.Anomaly(rule)
	}
	return err
}

// anomalyOf is the record of an anomaly.
func anomalyOf(caller access.Caller, s session.Session, now time.Time, rule session.Rule, action session.Action) session.Activity {
	return note(caller, s, now, session.ActivityAnomaly, map[string]string{
		session.DetailRule: string(rule), session.DetailAction: string(action),
	})
}

// revokedFor ends s because of an anomaly and returns the record of that.
func revokedFor(rule session.Rule, s *session.Session, now time.Time) session.Activity {
	s.Revoke(session.EndAnomaly, now)
	return byService(*s, now, rule)
}

// byService is the record of a revocation that an anomaly of rule caused.
func byService(s session.Session, now time.Time, rule session.Rule) session.Activity {
	return note(access.Caller{}, s, now, session.ActivityRevoked, map[string]string{
		session.DetailBy: session.DetailByService, session.DetailReason: string(rule),
	})
}

// expired is the record of a session's end because its time is up.
func expired(s session.Session, now time.Time) session.Activity {
	return note(access.Caller{}, s, now, session.ActivityExpired, map[string]string{})
}

// note is the record of what caller, zero for nobody, did to s.
func note(caller access.Caller, s session.Session, now time.Time, what session.ActivityType, detail map[string]string) session.Activity {
	if caller.ActedBy != "" {
		detail[session.DetailActor] = caller.ActedBy
	}
	return session.Activity{User: s.User(), Session: s.ID(), Type: what, At: now, Source: caller.Source, Detail: detail}
}

// blocked reports whether one of the sessions that were seen blocks a sign-in.
func blocked(seen []session.Session, signIn session.SignInID) bool {
	for _, s := range seen {
		if s.BlocksSignIn() && s.SignIn() == signIn {
			return true
		}
	}
	return false
}
