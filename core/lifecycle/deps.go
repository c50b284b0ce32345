package lifecycle

import (
	"cmp"
	"errors"
	"slices"
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
	Usage   *UsageBuffer
	// Counter counts for all replicas together; nil when each counts on its own.
	Counter ports.SharedCounter
	// Policy must be valid.
	Policy session.Policy
	Rules  session.AnomalyRules
	StepUp access.StepUp
}

// mint makes a new token for the session with id, and the credential to store.
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

// ownerView returns what the owner of s is shown at now.
func (d Deps) ownerView(now time.Time, s session.Session, token session.Token, outcome session.Outcome) ports.Opened {
	left, _ := d.Policy.Left(now, s)
	return ports.Opened{
		Session: s, Token: token, Outcome: outcome,
		RefreshAfter: d.Policy.RefreshAfter(s), ExpiresIn: left,
	}
}

// findByID returns a pointer to the session with id in list, or nil.
func findByID(list []session.Session, id session.ID) *session.Session {
	i := slices.IndexFunc(list, func(s session.Session) bool { return s.ID() == id })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// requireStepUpAfter returns the error of a look-up that found whether the
// caller's sign-in is blocked, and otherwise requires step-up. A blocked sign-in
// is told that it is blocked, and not to verify a factor; what does not exist is
// told only to a caller that has verified one.
func (d Deps) requireStepUpAfter(lookup error, caller access.Caller) error {
	if lookup != nil && !errors.Is(lookup, session.KindNotFound) {
		return lookup
	}
	return cmp.Or(d.StepUp.Require(caller, d.Clock.Now()), lookup)
}
