package lifecycle

import (
	"context"
	"errors"
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
	Parts
	workflow session.WorkflowID
	opens    *window[session.UserID, opens]
}

var _ ports.Opener = (*Opener)(nil)

// NewOpener returns an Opener. workflow may be zero: then nothing can be
// opened.
func NewOpener(parts Parts, workflow session.WorkflowID) *Opener {
	return &Opener{Parts: parts, workflow: workflow, opens: newWindow[session.UserID, opens](session.RuleOpens, parts.Rules.Opens, parts.Sightings)}
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
		slot:    session.Slot{User: caller.User, Workflow: workflow, Device: request.Device},
		request: request,
		now:     o.Clock.Now(),
	}
	op.tooOften = o.tooOften(ctx, op.now, caller.User)
	found, err := o.Store.Find(ctx, op.slot)
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

// opens are a user's on this replica, and of how many others were told.
type opens struct{ seen, told int }

// tellEach is of how many opens at once others are told: a twentieth of those
// that are normal, so that hardly anybody's open asks anything of them.
func (o *Opener) tellEach() int {
	if o.Sightings == nil {
		return 1
	}
	return max(1, o.Rules.Opens.Most/20)
}

// tooOften reports whether the user opens more often than is normal and nobody
// said so yet; then this open is the one that does.
func (o *Opener) tooOften(ctx context.Context, now time.Time, user session.UserID) bool {
	if o.Rules.Opens.Most == 0 {
		return false
	}
	var alone ports.Sighted
	owed, since := o.opens.see(now, user, func(their *opens) {
		their.seen++
		if their.seen-their.told >= o.tellEach() || their.seen == o.Rules.Opens.Most+1 {
			alone = ports.Sighted{Before: their.told, After: their.seen}
			their.told = their.seen
		}
	})
	if alone.Before == alone.After {
		return owed
	}
	return o.opens.passes(since, user, alone, func(all ports.Sightings, key ports.SightingKey) (ports.Sighted, error) {
		return all.Times(ctx, key, alone.After-alone.Before)
	}) || owed
}

// opening is one call of Open on its way.
type opening struct {
	*Opener
	caller   access.Caller
	slot     session.Slot
	request  ports.OpenRequest
	now      time.Time
	tooOften bool

	decision  session.Decision
	opened    session.Session
	token     session.Token
	changes   ports.Changes
	anomalies []session.Rule
	refused   bool // because of one of them
}

// scope is what has to be seen to decide.
func (op *opening) scope() ports.Scope {
	scope := ports.Scope{User: op.slot.User, SignIn: op.caller.SignIn}
	if op.Rules.NewDevices.Most > 0 {
		scope.CreatedAfter, scope.NewDevices = op.Rules.DevicesSince(op.now), op.Rules.NewDevices.Most+1
	}
	return scope
}

// reusesAsItIs reports whether the session is the caller's and there is
// nothing to write.
func (op *opening) reusesAsItIs(current session.Session) (bool, error) {
	if err := op.decide(&current); err != nil {
		return false, err
	}
	if op.tooOften || op.decision.Outcome != session.OutcomeReused {
		return false, nil
	}
	op.opened = current
	return !op.opened.Continue(op.caller.SignIn, op.request.Metadata, op.decision), nil
}

// apply decides, under the store's lock, what becomes of the sessions that it
// is shown, and returns what has to be written for it.
func (op *opening) apply(seen []session.Session) (ports.Changes, error) {
	op.now = op.Clock.Now()
	current := op.current(seen)
	if err := op.decide(current); err != nil {
		return ports.Changes{}, err
	}
	if err := op.mayTake(seen, current); err != nil {
		return ports.Changes{}, err
	}
	var err error
	switch op.decision.Outcome {
	case session.OutcomeCreated:
		err = op.create(seen, current)
	case session.OutcomeRefreshed:
		err = op.refresh(*current)
	case session.OutcomeReused, session.OutcomeTransferred:
		op.reuse(*current)
	}
	if op.tooOften && err == nil {
		op.suspect(session.RuleOpens, seen)
	}
	return op.changes, err
}

// mayTake says whether the caller may have what they would get. A session that
// another sign-in opened is as good as transferred to this one: whoever was
// signed out does not get it, and it may take step-up.
func (op *opening) mayTake(seen []session.Session, current *session.Session) error {
	created := op.decision.Outcome == session.OutcomeCreated
	if !created && current.SignIn() == op.caller.SignIn {
		return nil
	}
	if blocked(seen, op.caller.SignIn) {
		return session.Wrap(session.KindSignedOut, errBlocked)
	}
	if created {
		return nil
	}
	return op.StepUp.Require(op.caller)
}

