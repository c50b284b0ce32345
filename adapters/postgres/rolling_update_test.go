package postgres_test

import (
	"errors"
	"testing"
	"time"

	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/session"
)

// While replicas are replaced, one of the version before writes sessions by its
// own rules: it knows nothing of holders, and keeps blocks with sessions.
func TestStore_BesideAnOlderReplica(t *testing.T) {
	t.Parallel()
	first := session.Must(session.ParseSignInID("sess_1"))
	by := func(signIn session.SignInID) session.Bearer {
		return session.Bearer{User: slot.User, Holder: session.Holder{SignIn: signIn}, Verified: time.Now()}
	}
	older := func(t *testing.T) (execute func(string), store func(signIn session.SignInID) (session.Session, error), id string) {
		t.Helper()
		url := pgtest.New(t)
		conn := pgtest.Open(t, pgtest.Login(t, url, "chatkit_service"))
		owner := pgtest.Open(t, url)
		id = addRow(t, owner, slot.User.String(), slot.Device.String(), "sign_in_id = 'sess_1', holder_sign_in_id = 'sess_1'")
		opened := open(t, url, 2)
		return func(statement string) { exec(t, conn, statement) }, func(signIn session.SignInID) (session.Session, error) {
			return opened.FindByID(t.Context(), slot.User, session.Must(session.ParseID(id)), by(signIn))
		}, id
	}
	t.Run("OpenedAgainByTheHolder", func(t *testing.T) {
		t.Parallel()
		execute, find, id := older(t)
		execute("UPDATE chatkit_sessions SET sign_in_id = 'sess_1' WHERE id = '" + id + "'")
		if got, err := find(first); err != nil || got.Holder().SignIn != first {
			t.Errorf("the holder is %q, %v", got.Holder().SignIn, err)
		}
	})
	t.Run("OpenedAgainByAnother", func(t *testing.T) {
		t.Parallel()
		execute, find, id := older(t)
		execute("UPDATE chatkit_sessions SET sign_in_id = 'sess_2' WHERE id = '" + id + "'")
		if got, err := find(first); err != nil || !got.Holder().SignIn.IsZero() {
			t.Errorf("the holder is %q, %v, want unknown", got.Holder().SignIn, err)
		}
	})
	t.Run("OpenedOnAGeneratedDeviceBesideNewOnes", func(t *testing.T) {
		t.Parallel()
		execute, find, _ := older(t)
		for _, device := range []string{"a", "b"} {
			execute(`INSERT INTO chatkit_sessions (id, clerk_user_id, device_id, device_generated, workflow_id, sign_in_id, token_hash, expires_at)
				VALUES (gen_random_uuid(), '` + slot.User.String() + `', '` + device + `', true, 'workflow_1', 'sess_1', sha256('` + device + `'), now() + interval '1 hour')`)
		}
		if _, err := find(first); err != nil {
			t.Error(err)
		}
	})
	t.Run("SignedOutAgainstItsSignIn", func(t *testing.T) {
		t.Parallel()
		execute, find, id := older(t)
		execute(`UPDATE chatkit_sessions SET status = 'revoked', ended_at = now(), end_reason = 'user', token_sealed = NULL, blocks_sign_in = true WHERE id = '` + id + "'")
		if _, err := find(first); !errors.Is(err, session.KindSignedOut) {
			t.Errorf("the sign-in is told %v, want signed out", err)
		}
		if _, err := find(session.Must(session.ParseSignInID("sess_2"))); err != nil {
			t.Errorf("another is told %v", err)
		}
	})
	t.Run("SignedOutAgainstASignInWithMoreSessions", func(t *testing.T) {
		t.Parallel()
		url := pgtest.New(t)
		conn, owner := pgtest.Open(t, pgtest.Login(t, url, "chatkit_service")), pgtest.Open(t, url)
		user := slot.User.String()
		id := addRow(t, owner, user, "laptop", "sign_in_id = 'sess_1', holder_sign_in_id = 'sess_1'")
		addRow(t, owner, user, "tablet", "sign_in_id = 'sess_1', holder_sign_in_id = 'sess_1'")
		addRow(t, owner, user, "phone", "sign_in_id = 'sess_2', holder_sign_in_id = 'sess_2'")
		addRow(t, owner, "user_2", "tablet", "sign_in_id = 'sess_3', holder_sign_in_id = 'sess_3'")
		exec(t, conn, `UPDATE chatkit_sessions SET status = 'revoked', ended_at = now(), end_reason = 'user', token_sealed = NULL, blocks_sign_in = true WHERE id = '`+id+"'")
		if got := scan[string](t, owner, "SELECT string_agg(sign_in_id, ' ' ORDER BY sign_in_id) FROM chatkit_sessions WHERE status = 'active'"); got != "sess_2 sess_3" {
			t.Errorf("%s have sessions, want sess_2 sess_3", got)
		}
		if got := scan[string](t, owner, "SELECT string_agg(type, ' ') FROM chatkit_activity WHERE clerk_user_id = '"+user+"'"); got != "revoked" {
			t.Errorf("recorded are %q", got)
		}
	})
}
