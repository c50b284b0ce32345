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

// WatchLimits bounds the event streams of this replica.
type WatchLimits struct {
	// Total is how many streams may be open, PerUser how many of one user.
	Total, PerUser int
	// PollInterval is about how often a stream reads its session when no
	// announcement of a change arrives.
	PollInterval time.Duration
}

// DefaultWatchLimits returns limits under which all streams together need a few
// hundred megabytes, and a user has enough for their tabs.
func DefaultWatchLimits() WatchLimits {
	return WatchLimits{Total: 10_000, PerUser: 20, PollInterval: time.Minute}
}

var (
	errNotWatchable   = errors.New("the session has ended, and the client does not resume from an earlier event")
	errTooManyOfUser  = errors.New("the user has too many event streams on this replica")
	errTooManyStreams = errors.New("this replica has too many event streams")
)

// Watcher opens event streams of sessions. Announcements only tell a stream when
// to read its session; the events come from the store. It implements
// ports.Watcher.
type Watcher struct {
	store     ports.SessionStore
	secrets   ports.SecretFinder
	clock     ports.Clock
	policy    session.Policy
	announcer *Announcer
	limits    WatchLimits

	mu     sync.Mutex
	opened uint64 // streams since the start
	open   int
	byUser map[session.UserID]int // open streams
}

var _ ports.Watcher = (*Watcher)(nil)

// NewWatcher returns a Watcher whose streams announcer wakes.
func NewWatcher(deps Deps, announcer *Announcer, limits WatchLimits) *Watcher {
	return &Watcher{
		store: deps.Store, secrets: deps.Secrets, clock: deps.Clock, policy: deps.Policy,
		announcer: announcer, limits: limits, byUser: make(map[session.UserID]int),
	}
}

// Watch implements ports.Watcher.
func (w *Watcher) Watch(ctx context.Context, caller access.Caller, request ports.WatchRequest) (ports.Watch, error) {
	last, err := session.ParseKnown(request.Last)
	resumes := err == nil
	id, token, err := w.find(ctx, request)
	switch {
	case errors.Is(err, session.KindNotFound) && resumes:
		// The token of an ended session is not found: the client's last event
		// tells which session it was.
		id = last.Session()
	case errors.Is(err, session.KindNotFound):
		id = session.ID{} // not found below, unless the caller's sign-in is blocked
	case err != nil:
		return nil, err
	}
	found, err := w.store.FindByID(ctx, caller.User, id, caller.Bearer)
	if err == nil && !caller.Manages(found.Actor()) {
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
	return w.openStream(caller, known)
}

// find returns the id of the requested session, and the hash of the token if the
// request has one. The session may be another user's.
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

// openStream opens a stream, if the limits allow another one.
func (w *Watcher) openStream(caller access.Caller, known session.Known) (ports.Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.byUser[caller.User] >= w.limits.PerUser:
		return nil, session.Wrap(session.KindRateLimited, errTooManyOfUser)
	case w.open >= w.limits.Total:
		return nil, session.Wrap(session.KindOverloaded, errTooManyStreams)
	}
	w.byUser[caller.User]++
	w.open++
	w.opened++
	s := &eventStream{Watcher: w, by: caller.Bearer, known: known, timer: time.NewTimer(0), jitter: jitter(w.opened)}
	s.subscription, s.unsubscribe = w.announcer.subscribe(known.Session())
	return s, nil
}

func (w *Watcher) closeStream(user session.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	if w.byUser[user]--; w.byUser[user] == 0 {
		delete(w.byUser, user)
	}
}

// jitter returns the n-th number of a sequence in [0, 1) whose consecutive numbers
// are evenly spread: the fractional parts of multiples of the golden ratio.
func jitter(n uint64) float64 {
	const ratio, whole = 0x9e3779b97f4a7c15, 1 << 64
	return float64(n*ratio) / whole
}
