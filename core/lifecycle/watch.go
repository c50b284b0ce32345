package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"chatkit-session/core/access"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Streams bounds how sessions are watched on this replica.
type Streams struct {
	// Most is how many may be watched at once, MostOfUser how many of them by
	// one user.
	Most, MostOfUser int
	// Reread is about how often each looks at its session though nobody said
	// that it changed.
	Reread time.Duration
}

// DefaultStreams are few enough to need some hundred megabytes, and many
// enough for a user's tabs. They look once a minute.
func DefaultStreams() Streams {
	return Streams{Most: 10_000, MostOfUser: 20, Reread: time.Minute}
}

const (
	// rereadTimeout bounds a look at the store.
	rereadTimeout = 5 * time.Second
	// soon is within what time all have looked after they were all woken, or
	// the store could not answer.
	soon = 5 * time.Second
)

var (
	errNotWatchable   = errors.New("the session has ended, and its client does not go on from before that")
	errTooManyOfUser  = errors.New("the user watches too many sessions on this replica")
	errTooManyStreams = errors.New("too many sessions are watched on this replica")
)

// Watcher tells a session's own clients what happens to it. What it tells it
// finds in the store, whoever wakes it. It implements ports.Watcher.
type Watcher struct {
	store     ports.SessionStore
	secrets   ports.SecretFinder
	clock     ports.Clock
	policy    session.Policy
	announcer *Announcer
	streams   Streams

	mu      sync.Mutex
	began   uint64 // ever
	open    int
	ofUsers map[session.UserID]int
}

var _ ports.Watcher = (*Watcher)(nil)

// NewWatcher returns a Watcher that is woken by announcer.
func NewWatcher(deps Deps, announcer *Announcer, streams Streams) *Watcher {
	return &Watcher{
		store: deps.Store, secrets: deps.Secrets, clock: deps.Clock, policy: deps.Policy,
		announcer: announcer, streams: streams, ofUsers: make(map[session.UserID]int),
	}
}

// Watch implements ports.Watcher.
func (w *Watcher) Watch(ctx context.Context, caller access.Caller, request ports.WatchRequest) (ports.Watch, error) {
	last, err := session.ParseKnown(request.Last)
	resumes := err == nil
	id, token, err := w.find(ctx, request)
	switch {
	case errors.Is(err, session.KindNotFound) && resumes:
		// A token is not found when its session has ended: the event says which
		// it was.
		id = last.Session()
	case errors.Is(err, session.KindNotFound):
		id = session.ID{} // the store finds none, and says whether the caller may ask
	case err != nil:
		return nil, err
	}
	found, err := w.store.FindByID(ctx, caller.User, id, caller.Bearer)
	if err == nil && !owns(caller, found) {
		err = session.Wrap(session.KindNotFound, errNoSuchSession)
	}
	if err != nil {
		return nil, err
	}
	known := found.Known()
	if !token.IsZero() {
		known = found.KnownBy(token)
	}
	resumes = resumes && last.Session() == found.ID()
	if resumes {
		known = last.Or(found, token)
	}
	if known.Over() || (!resumes && w.policy.StatusAt(w.clock.Now(), found) != session.StatusActive) {
		return nil, session.Wrap(session.KindNotFound, errNotWatchable)
	}
	return w.begin(caller, known)
}

// find returns the id of the session that the request names, and its token's
// hash if it names it by that. Whose it is remains to be looked at.
func (w *Watcher) find(ctx context.Context, request ports.WatchRequest) (session.ID, session.TokenHash, error) {
	if request.Token == "" {
		return request.Session, session.TokenHash{}, nil
	}
	token, err := session.ParseToken(request.Token)
	if err != nil {
		return session.ID{}, session.TokenHash{}, session.Wrap(session.KindNotFound, err)
	}
	found, err := w.secrets.FindByToken(ctx, token.Hash())
	return found.ID(), token.Hash(), err
}

// begin takes one of the streams that there may be.
func (w *Watcher) begin(caller access.Caller, known session.Known) (ports.Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ofUsers[caller.User] >= w.streams.MostOfUser:
		return nil, session.Wrap(session.KindRateLimited, errTooManyOfUser)
	case w.open >= w.streams.Most:
		return nil, session.Wrap(session.KindOverloaded, errTooManyStreams)
	}
	w.ofUsers[caller.User]++
	w.open++
	w.began++
	one := &watch{Watcher: w, by: caller.Bearer, known: known, timer: time.NewTimer(0), share: share(w.began)}
	one.bell, one.mute = w.announcer.listen(known.Session())
	return one, nil
}

func (w *Watcher) end(user session.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	if w.ofUsers[user]--; w.ofUsers[user] == 0 {
		delete(w.ofUsers, user)
	}
}

// share is the n-th of a sequence from 0 to 1, of which any that follow each
// other lie far apart: the multiples of the golden ratio, less what is whole.
func share(n uint64) float64 {
	const ratio, whole = 0x9e3779b97f4a7c15, 1 << 64
	return float64(n*ratio) / whole
}

// watch is a client's watching of a session. It implements ports.Watch.
type watch struct {
	*Watcher
	by    session.Bearer
	known session.Known
	bell  *bell
	mute  func()
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
	w.mute()
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
		case <-w.bell.now:
			return nil
		case <-w.timer.C:
			return nil
		case <-w.bell.soon:
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
		w.timer.Reset(min(w.about(w.streams.Reread), news.Next.Sub(now)))
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
