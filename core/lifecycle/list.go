package lifecycle

import (
	"context"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Lister lists sessions. It implements ports.Lister.
type Lister struct {
	store  ports.SessionStore
	clock  ports.Clock
	policy session.Policy
}

var _ ports.Lister = (*Lister)(nil)

// NewLister returns a Lister. The policy must be valid.
func NewLister(store ports.SessionStore, clock ports.Clock, policy session.Policy) *Lister {
	return &Lister{store: store, clock: clock, policy: policy}
}

// List implements ports.Lister. It asks for one session more than the page
// has, to know whether there is another page.
func (l *Lister) List(ctx context.Context, caller access.Caller, request ports.ListRequest) (ports.Page, error) {
	now := l.clock.Now()
	found, err := l.store.List(ctx, ports.ListQuery{
		User: caller.User, Status: request.Status, Now: now, After: request.After, Limit: request.Limit + 1,
	})
	if err != nil {
		return ports.Page{}, err
	}
	var page ports.Page
	if len(found) > request.Limit {
		found = found[:request.Limit]
		last := found[len(found)-1]
		page.Next = ports.Position{CreatedAt: last.CreatedAt(), ID: last.ID()}
	}
	page.Sessions = make([]ports.Listed, len(found))
	for i, s := range found {
		page.Sessions[i] = l.listed(s, request.Token, now)
	}
	return page, nil
}

// Show implements ports.Lister.
func (l *Lister) Show(ctx context.Context, caller access.Caller, id session.ID, token string) (ports.Listed, error) {
	found, err := l.store.FindByID(ctx, caller.User, id)
	if err != nil {
		return ports.Listed{}, err
	}
	return l.listed(found, token, l.clock.Now()), nil
}

func (l *Lister) listed(s session.Session, text string, now time.Time) ports.Listed {
	token, err := session.ParseToken(text)
	return ports.Listed{
		Session: s, Status: s.StatusAt(now),
		Current: err == nil && l.policy.Accepts(now, s, token.Hash()),
	}
}
