package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	"chatkit-session/core/session"
)

// Introspection names the client, so that what looks at networks is part of what
// is measured; a user's is always the same one and nobody else's, so that what
// it looks at is normal.
func TestPlayer_IntrospectNamesTheClient(t *testing.T) {
	t.Parallel()
	networks := map[string]map[session.Network]bool{} // by token
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		address, err := netip.ParseAddr(r.PostFormValue("client_ip"))
		if err != nil {
			t.Errorf("the body has %v: %v", r.PostForm, err)
		}
		token := r.PostFormValue("token")
		if networks[token] == nil {
			networks[token] = map[session.Network]bool{}
		}
		networks[token][session.Source{Address: address}.Network()] = true
	}))
	t.Cleanup(server.Close)
	u, err := parseTarget(server.URL, false)
	if err != nil {
		t.Fatal(err)
	}
	s := &workload{to: u, key: "any", users: &userPool{prefix: measuredUsers}, held: []held{{token: "a"}, {token: "b"}}}
	s.users.credentials = make([]atomic.Pointer[string], len(s.held))
	p := s.worker(kindIntrospect)
	defer p.conn.close()
	for range 100 { // of users at random
		_ = p.send(t.Context(), 0) // an answer without a body is a wrong one
	}
	all := map[session.Network]bool{}
	for token, of := range networks {
		if len(of) != 1 {
			t.Errorf("%s is used from %v", token, of)
		}
		maps.Copy(all, of)
	}
	if len(networks) != 2 || len(all) != 2 {
		t.Errorf("%d tokens are used from %d networks, want 2 from 2", len(networks), len(all))
	}
}

// However many users there are, each has a network.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	seen := map[session.Network]bool{}
	for _, i := range []int{0, 1, 255, 256, 1<<16 - 1, 1 << 16, 1<<16 + 1, mostUsers - 1} {
		address, err := netip.ParseAddr(clientAddress(i))
		network := session.Source{Address: address}.Network()
		if err != nil || seen[network] || !netip.MustParsePrefix("2001:db8::/32").Contains(address) {
			t.Errorf("user %d is at %s, %v", i, clientAddress(i), err)
		}
		seen[network] = true
	}
}
