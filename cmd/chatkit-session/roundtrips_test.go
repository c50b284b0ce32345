package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
)

// How often a request waits for PostgreSQL, on a connection that knows the
// prepared statements. Who adds a statement must change a number here, and say
// why it is worth the time.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, pgtest.New(t))
	opened, err := postgres.Open(t.Context(), postgres.Config{URL: proxy.URL, MaxConnections: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	s := onStore(t, opened, "INTROSPECTION_KEYS="+backendKey, "CHATKIT_MAX_SESSIONS=3")
	mine := s.credential(t, "user_alice", "member")
	var held, before answer // what was opened last, and what before that
	ask := func(want int, method, path, credential, body string, headers ...string) func() {
		return func() {
			if status, answered := s.send(t, method, path, credential, body, headers...); status != want {
				t.Fatalf("%s %s = %d %s", method, path, status, answered)
			}
		}
	}
	open := func(outcome, body string) func() {
		return func() {
			before = held
			if held = s.open(t, "user_alice", body); held.Outcome != outcome {
				t.Fatalf("outcome %s, want %s", held.Outcome, outcome)
			}
		}
	}
	s.open(t, "user_bob", `{}`) // warms the connection up
	for _, request := range []struct {
		name string
		want int
		do   func()
	}{
		{"open, created", 6, open("created", `{"deviceId":"laptop"}`)},
		{"open, created on a generated device", 6, open("created", `{}`)},
		{"open, created", 6, open("created", `{"deviceId":"phone"}`)},
		{"open, reused", 1, open("reused", `{"deviceId":"phone"}`)},
		{"open, reused on a generated device", 1, open("reused", `{}`)},
		{"open, reused, with its own token shown", 1, func() {
			ask(http.StatusOK, http.MethodPost, "/session", mine, `{}`, "X-ChatKit-Token", held.Session.ChatKitSessionID)()
		}},
		{"open, reused with other metadata", 6, open("reused", `{"deviceId":"phone","metadata":{"a":1}}`)},
		{"verify", 1, func() {
			ask(http.StatusNoContent, http.MethodGet, "/session/verify", held.Session.ChatKitSessionID, "")()
		}},
		{"introspect", 1, func() {
			ask(http.StatusOK, http.MethodPost, "/session/introspect", backendKey, "token="+held.Session.ChatKitSessionID, "Content-Type", "application/x-www-form-urlencoded")()
		}},
		// Also looked for among the tokens from before a refresh.
		{"verify a token that nobody has", 2, ask(http.StatusUnauthorized, http.MethodGet, "/session/verify", "550e8400-e29b-41d4-a716-446655440000", "")},
		// After one of them, both are looked for in one.
		{"verify another", 1, ask(http.StatusUnauthorized, http.MethodGet, "/session/verify", "550e8400-e29b-41d4-a716-446655440001", "")},
		{"verify a good one after it", 1, func() {
			ask(http.StatusNoContent, http.MethodGet, "/session/verify", held.Session.ChatKitSessionID, "")()
		}},
		// Planned anew each time, which is a round trip of its own.
		{"list", 2, ask(http.StatusOK, http.MethodGet, "/sessions", mine, "")},
		{"show", 1, func() { ask(http.StatusOK, http.MethodGet, "/sessions/"+held.Session.ID, mine, "")() }},
		{"timeline", 2, ask(http.StatusOK, http.MethodGet, "/activity", mine, "")},
		{"revoke", 6, func() { ask(http.StatusNoContent, http.MethodDelete, "/sessions/"+held.Session.ID, mine, "")() }},
		{"revoke again", 5, func() { ask(http.StatusNoContent, http.MethodDelete, "/sessions/"+held.Session.ID, mine, "")() }},
		{"open, reused", 1, open("reused", `{"deviceId":"laptop"}`)},
		{"open, refreshed", 6, func() {
			s.clock.advance(23*time.Hour + 30*time.Minute)
			open("refreshed", `{"deviceId":"laptop"}`)()
		}},
		{"verify the token from before", 2, func() {
			ask(http.StatusNoContent, http.MethodGet, "/session/verify", before.Session.ChatKitSessionID, "")()
		}},
		{"open, created", 6, open("created", `{"deviceId":"tablet"}`)},
		{"open, created, which ends another", 6, open("created", `{"deviceId":"watch"}`)},
		{"revoke all", 5, func() {
			ask(http.StatusOK, http.MethodDelete, "/sessions", s.credential(t, "user_alice", "member"), "")()
		}},
	} {
		proxy.Take()
		request.do()
		if said := proxy.Take(); said.RoundTrips != request.want {
			t.Errorf("%s takes %d round trips, want %d:", request.name, said.RoundTrips, request.want)
			for _, statement := range said.Ran {
				t.Logf("%.80s", statement.Text)
			}
		}
	}
}

// Within the lease a token that was checked is checked again without PostgreSQL,
// by either way. A round that took longer than the lease proves nothing and is
// made again, with a session that nobody has asked about.
func TestRoundTrips_FromMemory(t *testing.T) {
	t.Parallel()
	const lease = 5 * time.Second
	proxy := pgtest.NewProxy(t, pgtest.New(t))
	opened, err := postgres.Open(t.Context(), postgres.Config{URL: proxy.URL, MaxConnections: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	s := onStore(t, opened, "INTROSPECTION_KEYS="+backendKey, "CHATKIT_CACHE_LEASE="+lease.String(), "CHATKIT_CACHE_SESSIONS=100")
	for name, check := range map[string]func(token string){
		"verify": func(token string) {
			if status, answered := s.send(t, http.MethodGet, "/session/verify", token, ""); status != http.StatusNoContent {
				t.Fatalf("verify = %d %s", status, answered)
			}
		},
		"introspect": func(token string) {
			status, answered := s.send(t, http.MethodPost, "/session/introspect", backendKey, "token="+token, "Content-Type", "application/x-www-form-urlencoded")
			if status != http.StatusOK || !strings.Contains(answered, `"active":true`) {
				t.Fatalf("introspect = %d %s", status, answered)
			}
		},
	} {
		deadline := time.Now().Add(patience)
		for again := 0; ; again++ {
			token := s.open(t, fmt.Sprint("user_", name, again), "").Session.ChatKitSessionID
			began := time.Now()
			proxy.Take()
			check(token)
			first := proxy.Take().RoundTrips
			check(token)
			second := proxy.Take().RoundTrips
			if second > 0 && time.Since(began) >= lease && time.Now().Before(deadline) {
				continue
			}
			if first == 0 || second > 0 {
				t.Errorf("%s takes %d round trips and then %d, want some and then none", name, first, second)
			}
			break
		}
	}
	s.metric(t, `chatkit_token_looks_total{by="memory"}`, "2")
}
