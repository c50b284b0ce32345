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
	// keyLifetime is how long fetched keys are trusted. A key that Clerk has
	// withdrawn is refused after it, even if no fetch succeeds.
	keyLifetime = time.Hour
	// keyRefresh is the age at which keys are fetched again, so that an outage
	// shorter than the rest of their lifetime has no effect.
	keyRefresh = 45 * time.Minute
	// keyCoolDown is the least time between two fetches, so that forged
	// credentials with unknown keys cannot put load on Clerk.
	keyCoolDown = 10 * time.Second
)

// Bounds of the record of unknown keys: their number, and the length of an id in
// bytes.
const (
	mostAsked    = 1000
	longestKeyID = 256
)

var (
	errUnknownKey  = errors.New("unknown key")
	errNotLookedUp = errors.New("the key was not among those that were last fetched")
	errNoneUsable  = errors.New("none of them can be used")
)

// keySet holds the instance's public keys by id. A key is known not to exist once
//
//  1. a request has asked for it,
//  2. a fetch has started after that, and
//  3. that fetch has succeeded without the key.
//
// Until then the credential may be valid: Clerk may have added the key since the
// last fetch.
type keySet struct {
	clock  ports.Clock
	logger *slog.Logger
	load   func(context.Context) ([]json.RawMessage, error)

	mu      sync.Mutex
	keys    map[string]*sdk.JSONWebKey
	asked   map[string]bool // unknown keys that were asked for
	missing map[string]bool // keys that are known not to exist
	fetched time.Time       // when keys was fetched
	tried   time.Time       // when the last fetch started
	err     error           // the last fetch's error
	running chan struct{}   // closed when the running fetch ends; nil if none is running
}

func newKeySet(clock ports.Clock, logger *slog.Logger, load func(context.Context) ([]json.RawMessage, error)) *keySet {
	return &keySet{clock: clock, logger: logger, load: load, asked: map[string]bool{}}
}

// get returns the key. It fetches at most once per cool-down, and waits for
// the fetch that is running for as long as ctx allows. Who waits is not in flight:
// anybody can name a key that nobody has.
//
// Errors: KindUnauthenticated if the instance has no such key; KindUnavailable if
// that cannot be determined now.
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

// look returns the key, or the running fetch to wait for.
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

// known returns a fetched key. The caller holds mu.
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

// fetch starts a fetch in the background. It serves all callers, so no caller's
// context ends it. The caller holds mu.
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
			s.logger.Warn("Clerk's public keys could not be fetched", "error", err)
		}
		close(running)
	}()
}

// byID returns the keys that can sign session tokens, by id.
func byID(set []json.RawMessage) map[string]*sdk.JSONWebKey {
	keys := make(map[string]*sdk.JSONWebKey, len(set))
	for _, encoded := range set {
		if key, ok := parseKey(encoded); ok {
			keys[key.KeyID] = key
		}
	}
	return keys
}
