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
)

// openAttempts bounds how often Open tries to store a session whose generated
// device name or token turns out to be taken. Both are all but unique, so that
// a second attempt is rare and a third means that something is broken.
const openAttempts = 3

// Opener opens sessions. It implements ports.Opener.
type Opener struct {
	store    ports.SessionStore
	sealer   ports.Sealer
	ids      ports.Identifiers
	clock    ports.Clock
	policy   session.Policy
	workflow session.WorkflowID
	activity *Activity
}

var _ ports.Opener = (*Opener)(nil)

// NewOpener returns an Opener. The policy must be valid. workflow may be zero:
// then nothing can be opened.
func NewOpener(store ports.SessionStore, sealer ports.Sealer, ids ports.Identifiers, clock ports.Clock, policy session.Policy, workflow session.WorkflowID, activity *Activity) *Opener {
	return &Opener{store: store, sealer: sealer, ids: ids, clock: clock, policy: policy, workflow: workflow, activity: activity}
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
// look again, under the store's lock, and decide anew.
func (o *Opener) Open(ctx context.Context, caller access.Caller, request ports.OpenRequest) (ports.Opened, error) {
	workflow, err := o.Workflow()
	if err != nil {
		return ports.Opened{}, err
	}
	op := opening{
		Opener:  o,
		slot:    session.Slot{User: caller.User, Workflow: workflow, Device: request.Device},
		signIn:  caller.SignIn,
		request: request,
	}
	found, err := o.store.Find(ctx, op.slot)
	switch {
	case err == nil:
		if writes, err := op.apply(&found); err != nil || len(writes) == 0 {
			return op.result(err)
		}
	case !errors.Is(err, session.KindNotFound):
		return op.result(err)
	}
	return op.result(op.write(ctx))
}

// opening is one call of Open on its way.
type opening struct {
	*Opener
	slot    session.Slot
	signIn  session.SignInID
	request ports.OpenRequest
	attempt int

	decision session.Decision
	opened   session.Session
	token    session.Token
}

// write applies the decision under the store's lock, again when a name that
// should have been free was taken.
func (op *opening) write(ctx context.Context) error {
	var err error
	for op.attempt = range openAttempts {
		err = op.store.Update(ctx, op.slot, op.apply)
		if !errors.Is(err, session.KindConflict) {
			return err
		}
	}
	return err
}

// apply decides what becomes of the current session and returns what has to be
// written for it; nothing when the session is reused as it is.
func (op *opening) apply(current *session.Session) ([]session.Session, error) {
	now := op.clock.Now()
	found, err := op.read(current)
	if err != nil {
		return nil, err
	}
	op.decision = op.policy.Decide(now, found)
	switch op.decision.Outcome {
	case session.OutcomeReused:
		return op.reuse(*current, now), nil
	case session.OutcomeRefreshed:
		return op.refresh(*current, now)
	case session.OutcomeCreated:
	}
	return op.create(current, now)
}

// read unseals the current session's token.
func (op *opening) read(current *session.Session) (*session.Found, error) {
	if current == nil {
		return nil, nil //nolint:nilnil // Decide's word for "none found".
	}
	var err error
	op.token, err = op.sealer.Unseal(current.ID(), current.Credential().Sealed)
	if err != nil && !errors.Is(err, session.KindUnreadable) {
		return nil, err
	}
	return &session.Found{Session: *current, Unreadable: err != nil}, nil
}

func (op *opening) reuse(current session.Session, now time.Time) []session.Session {
	op.activity.See(current, now)
	changed := current.Continue(op.signIn, op.request.Metadata, op.decision.ExpiresAt)
	op.opened = current
	if !changed {
		return nil
	}
	return []session.Session{current}
}

func (op *opening) refresh(current session.Session, now time.Time) ([]session.Session, error) {
	credential, err := op.mint(current.ID())
	if err != nil {
		return nil, err
	}
	current.Rotate(credential, now, op.decision.ExpiresAt, now.Add(op.policy.Grace))
	current.Continue(op.signIn, op.request.Metadata, op.decision.ExpiresAt)
	op.opened = current
	return []session.Session{current}, nil
}

func (op *opening) create(current *session.Session, now time.Time) ([]session.Session, error) {
	id, err := op.ids.SessionID()
	if err != nil {
		return nil, err
	}
	credential, err := op.mint(id)
	if err != nil {
		return nil, err
	}
	draft := session.Draft{ID: id, Slot: op.slot, SignIn: op.signIn, Credential: credential, ExpiresAt: op.decision.ExpiresAt}
	if op.slot.Device.IsZero() {
		// A later attempt takes the next millisecond's name.
		draft.Slot.Device = session.GenerateDeviceID(op.slot.User, now.Add(time.Duration(op.attempt)*time.Millisecond))
		draft.Generated = true
	}
	if op.request.Metadata != nil {
		draft.Metadata = *op.request.Metadata
	}
	op.opened = session.New(draft, now)
	if !op.decision.EndFound {
		return []session.Session{op.opened}, nil
	}
	stale := *current
	stale.Expire(now)
	return []session.Session{stale, op.opened}, nil
}

// mint makes the token that op gives its caller, and its credential.
func (op *opening) mint(id session.ID) (session.Credential, error) {
	token, err := op.ids.Token()
	if err != nil {
		return session.Credential{}, err
	}
	sealed, err := op.sealer.Seal(id, token)
	if err != nil {
		return session.Credential{}, err
	}
	op.token = token
	return session.Credential{Hash: token.Hash(), Sealed: sealed}, nil
}

// result turns how the opening went into Open's answer.
func (op *opening) result(err error) (ports.Opened, error) {
	switch {
	case err == nil:
		return ports.Opened{
			Session:      op.opened,
			Token:        op.token,
			Outcome:      op.decision.Outcome,
			RefreshAfter: op.policy.RefreshAfter(op.opened.ExpiresAt()),
		}, nil
	case errors.Is(err, session.KindUnavailable):
		return ports.Opened{}, session.Wrap(session.KindUnavailable, err)
	case errors.Is(err, session.KindSignedOut):
		return ports.Opened{}, session.Wrap(session.KindSignedOut, err)
	case op.decision.Outcome == session.OutcomeRefreshed:
		return ports.Opened{}, session.Wrap(session.KindRefreshFailed, err)
	}
	return ports.Opened{}, session.Wrap(session.KindCreateFailed, err)
}
