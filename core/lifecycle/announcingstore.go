package lifecycle

import (
	"context"
	"slices"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// announcingStore is a store whose changes are announced.
type announcingStore struct {
	ports.SessionStore
	announcer *Announcer
}

// NewAnnouncingStore returns store with an Update that announces the sessions that it
// changed, once that is durable, if that may be news to their clients. Where it
// blocks sign-ins, it announces all that it showed: a sign-in that is blocked
// may be watching a session of another.
func NewAnnouncingStore(store ports.SessionStore, announcer *Announcer) ports.SessionStore {
	return announcingStore{store, announcer}
}

// Update implements ports.SessionStore.
func (s announcingStore) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	var news []session.ID
	err := s.SessionStore.Update(ctx, scope, func(seen ports.Seen) (ports.Changes, error) {
		was := slices.Clone(seen.Sessions)
		changes, err := change(seen)
		replaced, _ := changes.Split(was)
		for _, r := range replaced {
			if r.Is.NewsSince(r.Was) {
				news = append(news, r.Is.ID())
			}
		}
		if blocks(changes) {
			for _, s := range was {
				news = append(news, s.ID())
			}
		}
		return changes, err
	})
	if err == nil {
		s.announcer.Announce(news...)
	}
	return err
}

func blocks(changes ports.Changes) bool {
	return !changes.Moment.IsZero() || slices.ContainsFunc(changes.SignIns, func(s session.SignIn) bool { return !s.BlockedAt().IsZero() })
}
