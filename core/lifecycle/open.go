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
	errNoCredential = errors.New("no credential")
	errNoWorkflow   = errors.New("no workflow id is set")
	errBlocked      = errors.New("this sign-in was signed out")
)

// Opener opens sessions. It implements ports.Opener.
type Opener struct {
	Deps
	workflow session.WorkflowID
	opens    *window[session.Holder, opens]
}

var _ ports.Opener = (*Opener)(nil)

// NewOpener returns an Opener. workflow may be zero: then nothing can be
// opened.
func NewOpener(deps Deps, workflow session.WorkflowID) *Opener {
	return &Opener{Deps: deps, workflow: workflow, opens: newWindow[session.Holder, opens](session.RuleOpens, deps.Rules.Opens, deps.Counter)}
}

// Workflow implements ports.Opener.
func (o *Opener) Workflow() (session.WorkflowID, error) {
	if o.workflow.IsZero() {
		return session.WorkflowID{}, session.Wrap(session.KindNotConfigured, errNoWorkflow)
	}
	return o.workflow, nil
}

// Open implements ports.Opener. Most calls reuse a session as it is, so it
// first looks without a lock; only when there is something to write does it
// look again, under the store's lock, and decide there.
func (o *Opener) Open(ctx context.Context, caller access.Caller, request ports.OpenRequest) (ports.Opened, error) {
	workflow, err := o.Workflow()
	if err != nil {
		return ports.Opened{}, err
	}
	op := opening{
		Opener:  o,
		caller:  caller,
		slot:    session.Slot{User: caller.User, Workflow: workflow, Device: request.Device, Actor: caller.Actor},
		request: request,
		now:     o.Clock.Now(),
	}
	if token, err := session.ParseToken(request.Token); err == nil && request.Device.IsZero() {
		op.shown = token.Hash()
	}
	op.tooOften = o.tooOften(ctx, op.now, caller.Holder)
	found, err := o.Store.Find(ctx, op.slot, caller.SignIn)
	switch {
	case err == nil:
		if done, err := op.reusesAsItIs(found); done || err != nil {
			return op.result(err)
		}
	case !errors.Is(err, session.KindNotFound):
		return op.result(err)
	}
	return op.result(o.Store.Update(ctx, op.scope(), op.apply))
}

// opening is one call of Open on its way.
type opening struct {
	*Opener
	caller  access.Caller
	slot    session.Slot
	request ports.OpenRequest
	// shown is the hash of the token that a request without a device showed.
	shown    session.TokenHash
	now      time.Time
	tooOften bool

	decision  session.Decision
	opened    session.Session
	token     session.Token
	changes   ports.Changes
	anomalies []session.Rule
	// failed is what becomes of the caller though the changes are stored.
	failed error
}

// scope is what has to be seen to decide.
func (op *opening) scope() ports.Scope {
	scope := ports.Scope{User: op.slot.User, By: op.caller.Bearer}
	if op.Rules.NewDevices.Most > 0 {
		scope.CreatedAfter, scope.NewDevices = op.Rules.DevicesSince(op.now), op.Rules.NewDevices.Most+1
	}
	return scope
}

// reusesAsItIs reports whether the caller holds the session and there is
// nothing to write. A token that is shown and is not the session's own is of
// another session, which may have to end.
func (op *opening) reusesAsItIs(current session.Session) (bool, error) {
	if !current.HeldBy(op.caller.Holder) {
		return false, nil
	}
	if err := op.decide(&current); err != nil {
		return false, err
	}
	previous, _ := current.Previous()
	foreign := !op.shown.IsZero() && op.shown != current.Credential().Hash && op.shown != previous
	if foreign || op.tooOften || op.decision.Outcome != session.OutcomeReused {
		return false, nil
	}
	op.opened = current
	return !op.opened.Continue(op.request.Metadata, op.decision), nil
}

