package clerk

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
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

var errUnknownKey = errors.New("no such key")

// keySet holds the instance's public keys by id.
type keySet struct {
	clock  ports.Clock
	logger *slog.Logger
	load   func(context.Context) (*sdk.JSONWebKeySet, error)

	mu      sync.Mutex
	keys    map[string]*sdk.JSONWebKey
	fetched time.Time     // when keys was fetched
	tried   time.Time     // when the last fetch began
	err     error         // what the last fetch ended with
	running chan struct{} // closed when the fetch that is running ends; nil when none is
}

func newKeySet(clock ports.Clock, logger *slog.Logger, load func(context.Context) (*sdk.JSONWebKeySet, error)) *keySet {
	return &keySet{clock: clock, logger: logger, load: load}
}

// get returns the key. It fetches at most once per cool-down, and waits for
// the fetch that is running for as long as ctx allows.
//
// Errors: KindUnauthenticated when the instance has no such key;
// KindUnavailable when that cannot be found out now.
func (s *keySet) get(ctx context.Context, kid string) (*sdk.JSONWebKey, error) {
	key, running, err := s.look(kid) //nolint:contextcheck // a fetch is for all callers: none of them can end it
	if running == nil {
		return key, err
	}
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
	if cool {
		s.fetch(now)
	}
	return nil, s.running, err
}

// known answers from what was fetched. The caller holds mu.
func (s *keySet) known(kid string) (*sdk.JSONWebKey, error) {
	fresh := s.clock.Now().Sub(s.fetched) < keyLifetime
	if key, found := s.keys[kid]; found && fresh {
		return key, nil
	}
	if s.err != nil || !fresh {
		return nil, session.Wrap(session.KindUnavailable, fmt.Errorf("fetch the public keys: %w", errors.Join(s.err, errUnknownKey)))
	}
	return nil, refused(errUnknownKey)
}

// fetch starts a fetch in the background: it is for all callers, so that none
// of them can end it. The caller holds mu.
func (s *keySet) fetch(now time.Time) {
	s.tried = now
	running := make(chan struct{})
	s.running = running
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), apiTimeout)
		defer cancel()
		set, err := s.load(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running, s.err = nil, err
		if err == nil {
			s.keys, s.fetched = byID(set), now
		} else {
			s.logger.Warn("the public keys of Clerk could not be fetched", "error", err)
		}
		close(running)
	}()
}

// byID keeps the keys that sign session tokens.
func byID(set *sdk.JSONWebKeySet) map[string]*sdk.JSONWebKey {
	keys := make(map[string]*sdk.JSONWebKey, len(set.Keys))
	for _, key := range set.Keys {
		if usable(key) && key.KeyID != "" && (key.Use == "" || key.Use == "sig") {
			keys[key.KeyID] = key
		}
	}
	return keys
}

// usable reports whether key is an RSA key for Clerk's algorithm.
func usable(key *sdk.JSONWebKey) bool {
	if key == nil || key.Algorithm != algorithm {
		return false
	}
	_, ok := key.Key.(*rsa.PublicKey)
	return ok
}
