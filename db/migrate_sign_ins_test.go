package db_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/db"
)

// engine is a database of schema version 5, from before sign-ins were recorded.
type engine struct {
	conn *sql.DB
	up   func()
	// hash is the SQL of a hash of a text, text the SQL of an id as text.
	hash, text string
	// at returns the SQL of a time some hours after a fixed one.
	at func(hours int) string
}

func onPostgres(t *testing.T) engine {
	t.Helper()
	url := pgtest.Empty(t)
	pgtest.Script(t, url, version5)
	return engine{
		conn: pgtest.Open(t, url), up: func() { mustMigrate(t, url) }, hash: "sha256('%s')", text: "id::text",
		at: func(hours int) string { return fmt.Sprintf("timestamptz '2025-01-01Z' + interval '%d hours'", hours) },
	}
}

func onSQLite(t *testing.T) engine {
	t.Helper()
	conn, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "sessions.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	migrator, err := db.SQLite(conn)
	if err != nil {
		t.Fatal(err)
	}
	up := func() {
		if _, err := migrator.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	up()
	for range len(names(t, "sqlite")) - 5 {
		if err := migrator.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return engine{conn: conn, up: up, hash: "substr('%s' || hex(zeroblob(16)), 1, 32)", text: "id", at: func(hours int) string { return fmt.Sprint(hours) }}
}

// all returns the rows of a query with one text column, joined.
func (e engine) all(t *testing.T, query string) string {
	t.Helper()
	rows, err := e.conn.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "; ")
}

// The migration makes the sign-in that opened a session last its holder, keeps
// blocked sign-ins blocked, and ends their active sessions.
func TestMigrator_Up_MovesSignIns(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) engine{"PostgreSQL": onPostgres, "SQLite": onSQLite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := open(t)
			for _, row := range []struct {
				id, device, signIn, status, reason string
				created, ended                     int
				blocks                             bool
			}{
				{"1", "phone", "sess_a", "active", "", 2, 0, false},
				{"2", "laptop", "sess_a", "active", "", 1, 0, false},
				{"3", "tablet", "sess_b", "revoked", "user", 1, 5, true},
				{"4", "tablet", "sess_b", "revoked", "admin", 2, 4, true},
				{"5", "tablet", "sess_b", "active", "", 3, 0, false},
				{"6", "watch", "sess_c", "expired", "expired", 1, 2, false},
				{"7", "watch", "", "active", "", 1, 0, false},
			} {
				ended, reason := "NULL", "NULL"
				if row.ended > 0 {
					ended, reason = e.at(row.ended), "'"+row.reason+"'"
				}
				id := "0194f3a0-0000-7000-8000-00000000000" + row.id
				do(t, e.conn, fmt.Sprintf(`INSERT INTO chatkit_sessions (id, clerk_user_id, device_id, device_generated, workflow_id, sign_in_id, status, token_hash,
					expires_at, last_activity_at, created_at, updated_at, ended_at, end_reason, blocks_sign_in)
					VALUES ('%s', 'alice', '%s', false, 'w', '%s', '%s', CAST(`+e.hash+` AS %s), %s, %s, %s, %s, %s, %s, %s)`,
					id, row.device, row.signIn, row.status, row.id, map[bool]string{true: "bytea", false: "BLOB"}[name == "PostgreSQL"],
					e.at(99), e.at(row.created), e.at(row.created), e.at(row.created), ended, reason, map[bool]string{true: "true", false: "false"}[row.blocks]))
			}
			e.up()
			const holders = `SELECT substr(%s, 36) || ' ' || coalesce(holder_sign_in_id, '-') || ' ' || status || ' ' || coalesce(end_reason, '-') FROM chatkit_sessions ORDER BY id`
			want := "1 sess_a active -; 2 sess_a active -; 3 sess_b revoked user; 4 sess_b revoked admin; 5 sess_b revoked user; 6 sess_c expired expired; 7 - active -"
			if got := e.all(t, fmt.Sprintf(holders, e.text)); got != want {
				t.Errorf("the sessions' holders are\n%s\nwant\n%s", got, want)
			}
			signIns := fmt.Sprintf(`SELECT sign_in_id || CASE WHEN first_seen_at = verified_at THEN '' ELSE '?' END
				|| CASE first_seen_at WHEN %s THEN ' 1' ELSE ' later' END || CASE WHEN blocked_at IS NULL THEN '' WHEN blocked_at = %s THEN ' blocked 4' ELSE ' blocked' END
				FROM chatkit_sign_ins ORDER BY sign_in_id`, e.at(1), e.at(4))
			if got := e.all(t, signIns); got != "sess_a 1; sess_b 1 blocked 4" {
				t.Errorf("the recorded sign-ins are %s", got)
			}
			if got := e.all(t, "SELECT type || ' ' || clerk_user_id FROM chatkit_activity"); got != "revoked alice" {
				t.Errorf("the activity is %s", got)
			}
		})
	}
}

// A database in which an older replica blocked a sign-in and left it a session
// loses that session, and no other.
func TestMigrator_Up_EndsWhatBlockedSignInsHold(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	conn := pgtest.Open(t, url)
	migrator, err := db.Postgres(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrator.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n, row := range []string{"'alice', 'phone', 'sess_blocked'", "'alice', 'laptop', 'sess_other'", "'bob', 'phone', 'sess_blocked'"} {
		do(t, conn, fmt.Sprintf(`INSERT INTO chatkit_sessions (id, clerk_user_id, device_id, sign_in_id, holder_sign_in_id, workflow_id, token_hash, expires_at)
			SELECT gen_random_uuid(), v.u, v.d, v.s, v.s, 'w', sha256('%d'), now() + interval '1 hour' FROM (VALUES (%s)) v(u, d, s)`, n, row))
	}
	do(t, conn, `INSERT INTO chatkit_sign_ins (clerk_user_id, sign_in_id, first_seen_at, verified_at, blocked_at) VALUES ('alice', 'sess_blocked', now(), now(), now())`)
	mustMigrate(t, url)
	e := engine{conn: conn}
	if got := e.all(t, `SELECT clerk_user_id || ' ' || device_id || ' ' || status FROM chatkit_sessions ORDER BY clerk_user_id, device_id`); got != "alice laptop active; alice phone revoked; bob phone active" {
		t.Errorf("the sessions are %s", got)
	}
	if got := e.all(t, "SELECT type || ' ' || clerk_user_id FROM chatkit_activity"); got != "revoked alice" {
		t.Errorf("the activity is %s", got)
	}
}
