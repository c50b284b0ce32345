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

// lockWait is for how many seconds a replica waits for another one's migration:
// making an index of a large table takes minutes.
const lockWait = 15 * 60

// Postgres returns a Migrator of a PostgreSQL database. Replicas that migrate
// at once take turns, by an advisory lock that a session holds: conn must not
// go through a pooler in transaction mode.
func Postgres(conn *sql.DB) (*Migrator, error) { return postgres(conn, lockWait) }

// postgres asks for the lock every second.
func postgres(conn *sql.DB, wait uint64) (*Migrator, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, wait))
	if err != nil {
		return nil, fmt.Errorf("make the migrations' lock: %w", err)
	}
	return newMigrator(goose.DialectPostgres, "migrations/postgres", conn, goose.WithSessionLocker(patient{locker, wait}))
}

// patient says what it waited for in vain.
type patient struct {
	lock.SessionLocker
	wait uint64
}

// SessionLock implements lock.SessionLocker.
func (p patient) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if err := p.SessionLocker.SessionLock(ctx, conn); err != nil {
		return fmt.Errorf("wait, at most %d s, for another process that migrates (it holds the advisory lock %d): %w", p.wait, lock.DefaultLockID, err)
	}
	return nil
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