// apply decides, under the store's lock, what becomes of what it is shown, and
// returns what has to be written for it.
func (op *opening) apply(seen ports.Seen) (ports.Changes, error) {
	op.now = op.Clock.Now()
	seen.Sessions = op.Usage.Exact(seen.Sessions)
	current, rival := op.current(seen.Sessions), op.rival(seen.Sessions)
	if rival != nil {
		switch err := op.mayReplace(op.caller, seen.SignIns, *rival, op.now); {
		case errors.Is(err, session.KindContested):
			op.failed = err
			op.suspect(session.RuleContestedDevice, *rival, seen)
			return op.changes, nil
		case err != nil:
			return ports.Changes{}, err
		}
	}
	if err := op.choose(current, rival); err != nil {
		return ports.Changes{}, err
	}
	var err error
	switch op.decision.Outcome {
	case session.OutcomeCreated:
		err = op.create(seen.Sessions, current, rival)
	case session.OutcomeRefreshed:
		err = op.refresh(*current)
	case session.OutcomeReused, session.OutcomeTransferred:
		op.reuse(*current)
	}
	if err != nil {
		return ports.Changes{}, err
	}
	if rival != nil {
		op.replace(*rival)
	}
	op.judge(seen)
	if !op.changes.IsZero() && op.failed == nil {
		op.remember(seen)
	}
	return op.changes, nil
}

// current is the active session that the slot continues, whether or not its
// time is up, nil when there is none. One that another sign-in holds is
// continued only to end it.
func (op *opening) current(seen []session.Session) *session.Session {
	for i, s := range seen {
		mine := s.Device() == op.slot.Device || (op.slot.Device.IsZero() && s.Generated() && s.HeldBy(op.caller.Holder))
		if mine && s.Status() == session.StatusActive && s.Workflow() == op.slot.Workflow && s.Actor() == op.slot.Actor {
			return &seen[i]
		}
	}
	return nil
}

// rival is the session of another sign-in whose place the caller's takes: that
// on the device, or that whose current token the caller showed.
func (op *opening) rival(seen []session.Session) *session.Session {
	for i, s := range seen {
		same := s.Device() == op.slot.Device || (!op.shown.IsZero() && s.Credential().Hash == op.shown)
		if same && s.Workflow() == op.slot.Workflow && s.Actor() == op.slot.Actor &&
			!s.HeldBy(op.caller.Holder) && op.Policy.StatusAt(op.now, s) == session.StatusActive {
			return &seen[i]
		}
	}
	return nil
}

// choose decides what the caller gets: what the slot continues, or a new session.
// A new one in the rival's place is remembered if the rival was and the request
// does not say.
func (op *opening) choose(current, rival *session.Session) error {
	if rival != nil && current != nil && current.ID() == rival.ID() {
		current = nil
	}
	if err := op.decide(current); err != nil {
		return err
	}
	if rival != nil && op.decision.Outcome == session.OutcomeCreated {
		op.decision = op.Policy.Create(op.now, op.slot.Actor, op.request.Remember, rival.Remembered() || op.decision.Remembered)
	}
	return nil
}

// decide unseals the current session's token and says what becomes of it.
func (op *opening) decide(current *session.Session) error {
	var found *session.Found
	if current != nil {
		var err error
		op.token, err = op.Sealer.Unseal(current.ID(), current.Credential().Sealed)
		if err != nil && !errors.Is(err, session.KindUnreadable) {
			return err
		}
		found = &session.Found{Session: *current, Unreadable: err != nil}
	}
	op.decision = op.Policy.Decide(op.now, op.slot.Actor, found, op.request.Remember)
	return nil
}

func (op *opening) reuse(current session.Session) {
	op.opened = current
	if op.opened.Continue(op.request.Metadata, op.decision) {
		op.opened.Use(op.now) // its new terms may have a shorter idle timeout
		op.changes.Sessions = append(op.changes.Sessions, op.opened)
	}
}

func (op *opening) refresh(current session.Session) error {
	token, credential, err := op.mint(current.ID())
	if err != nil {
		return err
	}
	op.token, op.opened = token, current
	op.opened.Rotate(credential, op.now, op.decision.ExpiresAt, op.now.Add(op.Policy.Grace))
	op.opened.Continue(op.request.Metadata, op.decision)
	op.write(op.opened, note(op.caller, op.opened, op.now, session.ActivityRefreshed, map[string]string{session.DetailDevice: op.opened.Device().String()}))
	return nil
}

