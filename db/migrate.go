// Package db holds the schema of the stores as goose migrations and applies them.
// Each engine has a folder of migrations; both have the same version numbers.
// SCHEMA.md says which table holds what and which index holds which rule.
package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	_ "modernc.org/sqlite" // the driver of SQLite databases
)

//go:embed migrations/postgres/*.sql migrations/sqlite/*.sql
var migrations embed.FS

// versionTable records the applied migrations. It is named after the service
// because goose's default, goose_db_version, may belong to another program in the
// same schema.
const versionTable = "chatkit_session_migrations"

// Migrator migrates the schema of one database.
type Migrator struct {
	provider *goose.Provider
	versions database.Store // the version table
	conn     *sql.DB
	engine   engine
}

// engine is what differs between the kinds of databases.
type engine interface {
	// check returns an error if the database cannot hold the schema.
	check(ctx context.Context, conn *sql.DB) error
	// alone runs do on one connection while no other process migrates.
	alone(ctx context.Context, conn *sql.DB, do func(*sql.Conn) error) error
	// hasTable reports whether the schema has the table.
	hasTable(ctx context.Context, conn querier, name string) (bool, error)
	// holds reports whether the schema has what migration version made. version
	// is at most lastOfGoose.
	holds(ctx context.Context, conn querier, version int64) (bool, error)
	// missing lists what the migrations made and the schema lacks.
	missing(ctx context.Context, conn *sql.DB) ([]string, error)
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func newMigrator(dialect goose.Dialect, folder string, conn *sql.DB, engine engine, options ...goose.ProviderOption) (*Migrator, error) {
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return nil, fmt.Errorf("open migrations: %w", err)
	}
	versions, err := database.NewStore(dialect, versionTable)
	if err != nil {
		return nil, fmt.Errorf("set the version table: %w", err)
	}
	provider, err := goose.NewProvider("", conn, files, append(options, goose.WithStore(versions))...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return &Migrator{provider, versions, conn, engine}, nil
}

// Up applies the migrations that are missing and returns their number. If none is
// missing, it changes nothing and takes no lock, so a login that may not change
// the schema can call it, and so can one behind a pooler. A schema that is newer
// than this binary is accepted: during a rolling update older replicas keep
// running.
//
// Errors: the database cannot hold the schema, for example because of its
// encoding; something that an applied migration made is missing.
func (m *Migrator) Up(ctx context.Context) (int, error) {
	if err := m.engine.check(ctx, m.conn); err != nil {
		return 0, err
	}
	if err := m.takeOver(ctx); err != nil {
		return 0, err
	}
	applied, err := m.provider.Up(ctx)
	if err != nil {
		return len(applied), err
	}
	return len(applied), m.verify(ctx)
}

// Down reverts the newest applied migration and deletes the data in what it made.
func (m *Migrator) Down(ctx context.Context) error {
	_, err := m.provider.Down(ctx)
	return err
}

// verify returns an error if the schema lacks something that an applied migration
// made. It skips a schema that is newer than this binary.
func (m *Migrator) verify(ctx context.Context) error {
	current, known, err := m.provider.GetVersions(ctx)
	if err != nil || current > known {
		return err
	}
	missing, err := m.engine.missing(ctx, m.conn)
	if err != nil {
		return fmt.Errorf("check the schema: %w", err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s says that the schema has version %d, and these are missing or invalid: %v", versionTable, current, missing)
	}
	return nil
}

// lastOfGoose is the last version that was recorded in goose's default table.
const lastOfGoose = 5

// takeOver creates the version table. From goose's default table it copies the
// versions of which the schema has the results, because that table, or some of
// its rows, may belong to another program. It leaves goose's table unchanged for
// replicas of older versions.
func (m *Migrator) takeOver(ctx context.Context) error {
	if exists, err := m.engine.hasTable(ctx, m.conn, versionTable); err != nil || exists {
		return err
	}
	return m.engine.alone(ctx, m.conn, func(conn *sql.Conn) (err error) {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rollback(tx)) }()
		if exists, err := m.engine.hasTable(ctx, tx, versionTable); err != nil || exists {
			return err // another process has created it
		}
		known, err := m.known(ctx, tx)
		if err != nil {
			return fmt.Errorf("read the schema's version: %w", err)
		}
		if err := m.versions.CreateVersionTable(ctx, tx); err != nil {
			return err
		}
		for version := range known + 1 {
			if err := m.versions.Insert(ctx, tx, database.InsertRequest{Version: version}); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

// rollback does nothing once tx is committed.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// known returns the last version up to which goose's default table records this
// service's migrations.
func (m *Migrator) known(ctx context.Context, tx *sql.Tx) (int64, error) {
	if there, err := m.engine.hasTable(ctx, tx, goose.DefaultTablename); err != nil || !there {
		return 0, err
	}
	for version := int64(1); version <= lastOfGoose; version++ {
		var noted bool
		err := tx.QueryRowContext(ctx, `SELECT coalesce((SELECT is_applied FROM goose_db_version WHERE version_id = $1 ORDER BY id DESC LIMIT 1), false)`, version).Scan(&noted)
		if err != nil || !noted {
			return version - 1, err
		}
		if holds, err := m.engine.holds(ctx, tx, version); err != nil || !holds {
			return version - 1, err
		}
	}
	return lastOfGoose, nil
}
