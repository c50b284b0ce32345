// Package sqlite stores sessions in an embedded SQLite database: one file, no server,
// for one replica.
package sqlite

import (
	"context"
	"errors"
	"net/url"
	"os"
	"time"

	"github.com/jmoiron/sqlx"

	"chatkit-session/core/session"
	"chatkit-session/db"
	"chatkit-session/ports"
)

// Config configures a Store.
type Config struct {
	// Path is the database file, which is created if it is missing. Required.
	Path string
}

// Store stores sessions in SQLite.
type Store struct {
	reads, writes *sqlx.DB

	finds map[string]*sqlx.Stmt // by their SQL, prepared on reads
}

var _ ports.Store = (*Store)(nil)

// Open opens the database and migrates its schema. Several stores, in one process or
// in many, may have the same database open.
func Open(ctx context.Context, config Config) (*Store, error) {
	if err := create(config.Path); err != nil {
		return nil, session.Wrap(session.KindUnavailable, err)
	}
	reads, err := connect(ctx, config.Path, readPragmas)
	if err != nil {
		return nil, err
	}
	writes, err := connect(ctx, config.Path, writePragmas)
	if err != nil {
		return nil, errors.Join(err, reads.Close())
	}
	// SQLite has one writer at a time. Callers wait for it in the pool, not in the
	// database, so that they can give up when their context ends.
	writes.SetMaxOpenConns(1)
	s := &Store{reads: reads, writes: writes}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// create creates the file if it is missing, readable by its owner only. SQLite gives
// its WAL files the same permissions.
func create(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return file.Close()
}

// An acknowledged write survives a power failure (synchronous FULL). Readers do not
// wait for the writer (WAL). While another process writes, a write is retried every
// busy_timeout until its context ends, see begin.
const (
	readPragmas  = "_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)&_pragma=query_only(1)"
	writePragmas = "_pragma=busy_timeout(20)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
)

func connect(ctx context.Context, path, pragmas string) (*sqlx.DB, error) {
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: pragmas}
	conn, err := sqlx.Open("sqlite", file.String())
	if err != nil {
		return nil, kinded(err)
	}
	err = patiently(ctx, func() error { return conn.PingContext(ctx) })
	if err != nil {
		return nil, errors.Join(kinded(err), conn.Close())
	}
	return conn, nil
}

func (s *Store) prepare(ctx context.Context) error {
	migrator, err := db.SQLite(s.writes.DB)
	if err != nil {
		return err
	}
	err = patiently(ctx, func() error { _, err := migrator.Up(ctx); return err })
	if err != nil {
		return kinded(err)
	}
	s.finds = make(map[string]*sqlx.Stmt)
	for _, text := range []string{findOnDeviceSQL, findGeneratedSQL, findByTokenSQL, findByOfferSQL, findByIDSQL} {
		if s.finds[text], err = s.reads.PreparexContext(ctx, text); err != nil {
			return kinded(err)
		}
	}
	return nil
}

// Close waits for running statements and closes the database.
func (s *Store) Close() error { return errors.Join(s.reads.Close(), s.writes.Close()) }

// Now implements ports.StoreProbe. SQLite runs in this process, so its clock
// can only differ if the system's clock is being changed.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var seconds float64
	if err := s.reads.GetContext(ctx, &seconds, "SELECT unixepoch('subsec') FROM (SELECT count(*) FROM chatkit_sessions WHERE false)"); err != nil {
		return time.Time{}, kinded(err)
	}
	return time.UnixMicro(int64(seconds * 1e6)).UTC(), nil
}
