package lifecycle

import (
	"context"
	"errors"
	"slices"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

var (
	errNoWorkflow = errors.New("no workflow ID is configured")
	errBlocked    = errors.New("this sign-in was signed out")
)

// Opener opens sessions. It implements ports.Opener.
type Opener struct {
	Deps
	workflow session.WorkflowID
	counter  *openCounter
}

var _ ports.Opener = (*Opener)(nil)

// NewOpener returns an Opener. With a zero workflow, every call fails with
// KindNotConfigured.
func NewOpener(deps Deps, workflow session.WorkflowID) *Opener {
	return &Opener{Deps: deps, workflow: workflow, counter: newOpenCounter(deps.Rules.Opens, deps.Counter)}
}

// Workflow implements ports.Opener.
func (o *Opener) Workflow() (session.WorkflowID, error) {
	if o.workflow.IsZero() {
		return session.WorkflowID{}, session.Wrap(session.KindNotConfigured, errNoWorkflow)
	}
	return o.workflow, nil
}

// Open implements ports.Opener, in three steps:
//
//  1. Count the call for the rule about too many opens.
//  2. Read the session that the request continues, without a lock. Most calls
//     reuse it unchanged and end here.
//  3. Otherwise lock the user's sessions, read them again and decide on those:
//     see attempt.change.
func (o *Opener) Open(ctx context.Context, caller access.Caller, request ports.OpenRequest) (ports.Opened, error) {
	workflow, err := o.Workflow()
	if err != nil {
		return ports.Opened{}, err
	}
	a := attempt{
		Opener:  o,
		caller:  caller,
		slot:    session.Slot{User: caller.User, Workflow: workflow, Device: request.Device, Actor: caller.Actor},
		request: request,
		now:     o.Clock.Now(),
	}
	if token, err := session.ParseToken(request.Token); err == nil && request.Device.IsZero() {
		a.shownToken = token.Hash()
	}
	a.tooOften = o.counter.add(ctx, a.now, caller.Holder)
	found, err := o.Store.Find(ctx, a.slot, caller.SignIn)
	switch {
	case err == nil:
		if done, err := a.reuseUnchanged(found); done || err != nil {
			return a.finish(err)
		}
	case !errors.Is(err, session.KindNotFound):
		return a.finish(err)
	}
	return a.finish(o.Store.Update(ctx, a.scope(), a.change))
}

// attempt is one call of Open.
type attempt struct {
	*Opener
	caller  access.Caller
	slot    session.Slot
	request ports.OpenRequest
	// shownToken is the hash of the token in a request without a device.
	shownToken session.TokenHash
	now        time.Time
	// tooOften is whether this call has to report the anomaly of too many opens.
	tooOften bool

	decision  session.Decision
	session   session.Session // the result, with its token
	token     session.Token
	changes   ports.Changes
	anomalies []session.Rule
	// refusal is the caller's error when the changes are stored nevertheless.
	refusal error
}

// scope selects what change needs to read.
func (a *attempt) scope() ports.Scope {
	scope := ports.Scope{User: a.slot.User, By: a.caller.Bearer}
	if a.Rules.NewDevices.Most > 0 {
		scope.CreatedAfter, scope.NewDevices = a.Rules.DevicesSince(a.now), a.Rules.NewDevices.Most+1
	}
	return scope
}

// reuseUnchanged reports whether the caller gets the current session and nothing
// has to be written. If the request shows a token of another session, it has to
// be written: that session may have to end.
func (a *attempt) reuseUnchanged(current session.Session) (bool, error) {
	if !current.HeldBy(a.caller.Holder) {
		return false, nil
	}
	if err := a.applyPolicy(&current); err != nil {
		return false, err
	}
	previous, _ := current.Previous()
	foreign := !a.shownToken.IsZero() && a.shownToken != current.Credential().Hash && a.shownToken != previous
	if foreign || a.tooOften || a.decision.Outcome != session.OutcomeReused {
		return false, nil
	}
	a.session = current
	return !a.session.Continue(a.request.Metadata, a.decision), nil
}

// change decides about the sessions read under the store's lock, and returns the
// changes to store:
//
//  1. Find the session that the request continues (current), and the session of
//     another sign-in that has its place (rival).
//  2. Refuse the request if a newer sign-in uses the rival.
//  3. Decide between creating, refreshing and reusing.
//  4. Carry the decision out. Creating a session ends expired sessions and those
//     above the user's limit.
//  5. End the rival as replaced.
//  6. Record anomalies.
//  7. Remember the caller's sign-in.
func (a *attempt) change(seen ports.Seen) (ports.Changes, error) {
	a.now = a.Clock.Now()
	seen.Sessions = a.Usage.Exact(seen.Sessions)
	current, rival := a.current(seen.Sessions), a.rival(seen.Sessions)
	if rival != nil {
		switch err := a.mayReplace(a.caller, seen.SignIns, *rival, a.now); {
		case errors.Is(err, session.KindContested):
			a.refusal = err
			a.addAnomaly(session.RuleContestedDevice, *rival, seen)
			return a.changes, nil
		case err != nil:
			return ports.Changes{}, err
		}
	}
	if err := a.decide(current, rival); err != nil {
		return ports.Changes{}, err
	}
	if err := a.carryOut(seen.Sessions, current, rival); err != nil {
		return ports.Changes{}, err
	}
	if rival != nil {
		a.replace(*rival)
	}
	a.findAnomalies(seen)
	if !a.changes.IsZero() && a.refusal == nil {
		a.rememberSignIn(seen)
	}
	return a.changes, nil
}

// current returns the active session that the slot continues, expired or not, or
// nil. It may be held by another sign-in: then it is the rival, too, or ends as
// expired.
func (a *attempt) current(seen []session.Session) *session.Session {
	for i, s := range seen {
		match := s.Device() == a.slot.Device || (a.slot.Device.IsZero() && s.Generated() && s.HeldBy(a.caller.Holder))
		if match && s.Status() == session.StatusActive && s.Workflow() == a.slot.Workflow && s.Actor() == a.slot.Actor {
			return &seen[i]
		}
	}
	return nil
}

// decide decides what the caller gets. A session that replaces the rival is
// remembered if the rival was, unless the request says otherwise.
func (a *attempt) decide(current, rival *session.Session) error {
	if rival != nil && current != nil && current.ID() == rival.ID() {
		current = nil
	}
	if err := a.applyPolicy(current); err != nil {
		return err
	}
	if rival != nil && a.decision.Outcome == session.OutcomeCreated {
		a.decision = a.Policy.Create(a.now, a.slot.Actor, a.request.Remember, rival.Remembered() || a.decision.Remembered)
	}
	return nil
}

// applyPolicy unseals the current session's token and asks the policy what to do
// with the session. A token that no key opens is no error: it is rotated.
func (a *attempt) applyPolicy(current *session.Session) error {
	var found *session.Found
	if current != nil {
		var err error
		a.token, err = a.Sealer.Unseal(current.ID(), current.Credential().Sealed)
		if err != nil && !errors.Is(err, session.KindUnreadable) {
			return err
		}
		found = &session.Found{Session: *current, Unreadable: err != nil}
	}
	a.decision = a.Policy.Decide(a.now, a.slot.Actor, found, a.request.Remember)
	return nil
}

func (a *attempt) carryOut(seen []session.Session, current, rival *session.Session) error {
	switch a.decision.Outcome {
	case session.OutcomeCreated:
		return a.create(seen, current, rival)
	case session.OutcomeRefreshed:
		return a.refresh(*current)
	case session.OutcomeReused, session.OutcomeTransferred:
		a.reuse(*current)
	}
	return nil
}

func (a *attempt) reuse(current session.Session) {
	a.session = current
	if a.session.Continue(a.request.Metadata, a.decision) {
		a.session.Use(a.now) // the new terms may have a shorter idle timeout
		a.changes.Sessions = append(a.changes.Sessions, a.session)
	}
}

func (a *attempt) refresh(current session.Session) error {
	token, credential, err := a.mint(current.ID())
	if err != nil {
		return err
	}
	a.token, a.session = token, current
	a.session.Rotate(credential, a.now, a.decision.ExpiresAt, a.now.Add(a.Policy.Grace))
	a.session.Continue(a.request.Metadata, a.decision)
	a.write(a.session, record(a.caller, a.session, a.now, session.ActivityRefreshed, map[string]string{session.DetailDevice: a.session.Device().String()}))
	return nil
}

// findAnomalies adds the anomalies that this call completes.
func (a *attempt) findAnomalies(seen ports.Seen) {
	if a.decision.Outcome == session.OutcomeCreated {
		byUser, bySignIn := a.Rules.ExceedsNewDevices(a.now, a.session, seen.Sessions)
		switch {
		case bySignIn:
			a.addAnomaly(session.RuleNewDevices, a.session, seen)
		case byUser: // together with other sign-ins: the caller's is not to blame
			a.anomalies = append(a.anomalies, session.RuleNewDevices)
			a.changes.Activity = append(a.changes.Activity, anomalyRecord(a.caller, a.session, a.now, session.RuleNewDevices, session.ActionRecord))
		}
	}
	if a.tooOften {
		a.addAnomaly(session.RuleOpens, a.session, seen)
	}
}

// addAnomaly adds an anomaly in what the caller's sign-in does, recorded with the
// session that it is about.
func (a *attempt) addAnomaly(rule session.Rule, about session.Session, seen ports.Seen) {
	a.anomalies = append(a.anomalies, rule)
	if err := a.addSignInAnomaly(a.caller, rule, about, seen, &a.changes, a.now); err != nil {
		a.refusal = err
	}
}

// rememberSignIn adds the caller's sign-in, and forgets those above the number
// that is kept for a user once the changes are stored.
func (a *attempt) rememberSignIn(seen ports.Seen) {
	own := seen.SignIns.See(a.caller.Bearer, a.now)
	after := slices.Concat(a.changes.Sessions, []session.Session{a.session}, slices.DeleteFunc(slices.Clone(seen.Sessions), func(s session.Session) bool {
		return findByID(a.changes.Sessions, s.ID()) != nil
	}))
	a.changes.SignIns = append(a.changes.SignIns, own)
	a.changes.Forget = append(slices.Clone(seen.SignIns), own).Forgettable(after)
}

func (a *attempt) write(s session.Session, activity session.Activity) {
	a.changes.Sessions = append(a.changes.Sessions, s)
	a.changes.Activity = append(a.changes.Activity, activity)
}

// finish returns Open's answer, and meters what was stored.
func (a *attempt) finish(err error) (ports.Opened, error) {
	if a.tooOften && (err != nil || !slices.Contains(a.anomalies, session.RuleOpens)) {
		a.counter.retryReport(a.now, a.caller.Holder)
	}
	if err == nil {
		for _, rule := range a.anomalies {
			a.Meter.Anomaly(rule)
		}
		err = a.refusal
	}
	if err == nil {
		if a.decision.Outcome != session.OutcomeCreated { // a new session starts with one open
			a.Usage.Opened(a.session, a.now, a.caller.Source)
		}
		return a.ownerView(a.now, a.session, a.token, a.decision.Outcome), nil
	}
	for _, kind := range []session.Kind{session.KindOverloaded, session.KindUnavailable, session.KindSignedOut, session.KindContested, session.KindReverification} {
		if errors.Is(err, kind) {
			return ports.Opened{}, session.Wrap(kind, err)
		}
	}
	if a.decision.Outcome == session.OutcomeRefreshed {
		return ports.Opened{}, session.Wrap(session.KindRefreshFailed, err)
	}
	return ports.Opened{}, session.Wrap(session.KindCreateFailed, err)
}
