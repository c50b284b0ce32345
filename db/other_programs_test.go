package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/db"
)

// The tests in this file migrate databases that hold other programs' or other
// deployments' objects: the migrations must not change them or depend on them.

func do(t *testing.T, conn *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func texts(t *testing.T, conn *sql.DB, query string, args ...any) []string {
	t.Helper()
	var list pq.StringArray
	if err := conn.QueryRowContext(t.Context(), "SELECT coalesce(array_agg(x ORDER BY x), '{}') FROM ("+query+") AS q(x)", args...).Scan(&list); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return list
}

// inSchema returns the URL with a search_path.
func inSchema(t *testing.T, address, path string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("search_path", path)
	u.RawQuery = query.Encode()
	return u.String()
}

func mustMigrate(t *testing.T, url string) {
	t.Helper()
	if err := migrate(url); err != nil {
		t.Fatal(err)
	}
}

const version5 = "testdata/version_5.sql"

// lost drops the indexes that a migration of a second deployment once dropped from
// the first one's schema.
var lost = []string{"DROP INDEX idx_chatkit_sessions_offer", "DROP INDEX idx_chatkit_sessions_user_created", "DROP INDEX idx_chatkit_sessions_to_purge"}

// A database that earlier versions migrated ends with the same schema as an empty
// one, even if indexes were lost.
func TestMigrator_Up_FromGoosesTable(t *testing.T) {
	t.Parallel()
	fresh := pgtest.New(t)
	want := schemaOf(t, fresh)
	for name, before := range map[string][]string{
		"Unchanged":   nil,
		"IndexesLost": lost,
		"OneLost":     lost[1:2],
		"OneInvalid":  {"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_chatkit_sessions_offer'::regclass"},
		"AnotherProgramCameLater": {
			"INSERT INTO goose_db_version (version_id, is_applied) VALUES (6, true), (20240101000000, true)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := pgtest.Empty(t)
			pgtest.Script(t, old, version5)
			conn := pgtest.Open(t, old)
			do(t, conn, before...)
			do(t, conn, `INSERT INTO chatkit_sessions (id, clerk_user_id, device_id, workflow_id, token_hash, expires_at) VALUES (gen_random_uuid(), 'user_1', 'phone', 'w', sha256('x'), now() + interval '1 hour')`)
			mustMigrate(t, old)
			mustMigrate(t, old)
			if got := texts(t, conn, "SELECT clerk_user_id FROM chatkit_sessions"); len(got) != 1 {
				t.Errorf("after migrating there are the sessions of %v, want one", got)
			}
			do(t, conn, "TRUNCATE chatkit_sessions", "DROP TABLE goose_db_version")
			if got := schemaOf(t, old); got != want {
				t.Errorf("the schema differs from a fresh one:\n%s", difference(got, want))
			}
		})
	}
}

