package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Lister lists sessions and their activity. It implements ports.Lister.
type Lister struct {
	store    ports.SessionStore
	activity ports.ActivityStore
	clock    ports.Clock
	policy   session.Policy
}

var _ ports.Lister = (*Lister)(nil)

// NewLister returns a Lister. The policy must be valid.
func NewLister(store ports.SessionStore, activity ports.ActivityStore, clock ports.Clock, policy session.Policy) *Lister {
	return &Lister{store: store, activity: activity, clock: clock, policy: policy}
}

// MaxPageBytes bounds the metadata of all sessions on a page, by Metadata.Size. The
// other fields of a session are small.
const MaxPageBytes = 64 << 10

// List implements ports.Lister.
func (l *Lister) List(ctx context.Context, caller access.Caller, request ports.ListRequest) (ports.Page, error) {
	return l.list(ctx, caller, caller.User, request)
}

// ListOf implements ports.Lister.
func (l *Lister) ListOf(ctx context.Context, admin access.Caller, user session.UserID, request ports.ListRequest) (ports.Page, error) {
	if err := admin.InPerson(); err != nil {
		return ports.Page{}, err
	}
	return l.list(ctx, admin, user, request)
}

func (l *Lister) list(ctx context.Context, by access.Caller, user session.UserID, request ports.ListRequest) (ports.Page, error) {
	now := l.clock.Now()
	found, err := l.store.List(ctx, ports.ListQuery{
		User: user, By: by.Bearer, Actor: by.Actor, Status: request.Status, Cutoff: l.policy.Cutoff(now), After: request.After, Limit: request.Limit + 1, Bytes: MaxPageBytes,
	})
	if err != nil {
		return ports.Page{}, err
	}
	found, next := page(found, min(request.Limit, fitting(found)), func(s session.Session) ports.Position {
		return ports.Position{At: s.CreatedAt(), ID: s.ID()}
	})
	listed := ports.Page{Sessions: make([]ports.Listed, len(found)), Next: next}
	for i, s := range found {
		listed.Sessions[i] = l.listed(s, request.Token, now)
	}
	return listed, nil
}

// fitting returns how many of the sessions fit on a page by their metadata, at
// least 1: metadata that an older version stored may be larger than a page.
func fitting(found []session.Session) int {
	bytes := 0
	for i, s := range found {
		if bytes += s.Metadata().Size(); bytes > MaxPageBytes {
			return max(i, 1)
		}
	}
	return max(len(found), 1)
}

// page returns the first limit elements of a list, and the position of the last of
// them if more follow.
func page[T any](list []T, limit int, position func(T) ports.Position) ([]T, ports.Position) {
	if len(list) <= limit {
		return list, ports.Position{}
	}
	return list[:limit], position(list[limit-1])
}

// Show implements ports.Lister.
func (l *Lister) Show(ctx context.Context, caller access.Caller, id session.ID, token string) (ports.Listed, error) {
	found, err := l.find(ctx, caller, id)
	if err != nil {
		return ports.Listed{}, err
	}
	return l.listed(found, token, l.clock.Now()), nil
}

// find returns the caller's session with id.
func (l *Lister) find(ctx context.Context, caller access.Caller, id session.ID) (session.Session, error) {
	found, err := l.store.FindByID(ctx, caller.User, id, caller.Bearer)
	if err == nil && !caller.Manages(found.Actor()) {
		err = session.Wrap(session.KindNotFound, errNoSuchSession)
	}
	return found, err
}

func (l *Lister) listed(s session.Session, text string, now time.Time) ports.Listed {
	token, err := session.ParseToken(text)
	left, expiring := l.policy.Left(now, s)
	return ports.Listed{
		Session: s, Status: l.policy.StatusAt(now, s), ExpiresIn: left, Expiring: expiring,
		Current: err == nil && l.policy.Accepts(now, s, token.Hash()),
	}
}

// Activity implements ports.Lister. Activity is kept for longer than sessions:
// only if there is none, it looks whether the session exists. An actor must hold
// the session.
func (l *Lister) Activity(ctx context.Context, caller access.Caller, request ports.ActivityRequest) (ports.ActivityPage, error) {
	if err := l.permitActivity(ctx, caller, request.Session); err != nil {
		return ports.ActivityPage{}, err
	}
	found, err := l.activity.ListActivity(ctx, ports.ActivityQuery{
		User: caller.User, By: caller.Bearer, Session: request.Session, After: request.After, Limit: request.Limit + 1,
	})
	if err != nil {
		return ports.ActivityPage{}, err
	}
	if len(found) == 0 && !request.Session.IsZero() {
		if _, err := l.find(ctx, caller, request.Session); err != nil {
			return ports.ActivityPage{}, err
		}
	}
	found, next := page(found, request.Limit, func(a session.Activity) ports.Position {
		return ports.Position{At: a.At, ID: a.ID}
	})
	return ports.ActivityPage{Activity: found, Next: next}, nil
}

// permitActivity returns an error unless the caller may read the activity of the
// session with id, or of all the user's sessions when id is zero.
func (l *Lister) permitActivity(ctx context.Context, caller access.Caller, id session.ID) error {
	if caller.Actor.IsZero() {
		return nil
	}
	if id.IsZero() {
		return caller.InPerson()
	}
	_, err := l.find(ctx, caller, id)
	return err
}
