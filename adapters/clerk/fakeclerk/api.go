package fakeclerk

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v3"
)

// API answers as Clerk's Backend API does, for one secret key, and fails when
// it is told to.
type API struct {
	secret string

	mu       sync.Mutex
	keys     []*Instance
	others   []json.RawMessage
	users    map[string]any // public metadata
	status   int            // that every call is answered with; 0 for the right one
	hold     <-chan struct{}
	requests map[string]int
}

// NewAPI returns an API that has the keys of the given instances.
func NewAPI(secret string, keys ...*Instance) *API {
	return &API{secret: secret, keys: keys, users: map[string]any{}, requests: map[string]int{}}
}

// SetKeys replaces the keys.
func (a *API) SetKeys(keys ...*Instance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = keys
}

// AddKey publishes a key that is no instance's.
func (a *API) AddKey(key jose.JSONWebKey) {
	encoded, _ := key.MarshalJSON() // a key that a test has made has a form
	a.AddJSON(encoded)
}

// AddJSON publishes a key as it is written, which may be none.
func (a *API) AddJSON(encoded json.RawMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.others = append(a.others, encoded)
}

// SetUser adds a user with public metadata, which may be of any type.
func (a *API) SetUser(id string, publicMetadata any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[id] = publicMetadata
}

// Fail answers every call with status, until it is 0.
func (a *API) Fail(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
}

// Hold lets calls wait until release is closed.
func (a *API) Hold(release <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hold = release
}

// Requests returns how often a path was asked for.
func (a *API) Requests(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests[path]
}

// ServeHTTP answers /jwks and /users/{id}.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hold, status := a.arrive(r)
	if hold != nil {
		<-hold
	}
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jwks", a.jwks)
	mux.HandleFunc("GET /users/{id}", a.user)
	mux.ServeHTTP(w, r)
}

// arrive counts the call and says how to answer it.
func (a *API) arrive(r *http.Request) (hold <-chan struct{}, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests[r.URL.Path]++
	if a.status == 0 && r.Header.Get("Authorization") != "Bearer "+a.secret {
		return a.hold, http.StatusUnauthorized
	}
	return a.hold, a.status
}

func (a *API) jwks(w http.ResponseWriter, _ *http.Request) {
	keys := slices.Clone(a.others) // before those that are good
	for _, key := range a.Keys() {
		encoded, _ := key.MarshalJSON()
		keys = append(keys, encoded)
	}
	answer(w, http.StatusOK, map[string]any{"keys": keys})
}

// Keys returns the public keys of the instances, as they are published.
func (a *API) Keys() []jose.JSONWebKey {
	keys := make([]jose.JSONWebKey, 0, len(a.keys))
	for _, i := range a.keys {
		keys = append(keys, jose.JSONWebKey{Key: &i.key.PublicKey, KeyID: i.keyID, Algorithm: "RS256", Use: "sig"})
	}
	return keys
}

func (a *API) user(w http.ResponseWriter, r *http.Request) {
	metadata, found := a.users[r.PathValue("id")]
	if !found {
		answer(w, http.StatusNotFound, map[string]any{"errors": []map[string]string{{"code": "resource_not_found"}}})
		return
	}
	answer(w, http.StatusOK, map[string]any{"id": r.PathValue("id"), "object": "user", "public_metadata": metadata})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
