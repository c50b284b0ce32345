package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// lockWait is how long a process waits for another one that migrates, in seconds.
// Building an index of a large table takes minutes.
const lockWait = 15 * 60

// Postgres returns a Migrator of a PostgreSQL database. It migrates the first
// schema in conn's search_path. Processes that migrate at the same time take turns
// with an advisory lock of the connection, so conn must not go through a pooler in
// transaction mode.
func Postgres(conn *sql.DB) (*Migrator, error) { return postgres(conn, lockWait) }

// postgres is Postgres with a wait for the lock in seconds. It tries to take the
// lock every second.
func postgres(conn *sql.DB, wait uint64) (*Migrator, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, wait))
	if err != nil {
		return nil, fmt.Errorf("create the migrations' lock: %w", err)
	}
	session := migrating{locker, wait}
	return newMigrator(goose.DialectPostgres, "migrations/postgres", conn, postgresEngine{session}, goose.WithSessionLocker(session))
}

// migrating prepares a connection to migrate:
//
//  1. It removes the timeouts.
//  2. It limits the search_path to one schema.
//  3. It takes the advisory lock.
type migrating struct {
	lock.SessionLocker
	wait uint64
}

const (
	// Building an index may take hours and waiting for its table's locks some time,
	// so timeouts of the database or the role must not apply.
	withoutTimeoutsSQL = `SELECT set_config(name, '0', false) FROM pg_settings
	WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`

	// With one schema in the search_path, neither a statement nor a function created
	// with "SET search_path FROM CURRENT" can find or drop objects of another
	// deployment or program. Temporary tables come last because any role can create
	// them.
	oneSchemaSQL = `SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', false)`

	resetSQL = `RESET search_path; RESET statement_timeout; RESET lock_timeout; RESET idle_in_transaction_session_timeout`
)

// SessionLock implements lock.SessionLocker.
func (m migrating) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for _, text := range []string{withoutTimeoutsSQL, oneSchemaSQL} {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("prepare the connection: %w", err)
		}
	}
	if err := m.SessionLocker.SessionLock(ctx, conn); err != nil {
		return fmt.Errorf("waited %d s for another process that is migrating and holds advisory lock %d: %w", m.wait, lock.DefaultLockID, err)
	}
	return nil
}

// SessionUnlock implements lock.SessionLocker.
func (m migrating) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, resetSQL)
	return errors.Join(m.SessionLocker.SessionUnlock(ctx, conn), err)
}

// postgresEngine implements engine.
type postgresEngine struct{ session migrating }

// check returns an error for an encoding other than UTF-8, which cannot hold every
// JSON text, and for a search_path whose first schema is missing or not usable.
func (postgresEngine) check(ctx context.Context, conn *sql.DB) error {
	var encoding, path, user string
	var schema sql.NullString
	err := conn.QueryRowContext(ctx, `SELECT pg_encoding_to_char(encoding), current_setting('search_path'), current_schema(), current_user
		FROM pg_database WHERE datname = current_database()`).Scan(&encoding, &path, &schema, &user)
	if err != nil {
		return fmt.Errorf("read the database's settings: %w", err)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s: create a database with ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	if wanted := firstSchema(path); !schema.Valid || (wanted != schema.String && wanted != "$user" && wanted != "") {
		return fmt.Errorf("the first schema of the search_path %s does not exist, or role %s may not use it: create it, or GRANT USAGE ON SCHEMA", path, user)
	}
	return nil
}

// quotedName matches a quoted identifier, in which a quote is written twice.
var quotedName = regexp.MustCompile(`^\s*"((?:[^"]|"")*)"`)

// firstSchema returns the first schema in a search_path.
func firstSchema(path string) string {
	if quoted := quotedName.FindStringSubmatch(path); quoted != nil {
		return strings.ReplaceAll(quoted[1], `""`, `"`)
	}
	first, _, _ := strings.Cut(path, ",")
	return strings.ToLower(strings.TrimSpace(first))
}

func (e postgresEngine) alone(ctx context.Context, pool *sql.DB, do func(*sql.Conn) error) (err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := e.session.SessionLock(ctx, conn); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.session.SessionUnlock(context.WithoutCancel(ctx), conn)) }()
	return do(conn)
}

