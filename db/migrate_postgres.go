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

// lockWait is for how many seconds a replica waits for another one's migration:
// making an index of a large table takes minutes.
const lockWait = 15 * 60

// Postgres returns a Migrator of a PostgreSQL database, in the schema that
// conn's search_path names first. Replicas that migrate at once take turns, by
// an advisory lock that a session holds: conn must not go through a pooler in
// transaction mode.
func Postgres(conn *sql.DB) (*Migrator, error) { return postgres(conn, lockWait) }

// postgres asks for the lock every second.
func postgres(conn *sql.DB, wait uint64) (*Migrator, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, wait))
	if err != nil {
		return nil, fmt.Errorf("make the migrations' lock: %w", err)
	}
	session := migrating{locker, wait}
	return newMigrator(goose.DialectPostgres, "migrations/postgres", conn, postgresEngine{session}, goose.WithSessionLocker(session))
}

// migrating makes a connection one that migrates: alone, in one schema, for as
// long as it takes. It says what it waited for in vain.
type migrating struct {
	lock.SessionLocker
	wait uint64
}

const (
	// Whatever the database's or the role's settings are, an index may take hours
	// to make, and the locks of its table some time to get.
	withoutTimeoutsSQL = `SELECT set_config(name, '0', false) FROM pg_settings
	WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`

	// No statement finds, or drops, what another deployment or program has in
	// another schema, nor does a function that is made so ("SET search_path FROM
	// CURRENT"): temporary tables, which anybody may make, come last.
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
		return fmt.Errorf("wait, at most %d s, for another process that migrates (it holds the advisory lock %d): %w", m.wait, lock.DefaultLockID, err)
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

// check refuses an encoding other than UTF-8, in which JSON cannot be kept, and
// a search_path whose first schema the role does not get.
func (postgresEngine) check(ctx context.Context, conn *sql.DB) error {
	var encoding, path, user string
	var schema sql.NullString
	err := conn.QueryRowContext(ctx, `SELECT pg_encoding_to_char(encoding), current_setting('search_path'), current_schema(), current_user
		FROM pg_database WHERE datname = current_database()`).Scan(&encoding, &path, &schema, &user)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s: make one with ENCODING 'UTF8' (and TEMPLATE template0)", encoding)
	}
	if wanted := firstSchema(path); !schema.Valid || (wanted != schema.String && wanted != "$user" && wanted != "") {
		return fmt.Errorf("the first schema of the search_path %s is not there, or %s may not use it: CREATE SCHEMA, or GRANT USAGE ON SCHEMA", path, user)
	}
	return nil
}

// quotedName matches a name in quotes, where quotes are doubled.
var quotedName = regexp.MustCompile(`^\s*"((?:[^"]|"")*)"`)

// firstSchema returns the name that a search_path begins with.
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

// A version whose indexes were lost, as to another deployment that made its own,
// is applied again.
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

// What the migrations made in PostgreSQL.
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
