// Package db holds the schema of the stores as goose migrations, one folder an
// engine, with equal version numbers, and applies them.
package db

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	_ "modernc.org/sqlite" // the driver of SQLite databases
)

//go:embed migrations/postgres/*.sql migrations/sqlite/*.sql
var migrations embed.FS

// Migrator brings one database's schema to a version.
type Migrator struct{ provider *goose.Provider }

// How long a replica waits for another one's migration: it asks every second,
// a minute long.
const (
	lockRetryEvery = 1 // seconds
	lockRetries    = 60
)

// Postgres returns a Migrator of a PostgreSQL database. Replicas that migrate
// at once take turns, by an advisory lock that a session holds: conn must not
// go through a pooler in transaction mode.
func Postgres(conn *sql.DB) (*Migrator, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockRetryEvery, lockRetries))
	if err != nil {
		return nil, fmt.Errorf("make the migrations' lock: %w", err)
	}
	return newMigrator(goose.DialectPostgres, "migrations/postgres", conn, goose.WithSessionLocker(locker))
}

// SQLite returns a Migrator of a SQLite database.
func SQLite(conn *sql.DB) (*Migrator, error) {
	return newMigrator(goose.DialectSQLite3, "migrations/sqlite", conn)
}

func newMigrator(dialect goose.Dialect, folder string, conn *sql.DB, options ...goose.ProviderOption) (*Migrator, error) {
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return nil, fmt.Errorf("open migrations: %w", err)
	}
	provider, err := goose.NewProvider(dialect, conn, files, options...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return &Migrator{provider}, nil
}

// Up applies every migration that is missing and returns how many there were.
// With none it changes nothing and takes no lock: a login that may not change
// the schema can ask, through a pooler, too. A schema that is newer than this
// binary has none missing: during a rolling update old replicas go on.
func (m *Migrator) Up(ctx context.Context) (int, error) {
	applied, err := m.provider.Up(ctx)
	return len(applied), err
}

// Down undoes the newest migration that was applied, and everything in what it
// made.
func (m *Migrator) Down(ctx context.Context) error {
	_, err := m.provider.Down(ctx)
	return err
}
