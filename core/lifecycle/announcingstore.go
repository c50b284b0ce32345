package lifecycle

import (
	"context"
	"slices"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// announcingStore is a decorator that announces changed sessions.
type announcingStore struct {
	ports.SessionStore
	announcer *Announcer
}

// NewAnnouncingStore decorates store: once an Update is durable, it announces the
// changed sessions, if their clients can notice the change. An Update that blocks
// sign-ins announces all sessions that it read, because a blocked sign-in may be
// watching any of them.
func NewAnnouncingStore(store ports.SessionStore, announcer *Announcer) ports.SessionStore {
	return announcingStore{store, announcer}
}

// Update implements ports.SessionStore.
func (s announcingStore) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	var changed []session.ID
	err := s.SessionStore.Update(ctx, scope, func(seen ports.Seen) (ports.Changes, error) {
		before := slices.Clone(seen.Sessions)
		changes, err := change(seen)
		replaced, _ := changes.Split(before)
		for _, r := range replaced {
			if r.Is.NewsSince(r.Was) {
				changed = append(changed, r.Is.ID())
			}
		}
		if blocksSignIns(changes) {
			for _, s := range before {
				changed = append(changed, s.ID())
			}
		}
		return changes, err
	})
	if err == nil {
		s.announcer.Announce(changed...)
	}
	return err
}

func blocksSignIns(changes ports.Changes) bool {
	return !changes.Moment.IsZero() || slices.ContainsFunc(changes.SignIns, func(s session.SignIn) bool { return !s.BlockedAt().IsZero() })
}
