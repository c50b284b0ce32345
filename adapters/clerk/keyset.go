package clerk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	sdk "github.com/clerk/clerk-sdk-go/v2"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

const (
	// keyLifetime is how long fetched keys are trusted: a key that Clerk
	// withdrew is refused after it, whatever happens.
	keyLifetime = time.Hour
	// keyRefresh is the age from which keys are fetched again ahead of time, so
	// that an outage shorter than the rest is not noticed.
	keyRefresh = 45 * time.Minute
	// keyCoolDown is the least time between two fetches, however many unknown
	// keys are asked for: forged credentials cannot be turned into load.
	keyCoolDown = 10 * time.Second
)

// The bounds of what is remembered of keys that were asked for in vain: how
// many, and how long an id is, in bytes.
const (
	mostAsked    = 1000
	longestKeyID = 256
)

var (
	errUnknownKey  = errors.New("no such key")
	errNotLookedUp = errors.New("no such key when they were last fetched")
	errNoneUsable  = errors.New("none of them can be used")
)

// keySet holds the instance's public keys by id. That there is no key of an id
// is known when
//
//  1. somebody asked for it,
//  2. then a fetch began, and
//  3. ended well without it.
//
// Until then Clerk may have changed its keys since the last fetch, and the
// credential may be good.
type keySet struct {
	clock  ports.Clock
	logger *slog.Logger
	load   func(context.Context) ([]json.RawMessage, error)

	mu      sync.Mutex
	keys    map[string]*sdk.JSONWebKey
	asked   map[string]bool // in vain, of late
	missing map[string]bool // asked for before the last fetch began, which ended without them
	fetched time.Time       // when keys was fetched
	tried   time.Time       // when the last fetch began
	err     error           // what the last fetch ended with
	running chan struct{}   // closed when the fetch that is running ends; nil when none is
}

func newKeySet(clock ports.Clock, logger *slog.Logger, load func(context.Context) ([]json.RawMessage, error)) *keySet {
	return &keySet{clock: clock, logger: logger, load: load, asked: map[string]bool{}}
}

// get returns the key. It fetches at most once per cool-down, and waits for
// the fetch that is running for as long as ctx allows. Who waits is not in flight:
// anybody can name a key that nobody has.
//
// Errors: KindUnauthenticated when the instance has no such key;
// KindUnavailable when that cannot be found out now.
func (s *keySet) get(ctx context.Context, kid string) (*sdk.JSONWebKey, error) {
	if len(kid) > longestKeyID {
		return nil, refused(errUnknownKey)
	}
	key, running, err := s.look(kid) //nolint:contextcheck // a fetch is for all callers: none of them can end it
	if running == nil {
		return key, err
	}
	ports.ReleaseInFlight(ctx)
	select {
	case <-ctx.Done():
		return nil, session.Wrap(session.KindUnavailable, fmt.Errorf("fetch the public keys: %w", context.Cause(ctx)))
	case <-running:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known(kid)
}

// look returns the key, or the fetch to wait for.
func (s *keySet) look(kid string) (*sdk.JSONWebKey, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	key, err := s.known(kid)
	cool := s.running == nil && now.Sub(s.tried) >= keyCoolDown
	if err == nil {
		if cool && now.Sub(s.fetched) >= keyRefresh {
			s.fetch(now)
		}
		return key, nil, nil
	}
	if len(s.asked) < mostAsked {
		s.asked[kid] = true
	}
	if cool {
		s.fetch(now)
	}
	return nil, s.running, err
}

// known answers from what was fetched. The caller holds mu.
func (s *keySet) known(kid string) (*sdk.JSONWebKey, error) {
	fresh := s.clock.Now().Sub(s.fetched) < keyLifetime
	key, found := s.keys[kid]
	switch {
	case found && fresh:
		return key, nil
	case s.err != nil || !fresh:
		return nil, session.Wrap(session.KindUnavailable, fmt.Errorf("fetch the public keys: %w", errors.Join(s.err, errUnknownKey)))
	case s.missing[kid]:
		return nil, refused(errUnknownKey)
	}
	return nil, session.Wrap(session.KindUnavailable, errNotLookedUp)
}

// fetch starts a fetch in the background: it is for all callers, so that none
// of them can end it. The caller holds mu.
func (s *keySet) fetch(now time.Time) {
	s.tried = now
	running := make(chan struct{})
	s.running = running
	asked := maps.Clone(s.asked)
	if len(asked) == mostAsked {
		clear(s.asked)
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), apiTimeout)
		defer cancel()
		set, err := s.load(ctx)
		keys := byID(set)
		if err == nil && len(keys) == 0 {
			err = errNoneUsable // an instance has one at least
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running, s.err = nil, err
		if err == nil {
			s.keys, s.fetched = keys, now
			s.missing = asked
			maps.DeleteFunc(s.missing, func(kid string, _ bool) bool { return s.keys[kid] != nil })
		} else {
			s.logger.Warn("the public keys of Clerk could not be fetched", "error", err)
		}
		close(running)
	}()
}

// byID keeps the keys that sign session tokens.
func byID(set []json.RawMessage) map[string]*sdk.JSONWebKey {
	keys := make(map[string]*sdk.JSONWebKey, len(set))
	for _, encoded := range set {
		if key, ok := parseKey(encoded); ok {
			keys[key.KeyID] = key
		}
	}
	return keys
}
