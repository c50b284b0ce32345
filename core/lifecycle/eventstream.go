package lifecycle

import (
	"context"
	"errors"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// watch is a client's watching of a session. It implements ports.Watch.
type watch struct {
	*Watcher
	by           session.Bearer
	known        session.Known
	subscription *subscription
	unsubscribe  func()
	// timer says when to look at the session.
	timer *time.Timer
	// share is this watch's own, so that not all of them look at once.
	share float64
	// spread means that it looks soon because all do.
	spread bool
	closed bool
}

// Known implements ports.Watch.
func (w *watch) Known() string { return w.known.String() }

// Close implements ports.Watch.
func (w *watch) Close() {
	if w.closed {
		return
	}
	w.closed = true
	w.timer.Stop()
	w.unsubscribe()
	w.end(w.by.User)
}

// Next implements ports.Watch. The bell was there before the first look, so
// that nothing falls between them.
func (w *watch) Next(ctx context.Context) (ports.Event, error) {
	for {
		if err := w.wait(ctx); err != nil {
			return ports.Event{}, err
		}
		found, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			w.timer.Reset(0)
			return ports.Event{}, ctx.Err()
		case errors.Is(err, session.KindUnavailable):
			w.timer.Reset(w.about(soon))
			continue
		case err != nil && (found.ID().IsZero() || !errors.Is(err, session.KindSignedOut)):
			return ports.Event{}, err
		}
		if event := w.tell(found); event.Type.Ends() || (event.Type != "" && err == nil) {
			return event, nil
		}
		if err != nil { // the session is another sign-in's, and goes on
			return ports.Event{}, err
		}
	}
}

// wait returns when it is time to look.
func (w *watch) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.subscription.changed:
			return nil
		case <-w.timer.C:
			return nil
		case <-w.subscription.missed:
			if !w.spread {
				w.spread = true
				w.timer.Reset(w.part(soon))
			}
		}
	}
}

func (w *watch) look(ctx context.Context) (session.Session, error) {
	w.spread = false
	ctx, cancel := context.WithTimeout(ctx, rereadTimeout)
	defer cancel()
	return w.store.FindByID(ctx, w.by.User, w.known.Session(), w.by)
}

// tell returns what there is to tell, with an empty type if there is nothing,
// and sets when to look again.
func (w *watch) tell(found session.Session) ports.Event {
	now := w.clock.Now()
	news := w.policy.News(now, found, w.known)
	w.known = news.Known
	if news.Event == "" {
		w.timer.Reset(min(w.about(w.limits.PollInterval), news.Next.Sub(now)))
		return ports.Event{}
	}
	w.timer.Reset(0) // there may be more
	left, _ := w.policy.Left(now, found)
	return ports.Event{
		Type: news.Event, Session: found, Reason: news.Reason,
		RefreshAfter: w.policy.RefreshAfter(found), ExpiresIn: left,
	}
}

// about is between 3/4 and 5/4 of d.
func (w *watch) about(d time.Duration) time.Duration { return d*3/4 + w.part(d/2) }

// part is this watch's share of d.
func (w *watch) part(d time.Duration) time.Duration { return time.Duration(w.share * float64(d)) }
