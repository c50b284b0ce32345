// Package db holds the schema of the stores as goose migrations, one folder an
// engine, with equal version numbers, and applies them.
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

// versionTable holds which migrations were applied. It has the service's name:
// goose's own, goose_db_version, may be another program's in the same schema.
const versionTable = "chatkit_session_migrations"

// Migrator brings one database's schema to a version.
type Migrator struct {
	provider *goose.Provider
	versions database.Store // the version table
	conn     *sql.DB
	engine   engine
}

// engine is what migrations need to know of a kind of database.
type engine interface {
	// check refuses a database that the schema cannot be in.
	check(ctx context.Context, conn *sql.DB) error
	// alone runs do on a connection of its own, while no other process migrates.
	alone(ctx context.Context, conn *sql.DB, do func(*sql.Conn) error) error
	// hasTable reports whether the schema has a table.
	hasTable(ctx context.Context, conn querier, name string) (bool, error)
	// holds reports whether what a migration of versions up to lastOfGoose made
	// is there.
	holds(ctx context.Context, conn querier, version int64) (bool, error)
	// missing lists what the migrations made and is not there.
	missing(ctx context.Context, conn *sql.DB) ([]string, error)
}

// querier reads from a database, in a transaction or not.
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
		return nil, fmt.Errorf("name the version table: %w", err)
	}
	provider, err := goose.NewProvider("", conn, files, append(options, goose.WithStore(versions))...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return &Migrator{provider, versions, conn, engine}, nil
}

// Up applies every migration that is missing and returns how many there were.
// With none it changes nothing and takes no lock: a login that may not change
// the schema can ask, through a pooler, too. A schema that is newer than this
// binary has none missing: during a rolling update old replicas go on.
//
// Errors: what makes the database unfit, such as its encoding; that something
// which was applied is not there.
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

// Down undoes the newest migration that was applied, and everything in what it
// made.
func (m *Migrator) Down(ctx context.Context) error {
	_, err := m.provider.Down(ctx)
	return err
}

// verify compares what is there with what was applied, unless that is more than
// this binary knows.
func (m *Migrator) verify(ctx context.Context) error {
	current, known, err := m.provider.GetVersions(ctx)
	if err != nil || current > known {
		return err
	}
	missing, err := m.engine.missing(ctx, m.conn)
	if err != nil {
		return fmt.Errorf("look for what the migrations made: %w", err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s says that the schema has version %d, and these are missing or invalid: %v", versionTable, current, missing)
	}
	return nil
}

// lastOfGoose is the last version that was noted in goose's own table.
const lastOfGoose = 5

// takeOver makes the version table. It notes there, of the versions that are
// noted in goose's table, those whose work is there: the table, or some of its
// rows, may be another program's. goose's table stays as it is, for replicas of
// older versions.
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
			return err // another process was faster
		}
		known, err := m.known(ctx, tx)
		if err != nil {
			return fmt.Errorf("find out what is there: %w", err)
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

// known returns the last version up to which goose's table notes ours.
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