// current is the session that the slot continues, nil when there is none.
func (op *opening) current(seen []session.Session) *session.Session {
	for i, s := range seen {
		mine := s.Device() == op.slot.Device || (op.slot.Device.IsZero() && s.Generated())
		if s.Status() == session.StatusActive && s.Workflow() == op.slot.Workflow && mine {
			return &seen[i]
		}
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
	op.decision = op.Policy.Decide(op.now, found, op.request.Remember)
	return nil
}

func (op *opening) reuse(current session.Session) {
	op.opened = current
	if op.opened.Continue(op.caller.SignIn, op.request.Metadata, op.decision) {
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
	op.opened.Continue(op.caller.SignIn, op.request.Metadata, op.decision)
	op.write(op.opened, note(op.caller, op.opened, op.now, session.ActivityRefreshed, map[string]string{session.DetailDevice: op.opened.Device().String()}))
	return nil
}

// create makes room for a new session and makes it.
func (op *opening) create(seen []session.Session, current *session.Session) error {
	id, err := op.IDs.SessionID()
	if err != nil {
		return err
	}
	token, credential, err := op.mint(id)
	if err != nil {
		return err
	}
	draft := session.Draft{
		ID: id, Slot: op.slot, SignIn: op.caller.SignIn, Credential: credential,
		ExpiresAt: op.decision.ExpiresAt, Remembered: op.decision.Remembered, Source: op.caller.Source,
	}
	if op.slot.Device.IsZero() {
		draft.Slot.Device, draft.Generated = op.freeDevice(seen), true
	}
	if op.request.Metadata != nil {
		draft.Metadata = *op.request.Metadata
	}
	op.token, op.opened = token, session.New(draft, op.now)
	op.makeRoom(seen, current)
	op.write(op.opened, note(op.caller, op.opened, op.now, session.ActivityCreated, map[string]string{session.DetailDevice: op.opened.Device().String()}))
	before, devices := op.Rules.NewDevicesAt(op.now, seen), op.Rules.NewDevicesAt(op.now, append(seen[:len(seen):len(seen)], op.opened))
	if limit := op.Rules.NewDevices; limit.Passed(devices) && !limit.Passed(before) {
		op.suspect(session.RuleNewDevices, seen)
	}
	return nil
}

// makeRoom ends the sessions whose time is up, the current one among them, and
// those that are too many.
func (op *opening) makeRoom(seen []session.Session, current *session.Session) {
	var live []session.Session
	for _, s := range seen {
		switch {
		case s.Status() != session.StatusActive:
		case (current != nil && s.ID() == current.ID()) || op.Policy.StatusAt(op.now, s) == session.StatusExpired:
			s.Expire(op.now)
			op.write(s, expired(s, op.now))
		default:
			live = append(live, s)
		}
	}
	for _, s := range op.Policy.Excess(op.Usage.Exact(live)) {
		s.Revoke(session.EndLimit, op.now)
		op.write(s, note(op.caller, s, op.now, session.ActivityLimit, map[string]string{session.DetailSuccessor: op.opened.ID().String()}))
	}
}

// freeDevice makes the name of a device, of the next millisecond where one is
// taken.
func (op *opening) freeDevice(seen []session.Session) session.DeviceID {
	for at := op.now; ; at = at.Add(time.Millisecond) {
		device, taken := session.GenerateDeviceID(op.slot.User, at), false
		for _, s := range seen {
			taken = taken || (s.Status() == session.StatusActive && s.Device() == device)
		}
		if !taken {
			return device
		}
	}
}

// suspect notes an anomaly in what the sign-in does, and ends its sessions
// where that is what is to be done.
func (op *opening) suspect(rule session.Rule, seen []session.Session) {
	action := op.Rules.Action(rule)
	op.anomalies = append(op.anomalies, rule)
	op.changes.Activity = append(op.changes.Activity, anomalyOf(op.caller, op.opened, op.now, rule, action))
	if action == session.ActionRevoke {
		op.refuse(rule, seen)
	}
}

// refuse ends all sessions of the sign-in, the one that is being opened among
// them, and blocks it.
func (op *opening) refuse(rule session.Rule, seen []session.Session) {
	op.refused = true
	changed := make(map[session.ID]bool, len(seen)+1)
	for _, s := range op.changes.Sessions {
		changed[s.ID()] = true
	}
	for _, s := range append([]session.Session{op.opened}, seen...) {
		if !changed[s.ID()] && s.Status() == session.StatusActive && s.SignIn() == op.caller.SignIn {
			changed[s.ID()] = true
			op.changes.Sessions = append(op.changes.Sessions, s)
		}
	}
	for i := range op.changes.Sessions {
		if s := &op.changes.Sessions[i]; s.Status() == session.StatusActive {
			s.SignOut(session.SignInID{}, session.EndAnomaly, op.now)
			op.changes.Activity = append(op.changes.Activity, byService(*s, op.now, rule))
		}
	}
}

func (op *opening) write(s session.Session, record session.Activity) {
	op.changes.Sessions = append(op.changes.Sessions, s)
	op.changes.Activity = append(op.changes.Activity, record)
}

// result turns how the opening went into Open's answer.
func (op *opening) result(err error) (ports.Opened, error) {
	if err != nil && op.tooOften {
		op.opens.owe(op.now, op.slot.User)
	}
	if err == nil {
		for _, rule := range op.anomalies {
			op.Meter.Anomaly(rule)
		}
		if op.refused {
			err = session.Wrap(session.KindSignedOut, errBlocked)
		}
	}
	switch {
	case err == nil:
		if op.decision.Outcome != session.OutcomeCreated { // a new one is opened once
			op.Usage.Opened(op.opened, op.now, op.caller.Source)
		}
		return op.Parts.opened(op.now, op.opened, op.token, op.decision.Outcome), nil
	case errors.Is(err, session.KindOverloaded):
		return ports.Opened{}, session.Wrap(session.KindOverloaded, err)
	case errors.Is(err, session.KindUnavailable):
		return ports.Opened{}, session.Wrap(session.KindUnavailable, err)
	case errors.Is(err, session.KindSignedOut):
		return ports.Opened{}, session.Wrap(session.KindSignedOut, err)
	case errors.Is(err, session.KindReverification):
		return ports.Opened{}, session.Wrap(session.KindReverification, err)
	case op.decision.Outcome == session.OutcomeRefreshed:
		return ports.Opened{}, session.Wrap(session.KindRefreshFailed, err)
	}
	return ports.Opened{}, session.Wrap(session.KindCreateFailed, err)
}
