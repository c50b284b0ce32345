package lifecycle

import (
	"context"
	"errors"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const (
	readTimeout = 5 * time.Second
	// spreadOver is the time over which the reads of all streams are spread when
	// all are woken, and about how long a stream waits when the store fails.
	spreadOver = 5 * time.Second
)

// eventStream is one client's event stream of a session. It implements
// ports.Watch:
//
//  1. It subscribes to announcements before it first reads the session, so that it
//     misses no change in between.
//  2. Next waits until the session was announced, the timer fires, or ctx ends.
//  3. It then reads the session, and returns an event if the session differs from
//     what the client knows.
//  4. Otherwise it sets the timer to the next change that time brings (a warning,
//     the expiry) or to about a poll interval, and waits again.
//  5. When announcements were missed, every stream reads its session within
//     spreadOver. A jitter of its own keeps a stream from reading together with all
//     the others.
type eventStream struct {
	*Watcher
	by           session.Bearer
	known        session.Known
	subscription *subscription
	unsubscribe  func()
	timer        *time.Timer // when to read the session
	jitter       float64
	// spreading is whether the timer is set because announcements were missed.
	spreading bool
	closed    bool
}

// Known implements ports.Watch.
func (s *eventStream) Known() string { return s.known.String() }

// Close implements ports.Watch.
func (s *eventStream) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.timer.Stop()
	s.unsubscribe()
	s.closeStream(s.by.User)
}

// Next implements ports.Watch.
func (s *eventStream) Next(ctx context.Context) (ports.Event, error) {
	for {
		if err := s.wait(ctx); err != nil {
			return ports.Event{}, err
		}
		found, err := s.read(ctx)
		switch {
		case ctx.Err() != nil:
			s.timer.Reset(0)
			return ports.Event{}, ctx.Err()
		case errors.Is(err, session.KindUnavailable):
			s.timer.Reset(s.about(spreadOver))
			continue
		case err != nil && (found.ID().IsZero() || !errors.Is(err, session.KindSignedOut)):
			return ports.Event{}, err
		}
		if event := s.event(found); event.Type.Ends() || (event.Type != "" && err == nil) {
			return event, nil
		}
		if err != nil { // this sign-in is blocked, but the session of another goes on
			return ports.Event{}, err
		}
	}
}

// wait returns nil when it is time to read the session.
func (s *eventStream) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.subscription.changed:
			return nil
		case <-s.timer.C:
			return nil
		case <-s.subscription.missed:
			if !s.spreading {
				s.spreading = true
				s.timer.Reset(s.share(spreadOver))
			}
		}
	}
}

func (s *eventStream) read(ctx context.Context) (session.Session, error) {
	s.spreading = false
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return s.store.FindByID(ctx, s.by.User, s.known.Session(), s.by)
}

// event returns the next event, without a type if there is none, and sets the
// timer for the next read.
func (s *eventStream) event(found session.Session) ports.Event {
	now := s.clock.Now()
	news := s.policy.News(now, found, s.known)
	s.known = news.Known
	if news.Event == "" {
		s.timer.Reset(min(s.about(s.limits.PollInterval), news.Next.Sub(now)))
		return ports.Event{}
	}
	s.timer.Reset(0) // another event may follow
	left, _ := s.policy.Left(now, found)
	return ports.Event{
		Type: news.Event, Session: found, Reason: news.Reason,
		RefreshAfter: s.policy.RefreshAfter(found), ExpiresIn: left,
	}
}

// about returns between 3/4 and 5/4 of d, by the stream's jitter.
func (s *eventStream) about(d time.Duration) time.Duration { return d*3/4 + s.share(d/2) }

// share returns between 0 and d, by the stream's jitter.
func (s *eventStream) share(d time.Duration) time.Duration {
	return time.Duration(s.jitter * float64(d))
}