// replace ends the session whose place the opened one takes.
func (op *opening) replace(rival session.Session) {
	record := replaced(op.caller, &rival, op.opened.ID(), op.now)
	op.write(rival, record)
}

// judge looks whether what the sign-in does is an anomaly.
func (op *opening) judge(seen ports.Seen) {
	if op.decision.Outcome == session.OutcomeCreated {
		switch {
		case op.isOneTooMany(slices.DeleteFunc(slices.Clone(seen.Sessions), func(s session.Session) bool { return !s.HeldBy(op.caller.Holder) })):
			op.suspect(session.RuleNewDevices, op.opened, seen)
		case op.isOneTooMany(seen.Sessions): // others' are among them: the caller is not to blame
			op.anomalies = append(op.anomalies, session.RuleNewDevices)
			op.changes.Activity = append(op.changes.Activity, anomalyOf(op.caller, op.opened, op.now, session.RuleNewDevices, session.ActionRecord))
		}
	}
	if op.tooOften {
		op.suspect(session.RuleOpens, op.opened, seen)
	}
}

// isOneTooMany reports whether the opened session's device is the one with which
// too many are new, beside those of others.
func (op *opening) isOneTooMany(others []session.Session) bool {
	limit := op.Rules.NewDevices
	return limit.Passed(op.Rules.NewDevicesAt(op.now, append(slices.Clone(others), op.opened))) && !limit.Passed(op.Rules.NewDevicesAt(op.now, others))
}

// suspect notes an anomaly of the sign-in, which is about a session.
func (op *opening) suspect(rule session.Rule, about session.Session, seen ports.Seen) {
	op.anomalies = append(op.anomalies, rule)
	if err := op.Deps.suspect(op.caller, rule, about, seen, &op.changes, op.now); err != nil {
		op.failed = err
	}
}

// remember notes the caller's sign-in, and forgets those that are too many when
// the changes are stored.
func (op *opening) remember(seen ports.Seen) {
	me := seen.SignIns.See(op.caller.Bearer, op.now)
	then := slices.Concat(op.changes.Sessions, []session.Session{op.opened}, slices.DeleteFunc(slices.Clone(seen.Sessions), func(s session.Session) bool {
		return only(op.changes.Sessions, s.ID()) != nil
	}))
	op.changes.SignIns = append(op.changes.SignIns, me)
	op.changes.Forget = append(slices.Clone(seen.SignIns), me).Forgettable(then)
}

func (op *opening) write(s session.Session, record session.Activity) {
	op.changes.Sessions = append(op.changes.Sessions, s)
	op.changes.Activity = append(op.changes.Activity, record)
}

// result turns how the opening went into Open's answer.
func (op *opening) result(err error) (ports.Opened, error) {
	if op.tooOften && (err != nil || !slices.Contains(op.anomalies, session.RuleOpens)) {
		op.opens.owe(op.now, op.caller.Holder)
	}
	if err == nil {
		for _, rule := range op.anomalies {
			op.Meter.Anomaly(rule)
		}
		err = op.failed
	}
	if err == nil {
		if op.decision.Outcome != session.OutcomeCreated { // a new one is opened once
			op.Usage.Opened(op.opened, op.now, op.caller.Source)
		}
		return op.Deps.opened(op.now, op.opened, op.token, op.decision.Outcome), nil
	}
	for _, kind := range []session.Kind{session.KindOverloaded, session.KindUnavailable, session.KindSignedOut, session.KindContested, session.KindReverification} {
		if errors.Is(err, kind) {
			return ports.Opened{}, session.Wrap(kind, err)
		}
	}
	if op.decision.Outcome == session.OutcomeRefreshed {
		return ports.Opened{}, session.Wrap(session.KindRefreshFailed, err)
	}
	return ports.Opened{}, session.Wrap(session.KindCreateFailed, err)
}
