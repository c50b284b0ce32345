package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/core/session"
)

const (
	insufficientPrivilege = "42501"
	invalidText           = "22P02" // of an enum, or JSON
	checkViolation        = "23514"
)

// sqlState returns the SQLSTATE of err, empty when it has none.
func sqlState(err error) string {
	var e *pq.Error
	if errors.As(err, &e) {
		return string(e.Code)
	}
	return ""
}

// addRow inserts a session by hand, as the owner.
func addRow(t testing.TB, conn *sql.DB, user, device string, more string) string {
	t.Helper()
	var id string
	err := conn.QueryRowContext(t.Context(), `INSERT INTO chatkit_sessions (id, clerk_user_id, device_id, workflow_id, token_hash, token_sealed, expires_at)
		VALUES (gen_random_uuid(), $1, $2, 'workflow_1', sha256(random()::text::bytea), '\x01', now() + interval '1 hour') RETURNING id`, user, device).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	if more != "" {
		exec(t, conn, "UPDATE chatkit_sessions SET "+more+" WHERE id = '"+id+"'")
	}
	return id
}

func exec(t testing.TB, conn *sql.DB, statement string) {
	t.Helper()
	if _, err := conn.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// scan runs a query for one value.
func scan[T any](t testing.TB, conn *sql.DB, query string, args ...any) T {
	t.Helper()
	var value T
	if err := conn.QueryRowContext(t.Context(), query, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

const setClaims = `SELECT set_config('request.jwt.claims', $1, false)`

// A login that is only a reader sees its own rows, without tokens, and changes
// nothing; on a connection that others used before, too.
func TestRowLevelSecurity_Reader(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	owner := pgtest.Open(t, url)
	addRow(t, owner, "user_alice", "phone", "")
	addRow(t, owner, "user_bob", "phone", "")
	exec(t, owner, "INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at) SELECT clerk_user_id, id, 'created', now() FROM chatkit_sessions")
	reader := pgtest.Open(t, pgtest.Login(t, url, "chatkit_reader"))
	reader.SetMaxOpenConns(1) // claims stay on the one connection

	const visible = "SELECT coalesce(string_agg(clerk_user_id, ' '), '') FROM "
	sees := func(want string) {
		t.Helper()
		for _, table := range []string{"chatkit_sessions", "chatkit_activity"} {
			if got := scan[string](t, reader, visible+table); got != want {
				t.Errorf("sees %q of %s, want %q", got, table, want)
			}
		}
	}
	sees("") // no claims were ever set
	for claims, want := range map[string]string{
		`{"sub":"user_alice"}`: "user_alice",
		`{"sub":"user_bob"}`:   "user_bob",
		`{"sub":"user_carol"}`: "",
		`{"sub":null}`:         "",
		`{"role":"admin"}`:     "",
		`[]`:                   "",
		``:                     "",
	} {
		scan[string](t, reader, setClaims, claims)
		sees(want)
	}
	scan[string](t, reader, setClaims, `not JSON`)
	if _, err := reader.ExecContext(t.Context(), visible+"chatkit_activity"); sqlState(err) != invalidText {
		t.Errorf("with claims that are not JSON: %v", err)
	}

	scan[string](t, reader, setClaims, `{"sub":"user_alice"}`)
	for _, forbidden := range []string{
		"SELECT token_hash FROM chatkit_sessions", "SELECT token_sealed FROM chatkit_sessions",
		"SELECT previous_token_hash FROM chatkit_sessions", "SELECT sign_in_id FROM chatkit_sessions", "SELECT * FROM chatkit_sessions",
		"UPDATE chatkit_sessions SET status = 'active'", "UPDATE chatkit_sessions SET metadata = '{}'",
		"DELETE FROM chatkit_sessions", "TRUNCATE chatkit_sessions", "SELECT id FROM chatkit_sessions FOR UPDATE",
		"INSERT INTO chatkit_sessions (id) VALUES (gen_random_uuid())", "SELECT offer_hash FROM chatkit_sessions",
		"INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at) VALUES ('user_alice', gen_random_uuid(), 'created', now())",
		"UPDATE chatkit_activity SET type = 'created'", "DELETE FROM chatkit_activity", "SELECT * FROM chatkit_usage",
		"SELECT holder_sign_in_id FROM chatkit_sessions", "SELECT * FROM chatkit_sign_ins", "DELETE FROM chatkit_sign_ins",
		"SELECT cleanup_expired_chatkit_sessions()", "DROP TABLE chatkit_sessions", "ALTER TABLE chatkit_sessions DISABLE ROW LEVEL SECURITY",
		"SET ROLE chatkit_service",
	} {
		if _, err := reader.ExecContext(t.Context(), forbidden); sqlState(err) != insufficientPrivilege {
			t.Errorf("%s: %v, want insufficient privilege", forbidden, err)
		}
	}
}

// A login with every right that a careless operator may grant still sees and
// changes nobody else's rows: the policies hold, not only the grants.
func TestRowLevelSecurity_CarelessGrants(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	owner := pgtest.Open(t, url)
	addRow(t, owner, "user_alice", "phone", "")
	revoked := addRow(t, owner, "user_bob", "phone", "status = 'revoked', ended_at = now(), end_reason = 'user', token_sealed = NULL")
	hostile := pgtest.Open(t, pgtest.Login(t, url))
	hostile.SetMaxOpenConns(1)
	if _, err := hostile.ExecContext(t.Context(), "SELECT id FROM chatkit_sessions"); sqlState(err) != insufficientPrivilege {
		t.Errorf("a login with no role reads: %v", err)
	}
	login := scan[string](t, hostile, "SELECT current_user::text")
	exec(t, owner, "INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at) SELECT clerk_user_id, id, 'created', now() FROM chatkit_sessions")
	exec(t, owner, "INSERT INTO chatkit_usage VALUES (now(), 1, 1)")
	exec(t, owner, "INSERT INTO chatkit_sign_ins VALUES ('user_bob', 'sess_1', '', now(), now(), now())")
	const all = "chatkit_sessions, chatkit_activity, chatkit_usage, chatkit_sign_ins"
	exec(t, owner, "GRANT ALL ON "+all+" TO "+login)
	t.Cleanup(func() { // a role with grants cannot be dropped
		if _, err := owner.ExecContext(context.WithoutCancel(t.Context()), "REVOKE ALL ON "+all+" FROM "+login); err != nil {
			t.Error(err)
		}
	})
	scan[string](t, hostile, setClaims, `{"sub":"user_bob"}`)
	for table, want := range map[string]int{"chatkit_sessions": 1, "chatkit_activity": 1, "chatkit_usage": 0, "chatkit_sign_ins": 0} {
		if got := scan[int](t, hostile, "SELECT count(*) FROM "+table); got != want {
			t.Errorf("sees %d rows of %s", got, table)
		}
	}
	for _, statement := range []string{
		"UPDATE chatkit_sessions SET status = 'active', ended_at = NULL, end_reason = NULL", "DELETE FROM chatkit_sessions",
		"UPDATE chatkit_activity SET type = 'created'", "DELETE FROM chatkit_activity", "UPDATE chatkit_usage SET opens = 0", "DELETE FROM chatkit_usage",
		"UPDATE chatkit_sign_ins SET blocked_at = NULL", "DELETE FROM chatkit_sign_ins",
	} {
		result, err := hostile.ExecContext(t.Context(), statement)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := result.RowsAffected(); n != 0 {
			t.Errorf("%s changes %d rows", statement, n)
		}
	}
	_, err := hostile.ExecContext(t.Context(), `INSERT INTO chatkit_sessions (id, clerk_user_id, device_id, workflow_id, token_hash, expires_at)
		VALUES (gen_random_uuid(), 'user_bob', 'x', 'w', sha256('x'), now() + interval '1 hour')`)
	if sqlState(err) != insufficientPrivilege {
		t.Errorf("inserts: %v", err)
	}
	if got := scan[string](t, owner, "SELECT status::text FROM chatkit_sessions WHERE id = $1", revoked); got != "revoked" {
		t.Errorf("the revoked session is %s", got)
	}
}

// The service's role has no DDL and cannot get around row-level security.
func TestRoles_ServiceHasNoDDL(t *testing.T) {
	t.Parallel()
	service := pgtest.Open(t, pgtest.Login(t, pgtest.New(t), "chatkit_service"))
	for _, forbidden := range []string{
		"DROP TABLE chatkit_sessions", "ALTER TABLE chatkit_sessions ADD COLUMN x text", "TRUNCATE chatkit_sessions",
		"ALTER TABLE chatkit_sessions DISABLE ROW LEVEL SECURITY", "DROP POLICY chatkit_sessions_own ON chatkit_sessions",
		"CREATE INDEX ON chatkit_sessions (status)", "DROP FUNCTION cleanup_expired_chatkit_sessions(timestamptz, integer)",
		"DELETE FROM chatkit_session_migrations", "CREATE TABLE mine (x text)",
		"UPDATE chatkit_activity SET type = 'created'", "TRUNCATE chatkit_activity", "DROP TABLE chatkit_activity", "DELETE FROM chatkit_usage",
	} {
		if _, err := service.ExecContext(t.Context(), forbidden); sqlState(err) != insufficientPrivilege {
			t.Errorf("%s: %v, want insufficient privilege", forbidden, err)
		}
	}
}

func TestSchema_UpdatedAtTrigger(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	id := addRow(t, conn, "user_alice", "phone", "updated_at = '2020-01-01Z'")
	const updatedAt = "SELECT updated_at FROM chatkit_sessions WHERE id = $1"
	if got := scan[time.Time](t, conn, updatedAt, id); got.Year() != 2020 {
		t.Errorf("the trigger does not yield to the statement's value: %s", got)
	}
	exec(t, conn, "UPDATE chatkit_sessions SET metadata = '{}'")
	if got := scan[time.Time](t, conn, updatedAt, id); got.Year() == 2020 {
		t.Error("the trigger does not set updated_at")
	}
}

func TestSchema_RefusesNonsense(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	addRow(t, conn, "user_alice", "phone", "")
	for assignment, want := range map[string]string{
		"status = 'paused'":  invalidText,
		"status = 'expired'": checkViolation, // without when and why
		"status = 'expired', ended_at = now(), end_reason = 'expired'": checkViolation, // with its sealed token
		"ended_at = now()":              checkViolation,
		"token_hash = '\\x01'":          checkViolation,
		"metadata = '[]'":               checkViolation,
		"previous_token_hash = '\\x01'": checkViolation,
	} {
		if _, err := conn.ExecContext(t.Context(), "UPDATE chatkit_sessions SET "+assignment); sqlState(err) != want {
			t.Errorf("%s: %v, want %s", assignment, err, want)
		}
	}
}

func TestSchema_RefusesNonsenseActivity(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	for _, values := range []string{"'paused', '{}'", "'created', '[]'"} {
		_, err := conn.ExecContext(t.Context(), "INSERT INTO chatkit_activity (clerk_user_id, session_id, at, type, detail) VALUES ('user_alice', gen_random_uuid(), now(), "+values+")")
		if sqlState(err) != checkViolation {
			t.Errorf("%s: %v, want %s", values, err, checkViolation)
		}
	}
}

func TestSchema_CleanupFunction(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	for n := range 5 {
		addRow(t, conn, "user_alice", fmt.Sprint("device_", n), "expires_at = now() - interval '1 minute'")
	}
	addRow(t, conn, "user_alice", "phone", "")
	const byHand = "SELECT cleanup_expired_chatkit_sessions(%s)"
	if got := scan[int](t, conn, fmt.Sprintf(byHand, "p_limit => 2")); got != 2 {
		t.Errorf("a batch of two ended %d", got)
	}
	if got := scan[int](t, conn, fmt.Sprintf(byHand, "now() - interval '1 hour'")); got != 0 {
		t.Errorf("an hour ago %d were due", got)
	}
	if got := scan[int](t, conn, fmt.Sprintf(byHand, "")); got != 3 {
		t.Errorf("with its defaults it ended %d", got)
	}
	const ended = "SELECT count(*) FROM chatkit_sessions WHERE status = 'expired' AND end_reason = 'expired' AND ended_at IS NOT NULL AND token_sealed IS NULL"
	if got := scan[int](t, conn, ended); got != 5 {
		t.Errorf("%d rows are as an expired one should be", got)
	}
	if got := scan[int](t, conn, "SELECT count(*) FROM chatkit_activity a JOIN chatkit_sessions s ON s.id = a.session_id WHERE a.type = 'expired' AND a.at = s.ended_at"); got != 5 {
		t.Errorf("%d of them are in timelines", got)
	}
}

func TestSchema_HasCommentsAndIndexes(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	for _, table := range []string{"chatkit_sessions", "chatkit_activity", "chatkit_usage", "chatkit_sign_ins"} {
		const bare = `SELECT coalesce(string_agg(attname, ' '), '') FROM pg_attribute
			WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL`
		if got := scan[string](t, conn, bare, table); got != "" {
			t.Errorf("columns of %s without a comment: %s", table, got)
		}
		if got := scan[sql.NullString](t, conn, "SELECT obj_description($1::regclass)", table); !got.Valid {
			t.Errorf("%s has no comment", table)
		}
	}
	indexes := scan[string](t, conn, "SELECT string_agg(indexdef, E'\\n') FROM pg_indexes WHERE tablename = 'chatkit_sessions'")
	for _, want := range []string{
		"INDEX idx_chatkit_sessions_user_status ON", "UNIQUE INDEX idx_chatkit_sessions_token ON", "INDEX idx_chatkit_sessions_device ON",
		"INDEX idx_chatkit_sessions_expires_at ON", "UNIQUE INDEX idx_chatkit_sessions_active_place ON", "UNIQUE INDEX idx_chatkit_sessions_active_unnamed ON",
	} {
		if !strings.Contains(indexes, want) {
			t.Errorf("no %s in\n%s", want, indexes)
		}
	}
}

// Noting use touches no index.
func TestSchema_TouchIsAHotUpdate(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	conn, store := pgtest.Open(t, url), open(t, url, 1)
	conn.SetMaxOpenConns(1)
	var uses []session.Use
	for n := range 20 {
		id := session.Must(session.ParseID(addRow(t, conn, "user_alice", fmt.Sprint("device_", n), "")))
		uses = append(uses, session.Use{Session: id, At: time.Now(), Opens: 1, Checks: 1, Source: session.NewSource(netip.MustParseAddr("192.0.2.1"), session.NewClient("Firefox 133", "Linux", "desktop"))})
	}
	if _, err := store.Touch(t.Context(), uses[3:4]); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil { // which reports what its connection did
		t.Fatal(err)
	}
	exec(t, conn, "SELECT pg_stat_force_next_flush()")
	const counted = "SELECT n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'chatkit_sessions'"
	got := ""
	for range 100 { // until the server has heard of it
		exec(t, conn, "SELECT pg_stat_clear_snapshot()")
		if got = scan[string](t, conn, counted); got != "0 0" {
			break
		}
		exec(t, conn, "SELECT pg_sleep(0.05)")
	}
	if got != "1 1" {
		t.Errorf("updates and HOT updates: %s", got)
	}
}