// schemaOf returns pg_dump's output without comments and times.
func schemaOf(t *testing.T, url string) string {
	t.Helper()
	dump := pgtest.Dump(t, url)
	dump = regexp.MustCompile(`(?m)^\\(un)?restrict .*$|^--.*$`).ReplaceAllString(dump, "")
	dump = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(\+\d\d)?`).ReplaceAllString(dump, "then")
	return regexp.MustCompile(`\n{2,}`).ReplaceAllString(dump, "\n")
}

// difference lists the lines that are in one text only.
func difference(got, want string) string {
	var out strings.Builder
	one, two := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, line := range one {
		if !slices.Contains(two, line) {
			fmt.Fprintln(&out, "has", line)
		}
	}
	for _, line := range two {
		if !slices.Contains(one, line) {
			fmt.Fprintln(&out, "lacks", line)
		}
	}
	return out.String()
}

// A second deployment in another schema leaves the first one unchanged.
func TestMigrator_Up_TwoSchemas(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]struct{ schema, path string }{
		"FallsBackToPublic": {"staging", "staging,public"},
		"OddName":           {`"Odd, ""name"`, `"Odd, ""name",public`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := pgtest.New(t)
			conn := pgtest.Open(t, first)
			before := schemaOf(t, first)
			do(t, conn, "CREATE SCHEMA "+second.schema)
			mustMigrate(t, inSchema(t, first, second.path))
			const made = `SELECT relkind::text || ' ' || relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'i')`
			if one, two := texts(t, conn, made, "public"), texts(t, conn, made, second.schema); !slices.Equal(one, two) {
				t.Errorf("schema public has %v, the second schema %v", one, two)
			}
			mustMigrate(t, inSchema(t, first, second.path))
			do(t, conn, "DROP SCHEMA "+second.schema+" CASCADE")
			if after := schemaOf(t, first); after != before {
				t.Errorf("the first deployment's schema changed:\n%s", difference(after, before))
			}
		})
	}
}

// Functions use the tables of their own schema, whatever the caller's search_path.
func TestMigrator_Up_FunctionsStayInTheirSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	conn := pgtest.Open(t, url)
	do(t, conn, "CREATE SCHEMA chatkit")
	mustMigrate(t, inSchema(t, url, "chatkit"))
	const settings = `SELECT proname || ' ' || coalesce(array_to_string(proconfig, ';'), 'nothing') FROM pg_proc WHERE pronamespace = 'chatkit'::regnamespace`
	list := texts(t, conn, settings)
	for _, function := range list {
		if !strings.HasSuffix(function, " search_path=chatkit, pg_temp") {
			t.Error(function)
		}
	}
	if len(list) < len(db.PostgresFunctions) {
		t.Errorf("the schema has the functions %v, want at least %v", list, db.PostgresFunctions)
	}
}

// Another program's version table and type do not prevent migrating and stay
// unchanged.
func TestMigrator_Up_BesideAnotherProgram(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	conn := pgtest.Open(t, url)
	do(t, conn,
		"CREATE TABLE goose_db_version (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now())",
		"INSERT INTO goose_db_version (version_id, is_applied) SELECT n, true FROM generate_series(0, 5) n",
		"GRANT SELECT ON goose_db_version TO PUBLIC",
		"CREATE TYPE session_status AS ENUM ('open', 'closed')",
		"CREATE TABLE theirs (status session_status)",
	)
	const rights = "SELECT coalesce(relacl::text, '') FROM pg_class WHERE relname = 'goose_db_version'"
	before := texts(t, conn, rights)
	mustMigrate(t, url)
	if after := texts(t, conn, rights); !slices.Equal(after, before) {
		t.Errorf("the grants on the other program's table changed from %v to %v", before, after)
	}
	migrator, err := db.Postgres(conn)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := migrator.Up(t.Context()); n != 0 || err != nil {
		t.Errorf("Up again = %d, %v", n, err)
	}
	if got := texts(t, conn, "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'chatkit_sessions'::regclass AND attname = 'status'"); got[0] != "chatkit_session_status" {
		t.Errorf("the type of status is %v, want chatkit_session_status", got)
	}
	for range names(t, "postgres") {
		if err := migrator.Down(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	do(t, conn, "INSERT INTO theirs VALUES ('open')", "DELETE FROM goose_db_version")
	if left := texts(t, conn, "SELECT typname::text FROM pg_type WHERE typname ~ 'session_status'"); !slices.Equal(left, []string{"_session_status", "session_status"}) {
		t.Errorf("after Down the types %v remain, want the other program's only", left)
	}
}

// Default privileges grant new objects to every role, as in Supabase's databases.
// Only the owner and the service's roles have privileges on the service's objects.
func TestMigrator_Up_DefaultPrivileges(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, string){
		"Fresh":      func(*testing.T, string) {},
		"ByVersion5": func(t *testing.T, url string) { t.Helper(); pgtest.Script(t, url, version5) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := pgtest.Empty(t)
			conn := pgtest.Open(t, address)
			anon := loginOf(t, pgtest.Login(t, address))
			for _, kind := range []string{"TABLES", "SEQUENCES", "FUNCTIONS", "TYPES"} {
				do(t, conn, "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON "+kind+" TO "+anon+", PUBLIC")
			}
			t.Cleanup(func() { _, _ = conn.ExecContext(context.WithoutCancel(t.Context()), "DROP OWNED BY "+anon) })
			prepare(t, address)
			mustMigrate(t, address)
			const others = `SELECT name || ': ' || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END || ' ' || privilege_type FROM (
				SELECT relname AS name, (aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, relowner)))).*, relowner AS owner
				FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'v', 'm')
				UNION ALL
				SELECT proname, (aclexplode(coalesce(proacl, acldefault('f', proowner)))).*, proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace
				UNION ALL
				SELECT typname, (aclexplode(coalesce(typacl, acldefault('T', typowner)))).*, typowner FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
			) AS rights WHERE grantee <> owner AND grantee NOT IN ('chatkit_service'::regrole, 'chatkit_reader'::regrole)`
			if got := texts(t, conn, others); len(got) > 0 {
				t.Errorf("other roles have privileges:\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

// loginOf returns the role in a URL.
func loginOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.User.Username()
}

// The roles of roles.sql are enough in a schema without other grants.
func TestMigrator_Up_AnotherSchemasRoles(t *testing.T) {
	t.Parallel()
	address := pgtest.Empty(t)
	pgtest.Script(t, address, "roles.sql")
	conn := pgtest.Open(t, address)
	do(t, conn, "CREATE SCHEMA chatkit")
	mustMigrate(t, inSchema(t, address, "chatkit"))
	service := pgtest.Open(t, inSchema(t, pgtest.Login(t, address, "chatkit_service"), "chatkit"))
	reader := pgtest.Open(t, inSchema(t, pgtest.Login(t, address, "chatkit_reader"), "chatkit"))
	if _, err := service.ExecContext(t.Context(), "SELECT cleanup_expired_chatkit_sessions()"); err != nil {
		t.Errorf("the service: %v", err)
	}
	if _, err := reader.ExecContext(t.Context(), "SELECT id FROM chatkit_sessions"); err != nil {
		t.Errorf("a reader: %v", err)
	}
	migrator, err := db.Postgres(service)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := migrator.Up(t.Context()); n != 0 || err != nil {
		t.Errorf("Up by the service's role, which may not change the schema, = %d, %v, want 0", n, err)
	}
}

// Names in a search_path that are not quoted are read in lower case, as PostgreSQL
// does.
func TestMigrator_Up_SearchPathInUpperCase(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	do(t, pgtest.Open(t, url), "CREATE SCHEMA staging")
	mustMigrate(t, inSchema(t, url, "Staging, public"))
}

// Up returns an error for an unfit database and creates nothing in it.
func TestMigrator_Up_Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		address func(*testing.T) string
		want    string
	}{
		"Latin1":    {func(t *testing.T) string { t.Helper(); return encoded(t, "LATIN1") }, "encoding is LATIN1"},
		"SQL_ASCII": {func(t *testing.T) string { t.Helper(); return encoded(t, "SQL_ASCII") }, "encoding is SQL_ASCII"},
		"NoSchema":  {func(t *testing.T) string { t.Helper(); return inSchema(t, pgtest.Empty(t), "staging,public") }, "the first schema of the search_path staging"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := c.address(t)
			if err := migrate(address); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Up = %v", err)
			}
			if got := texts(t, pgtest.Open(t, address), "SELECT relname::text FROM pg_class WHERE relname ~ '^(chatkit|goose)'"); len(got) > 0 {
				t.Errorf("Up created %v", got)
			}
		})
	}
}

// encoded returns the URL of a new database with the encoding.
func encoded(t *testing.T, encoding string) string {
	t.Helper()
	beside := pgtest.Empty(t)
	admin := pgtest.Open(t, beside)
	name := fmt.Sprintf("%s_%s", texts(t, admin, "SELECT current_database()::text")[0], strings.ToLower(encoding))
	do(t, admin, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING '"+encoding+"' LC_COLLATE 'C' LC_CTYPE 'C'")
	t.Cleanup(func() {
		_, _ = admin.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE "+name+" WITH (FORCE)")
	})
	u, err := url.Parse(beside)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Up returns an error if something that was applied is missing, unless the schema
// is newer than this binary.
func TestMigrator_Up_SomethingIsMissing(t *testing.T) {
	t.Parallel()
	for what, statement := range map[string]string{
		"idx_chatkit_sessions_user_created":  "DROP INDEX idx_chatkit_sessions_user_created",
		"idx_chatkit_sessions_offer":         "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_chatkit_sessions_offer'::regclass",
		"chatkit_usage":                      "DROP TABLE chatkit_usage",
		"cleanup_expired_chatkit_sessions()": "DROP FUNCTION cleanup_expired_chatkit_sessions",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			url := pgtest.New(t)
			conn := pgtest.Open(t, url)
			do(t, conn, statement)
			if err := migrate(url); err == nil || !strings.Contains(err.Error(), "missing or invalid: ["+what+"]") {
				t.Errorf("Up = %v", err)
			}
			do(t, conn, "INSERT INTO chatkit_session_migrations (version_id, is_applied) VALUES (999, true)")
			mustMigrate(t, url)
		})
	}
}

// The lists that Up checks name everything that the migrations make.
func TestMigrator_KnowsWhatItMade(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	for what, c := range map[string]struct {
		query string
		known []string
	}{
		"tables":    {"SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'", db.PostgresTables},
		"indexes":   {"SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'i' AND relname !~ '_pkey$'", db.PostgresIndexes},
		"functions": {"SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace", db.PostgresFunctions},
	} {
		if got := texts(t, conn, c.query); !slices.Equal(got, slices.Sorted(slices.Values(c.known))) {
			t.Errorf("the schema has the %s\n%v\nbut Up checks\n%v", what, got, c.known)
		}
	}
}

// Migrations are not ended by the database's timeouts.
func TestMigrator_Up_OutlastsTimeouts(t *testing.T) {
	t.Parallel()
	address := pgtest.Empty(t)
	pgtest.Script(t, address, version5)
	conn := pgtest.Open(t, address)
	name := texts(t, conn, "SELECT current_database()::text")[0]
	for _, setting := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		do(t, conn, "ALTER DATABASE "+name+" SET "+setting+" = '100ms'")
	}
	do(t, conn, lost...)
	holder := pgtest.Open(t, address+"&options=-c%20statement_timeout%3D0%20-c%20idle_in_transaction_session_timeout%3D0")
	tx, err := holder.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it has ended
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE chatkit_sessions IN ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() { migrated <- migrate(address) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		var waited bool
		if err := holder.QueryRowContext(t.Context(), `SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '400ms'`).Scan(&waited); err != nil {
			t.Fatal(err)
		}
		if waited {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no migration waits for the table")
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
}

// A SQLite database's goose table is taken over if it is this service's and ignored
// if it is another program's.
func TestMigrator_Up_SQLite_GoosesTable(t *testing.T) {
	t.Parallel()
	all := len(names(t, "sqlite"))
	up := func(t *testing.T, conn *sql.DB) int {
		t.Helper()
		migrator, err := db.SQLite(conn)
		if err != nil {
			t.Fatal(err)
		}
		n, err := migrator.Up(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, c := range map[string]struct {
		prepare func(*testing.T, *sql.DB)
		want    int
	}{
		"Ours": {func(t *testing.T, conn *sql.DB) {
			t.Helper()
			migrator, err := db.SQLite(conn)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := migrator.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			for range all - 5 {
				if err := migrator.Down(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			do(t, conn, "ALTER TABLE chatkit_session_migrations RENAME TO goose_db_version")
		}, all - 5},
		"AnotherProgram": {func(t *testing.T, conn *sql.DB) {
			t.Helper()
			do(t, conn, "CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))",
				"INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1)")
		}, all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "sessions.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			c.prepare(t, conn)
			if n := up(t, conn); n != c.want {
				t.Errorf("Up applied %d migrations, want %d", n, c.want)
			}
			if n := up(t, conn); n != 0 {
				t.Errorf("the second Up applied %d migrations, want 0", n)
			}
			do(t, conn, "SELECT count(*) FROM chatkit_usage")
		})
	}
}
