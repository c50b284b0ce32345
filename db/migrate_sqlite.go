package db

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pressly/goose/v3"
)

// SQLite returns a Migrator of a SQLite database.
func SQLite(conn *sql.DB) (*Migrator, error) {
	return newMigrator(goose.DialectSQLite3, "migrations/sqlite", conn, sqliteEngine{})
}

// sqliteEngine implements engine. SQLite has one writer at a time, so a write
// transaction needs no other lock.
type sqliteEngine struct{}

func (sqliteEngine) check(context.Context, *sql.DB) error { return nil }

func (sqliteEngine) alone(ctx context.Context, pool *sql.DB, do func(*sql.Conn) error) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close())
}

const sqliteHas = `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = $1)`

func (sqliteEngine) hasTable(ctx context.Context, conn querier, name string) (there bool, err error) {
	err = conn.QueryRowContext(ctx, sqliteHas, name).Scan(&there)
	return there, err
}

func (sqliteEngine) holds(ctx context.Context, conn querier, version int64) (there bool, err error) {
	const column = `SELECT EXISTS (SELECT 1 FROM pragma_table_info('chatkit_sessions') WHERE name = $1)`
	mark := map[int64]struct{ query, what string }{
		1: {column, "token_hash"},
		2: {column, "blocks_sign_in"},
		3: {sqliteHas, "chatkit_activity"},
		4: {sqliteHas, "idx_chatkit_sessions_user_created"},
		5: {sqliteHas, "idx_chatkit_sessions_to_purge"},
	}[version]
	err = conn.QueryRowContext(ctx, mark.query, mark.what).Scan(&there)
	return there, err
}

// missing checks the tables only.
func (e sqliteEngine) missing(ctx context.Context, conn *sql.DB) (missing []string, err error) {
	for _, name := range []string{"chatkit_sessions", "chatkit_activity", "chatkit_usage", "chatkit_sign_ins"} {
		there, err := e.hasTable(ctx, conn, name)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, name)
		}
	}
	return missing, nil
}
