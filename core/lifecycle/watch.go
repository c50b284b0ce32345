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

// WatchLimits bounds how sessions are watched on this replica.
type WatchLimits struct {
	// Total is how many may be watched at once, PerUser how many of them by
	// one user.
	Total, PerUser int
	// PollInterval is about how often each looks at its session though nobody said
	// that it changed.
	PollInterval time.Duration
}

// DefaultWatchLimits are few enough to need some hundred megabytes, and many
// enough for a user's tabs. They look once a minute.
func DefaultWatchLimits() WatchLimits {
	return WatchLimits{Total: 10_000, PerUser: 20, PollInterval: time.Minute}
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
	limits    WatchLimits

	mu      sync.Mutex
	began   uint64 // ever
	open    int
	ofUsers map[session.UserID]int
}

var _ ports.Watcher = (*Watcher)(nil)

// NewWatcher returns a Watcher that is woken by announcer.
func NewWatcher(deps Deps, announcer *Announcer, limits WatchLimits) *Watcher {
	return &Watcher{
		store: deps.Store, secrets: deps.Secrets, clock: deps.Clock, policy: deps.Policy,
		announcer: announcer, limits: limits, ofUsers: make(map[session.UserID]int),
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
	case w.ofUsers[caller.User] >= w.limits.PerUser:
		return nil, session.Wrap(session.KindRateLimited, errTooManyOfUser)
	case w.open >= w.limits.Total:
		return nil, session.Wrap(session.KindOverloaded, errTooManyStreams)
	}
	w.ofUsers[caller.User]++
	w.open++
	w.began++
	one := &watch{Watcher: w, by: caller.Bearer, known: known, timer: time.NewTimer(0), share: share(w.began)}
	one.subscription, one.unsubscribe = w.announcer.subscribe(known.Session())
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