func (postgresEngine) hasTable(ctx context.Context, conn querier, name string) (there bool, err error) {
	const text = `SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND relkind = 'r' AND relnamespace = to_regnamespace(quote_ident(current_schema())))`
	err = conn.QueryRowContext(ctx, text, name).Scan(&there)
	return there, err
}

// holds reports false for a version whose indexes are missing, so that Up applies
// it again: another deployment's migration may have dropped them.
func (postgresEngine) holds(ctx context.Context, conn querier, version int64) (there bool, err error) {
	const (
		column  = `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('chatkit_sessions') AND attname = $1)`
		table   = `SELECT to_regclass($1) IS NOT NULL`
		indexes = `SELECT count(*) = cardinality($1::text[]) FROM unnest($1::text[]) AS name JOIN pg_index ON indexrelid = to_regclass(name) AND indisvalid`
	)
	mark := map[int64]struct {
		query string
		what  any
	}{
		1: {column, "token_hash"},
		2: {column, "blocks_sign_in"},
		3: {table, "chatkit_activity"},
		4: {indexes, pq.Array([]string{"idx_chatkit_sessions_offer", "idx_chatkit_sessions_user_created"})},
		5: {indexes, pq.Array([]string{"idx_chatkit_sessions_to_purge"})},
	}[version]
	err = conn.QueryRowContext(ctx, mark.query, mark.what).Scan(&there)
	return there, err
}

// What the migrations make in PostgreSQL.
var (
	postgresTables  = []string{"chatkit_activity", "chatkit_lease", versionTable, "chatkit_sessions", "chatkit_sign_ins", "chatkit_usage"}
	postgresIndexes = []string{
		"idx_chatkit_activity_at", "idx_chatkit_activity_session", "idx_chatkit_activity_user",
		"idx_chatkit_sessions_active_place", "idx_chatkit_sessions_active_unnamed",
		"idx_chatkit_sessions_device", "idx_chatkit_sessions_ended_at", "idx_chatkit_sessions_expires_at", "idx_chatkit_sessions_offer",
		"idx_chatkit_sessions_previous_token", "idx_chatkit_sessions_token",
		"idx_chatkit_sessions_user_created", "idx_chatkit_sessions_user_status",
		"idx_chatkit_sign_ins_changed", "idx_chatkit_sign_ins_unblocked",
	}
	postgresFunctions = []string{"chatkit_sessions_block_sign_in", "chatkit_sessions_set_updated_at", "cleanup_expired_chatkit_sessions"}
)

func (postgresEngine) missing(ctx context.Context, conn *sql.DB) ([]string, error) {
	const text = `WITH home AS (SELECT to_regnamespace(quote_ident(current_schema())) AS id)
	SELECT ARRAY(
		SELECT name FROM unnest($1::text[]) AS name WHERE NOT EXISTS (
			SELECT FROM pg_class WHERE relname = name AND relkind = 'r' AND relnamespace = home.id)
		UNION ALL
		SELECT name FROM unnest($2::text[]) AS name WHERE NOT EXISTS (
			SELECT FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid WHERE relname = name AND indisvalid AND relnamespace = home.id)
		UNION ALL
		SELECT name || '()' FROM unnest($3::text[]) AS name WHERE NOT EXISTS (
			SELECT FROM pg_proc WHERE proname = name AND pronamespace = home.id))
	FROM home`
	var missing pq.StringArray
	err := conn.QueryRowContext(ctx, text, pq.Array(postgresTables), pq.Array(postgresIndexes), pq.Array(postgresFunctions)).Scan(&missing)
	return missing, err
}
