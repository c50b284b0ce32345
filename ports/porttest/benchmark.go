package porttest

import (
	"testing"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// SessionsBenchmark measures the store calls of opening a session: Find, the only
// one when it is reused, and Update with one written row, most of the work when it
// is refreshed.
func SessionsBenchmark(b *testing.B, store ports.Store) {
	b.Helper()
	bench := &bench{one: store, ids: newIdentifiers()}
	slot := session.Slot{User: alice, Workflow: chat, Device: phone}
	bench.insert(b, bench.draft(slot))
	b.Run("Find", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := store.Find(b.Context(), slot, signIn); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Update", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := rotate(b, bench.ids, store, slot); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// rotate gives the session a new token.
func rotate(b *testing.B, ids ports.Identifiers, store ports.SessionStore, slot session.Slot) error {
	b.Helper()
	return change(b.Context(), store, slot, func(s *session.Session) {
		token := session.Must(ids.Token())
		s.Rotate(session.Credential{Hash: token.Hash(), Sealed: []byte("sealed")}, noon, s.ExpiresAt(), noon)
	})
}
