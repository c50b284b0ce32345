package db_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pressly/goose/v3/lock"

	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/db"
)

// migrateVariable makes this test binary a process that migrates once its standard
// input ends, and exits.
const migrateVariable = "CHATKIT_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateVariable); url != "" {
		if err := migrateAtSignal(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	pgtest.Main(m)
}

// migrateAtSignal prints a line when it is ready and migrates when its input ends.
func migrateAtSignal(url string) error {
	fmt.Println("ready") //nolint:forbidigo // to the test that started this process
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return migrate(url)
}

func migrate(url string) error {
	conn, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	migrator, err := db.Postgres(conn)
	if err != nil {
		return err
	}
	_, err = migrator.Up(context.Background())
	return err
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("migrations", folder))
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(entries))
	for i, entry := range entries {
		list[i] = entry.Name()
	}
	return list
}

func TestMigrations_HaveEqualVersions(t *testing.T) {
	t.Parallel()
	if one, two := names(t, "postgres"), names(t, "sqlite"); !slices.Equal(one, two) || len(one) == 0 {
		t.Errorf("postgres has %v, sqlite has %v", one, two)
	}
}

func TestMigrator_UpDownUp(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) (*sql.DB, *db.Migrator){
		"PostgreSQL": func(t *testing.T) (*sql.DB, *db.Migrator) {
			t.Helper()
			conn := pgtest.Open(t, pgtest.Empty(t))
			migrator, err := db.Postgres(conn)
			if err != nil {
				t.Fatal(err)
			}
			return conn, migrator
		},
		"SQLite": func(t *testing.T) (*sql.DB, *db.Migrator) {
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
			return conn, migrator
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, migrator := open(t)
			all := len(names(t, "postgres"))
			up := func(what string, want int) {
				t.Helper()
				if got, err := migrator.Up(t.Context()); err != nil || got != want {
					t.Errorf("%s: Up applied %d migrations, want %d: %v", what, got, want, err)
				}
				if _, err := conn.ExecContext(t.Context(), "SELECT count(*) FROM chatkit_sessions"); err != nil {
					t.Errorf("%s: read chatkit_sessions: %v", what, err)
				}
			}
			up("up", all)
			up("up again", 0)
			for range all {
				if err := migrator.Down(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := conn.ExecContext(t.Context(), "SELECT count(*) FROM chatkit_sessions"); err == nil {
				t.Error("chatkit_sessions exists after every migration was reverted")
			}
			up("up after down", all)
		})
	}
}

// A replica that knows fewer migrations than the database has starts.
func TestMigrator_Up_NewerSchema(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	if _, err := conn.ExecContext(t.Context(), "INSERT INTO chatkit_session_migrations (version_id, is_applied) VALUES (999, true)"); err != nil {
		t.Fatal(err)
	}
	migrator, err := db.Postgres(conn)
	if err != nil {
		t.Fatal(err)
	}
	if applied, err := migrator.Up(t.Context()); err != nil || applied != 0 {
		t.Errorf("Up = %d, %v", applied, err)
	}
}

func TestMigrator_Up_ThreeProcessesAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("Empty", func(t *testing.T) {
		t.Parallel()
		migrateAtOnce(t, pgtest.Empty(t))
	})
	// The version table exists already, so that no process waits to create it.
	t.Run("Reverted", func(t *testing.T) {
		t.Parallel()
		url := pgtest.New(t)
		migrator, err := db.Postgres(pgtest.Open(t, url))
		if err != nil {
			t.Fatal(err)
		}
		for range names(t, "postgres") {
			if err := migrator.Down(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		migrateAtOnce(t, url)
	})
}

// A replica waits long enough for a migration that builds indexes of large tables.
// When the wait ends, the error says what it waited for.
func TestMigrator_Up_WaitsForAnother(t *testing.T) {
	t.Parallel()
	if db.LockWait < 15*60 {
		t.Errorf("replicas wait %d s for the lock, want at least 15 minutes", db.LockWait)
	}
	url := pgtest.Empty(t)
	holder, err := pgtest.Open(t, url).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close() //nolint:errcheck // with its database
	if _, err := holder.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", lock.DefaultLockID); err != nil {
		t.Fatal(err)
	}
	migrator, err := db.PostgresWaiting(pgtest.Open(t, url), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "waited 1 s for another process that is migrating") {
		t.Errorf("while another process migrates, Up = %v", err)
	}
	if _, err := holder.ExecContext(t.Context(), "SELECT pg_advisory_unlock($1)", lock.DefaultLockID); err != nil {
		t.Fatal(err)
	}
	if applied, err := migrator.Up(t.Context()); err != nil || applied == 0 {
		t.Errorf("after the other process ended, Up = %d, %v", applied, err)
	}
}

// migrateAtOnce migrates in three processes at the same time and expects all to
// succeed.
func migrateAtOnce(t *testing.T, url string) {
	t.Helper()
	hold, release, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close() //nolint:errcheck // it is read only
	var group sync.WaitGroup
	for range 3 {
		var complaint bytes.Buffer
		command := exec.CommandContext(t.Context(), os.Args[0])
		command.Env = append(os.Environ(), migrateVariable+"="+url)
		command.Stdin, command.Stderr = hold, &complaint
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = bufio.NewReader(output).ReadString('\n') // until it is ready
		group.Go(func() {
			if err := command.Wait(); err != nil {
				t.Errorf("%v\n%s", err, &complaint)
			}
		})
	}
	if err := release.Close(); err != nil { // all of them start now
		t.Fatal(err)
	}
	group.Wait()
	var versions int
	err = pgtest.Open(t, url).QueryRowContext(t.Context(), "SELECT count(*) FROM chatkit_session_migrations WHERE version_id > 0").Scan(&versions)
	if err != nil || versions != len(names(t, "postgres")) {
		t.Errorf("%d versions are recorded, want %d: %v", versions, len(names(t, "postgres")), err)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	for range 2 {
		pgtest.Script(t, url, "roles.sql", "DATABASE_PASSWORD=it's a test")
	}
	var member bool
	err := pgtest.Open(t, url).QueryRowContext(t.Context(), "SELECT pg_has_role('chatkit', 'chatkit_service', 'member')").Scan(&member)
	if err != nil || !member {
		t.Errorf("chatkit is a member of chatkit_service = %v, %v, want true", member, err)
	}
}

// Beside Supabase's roles, an owner that may not grant roles can migrate, because
// roles.sql has granted them.
func TestMigrator_Up_BesideSupabaseRoles(t *testing.T) { //nolint:paralleltest // the role is the whole server's
	admin := pgtest.Open(t, pgtest.Empty(t))
	if _, err := admin.ExecContext(t.Context(), "CREATE ROLE authenticated NOLOGIN"); err == nil { // else the server has one of its own
		t.Cleanup(func() {
			if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), "DROP ROLE authenticated"); err != nil {
				t.Error(err)
			}
		})
	}
	url := pgtest.Empty(t)
	pgtest.Script(t, url, "roles.sql")
	owner := pgtest.Login(t, url)
	conn := pgtest.Open(t, url)
	var name string
	if err := pgtest.Open(t, owner).QueryRowContext(t.Context(), "SELECT current_user").Scan(&name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = conn.ExecContext(context.WithoutCancel(t.Context()), "DROP OWNED BY "+name) })
	if _, err := conn.ExecContext(t.Context(), "GRANT CREATE ON SCHEMA public TO "+name); err != nil {
		t.Fatal(err)
	}
	if err := migrate(owner); err != nil {
		t.Fatal(err)
	}
	var reads bool
	err := conn.QueryRowContext(t.Context(), "SELECT has_column_privilege('authenticated', 'chatkit_sessions', 'device_id', 'SELECT')").Scan(&reads)
	if err != nil || !reads {
		t.Errorf("Supabase's role authenticated may read device_id = %v, %v, want true", reads, err)
	}
}

// oldSchema is the table of earlier services, which stored clear tokens.
const oldSchema = `
CREATE TYPE session_status AS ENUM ('active', 'expired', 'revoked');
CREATE TABLE chatkit_sessions (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	clerk_user_id text NOT NULL, device_id text NOT NULL, session_token text NOT NULL, workflow_id text NOT NULL,
	status session_status NOT NULL DEFAULT 'active', expires_at timestamptz NOT NULL, metadata jsonb DEFAULT '{}',
	last_activity_at timestamptz DEFAULT now(), created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE INDEX idx_chatkit_sessions_user_status ON chatkit_sessions (clerk_user_id, status);
CREATE UNIQUE INDEX idx_chatkit_sessions_token ON chatkit_sessions (session_token);
CREATE INDEX idx_chatkit_sessions_device ON chatkit_sessions (device_id);
CREATE INDEX idx_chatkit_sessions_expires_at ON chatkit_sessions (expires_at);
CREATE FUNCTION cleanup_expired_chatkit_sessions() RETURNS integer LANGUAGE sql AS 'SELECT 0';
INSERT INTO chatkit_sessions (clerk_user_id, device_id, session_token, workflow_id, expires_at, created_at, metadata, status) VALUES
	('alice', 'phone', 'clear-1', 'w', now() + interval '1 hour', now() - interval '2 hours', '{"v":1}', 'active'),
	('alice', 'phone', 'clear-2', 'w', now() + interval '1 hour', now() - interval '1 hour', '[]', 'active'),
	('alice', 'device_alice_1', 'clear-3', 'w', now() + interval '1 hour', now() - interval '2 hours', '{"v":[1e400]}', 'active'),
	('alice', 'device_alice_2', 'clear-4', 'w', now() + interval '1 hour', now() - interval '1 hour', '{"v":4}', 'active'),
	('alice', 'old', 'clear-5', 'w', now() - interval '1 hour', now() - interval '2 days', '{}', 'active'),
	('bob', 'phone', 'clear-6', 'w', now() + interval '1 hour', now(), '{}', 'revoked');`

func TestMoveFromClearTokens(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	conn := pgtest.Open(t, url)
	if _, err := conn.ExecContext(t.Context(), oldSchema); err != nil {
		t.Fatal(err)
	}
	pgtest.Script(t, url, "move_from_clear_tokens_before.sql")
	if err := migrate(url); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second run changes nothing
		if out := pgtest.Script(t, url, "move_from_clear_tokens_after.sql"); !regexp.MustCompile(`\n +3 \| +4\n`).MatchString(out) {
			t.Errorf("the script printed\n%s\nwant 3 of 4 sessions moved", out)
		}
	}

	rows, err := conn.QueryContext(t.Context(), `SELECT n.clerk_user_id, n.device_id, n.device_generated, n.metadata,
		n.token_hash = sha256(convert_to(o.session_token, 'UTF8')), o.session_token, n.token_sealed IS NULL
		FROM chatkit_sessions n JOIN chatkit_sessions_old o USING (id) ORDER BY o.session_token`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	var got []string
	for rows.Next() {
		var user, device, metadata, token string
		var generated, hashed, unsealed bool
		if err := rows.Scan(&user, &device, &generated, &metadata, &hashed, &token, &unsealed); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(user, " ", device, " ", generated, " ", metadata, " ", token, " ", hashed && unsealed))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`alice phone false {} clear-2 true`,
		`alice device_alice_1 false {} clear-3 true`,
		`alice device_alice_2 true {"v": 4} clear-4 true`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("moved\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var ended int
	if err := conn.QueryRowContext(t.Context(), "SELECT cleanup_expired_chatkit_sessions()").Scan(&ended); err != nil || ended != 0 {
		t.Errorf("cleanup_expired_chatkit_sessions = %d, %v, want 0", ended, err)
	}
}

// Every migration is embedded in the binary.
func TestMigrations_AreEmbedded(t *testing.T) {
	t.Parallel()
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("migrations", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && !bytes.Contains(binary, content) {
			t.Errorf("%s is not in the binary", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
