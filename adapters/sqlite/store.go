// Package sqlite keeps sessions in an embedded SQLite database: one file, no
// server, for one replica.
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

// Config says where the database is.
type Config struct {
	// Path is the database file; it is created when missing. Required.
	Path string
}

// Store keeps sessions in SQLite.
type Store struct {
	reads, writes *sqlx.DB

	finds map[string]*sqlx.Stmt // by their SQL, prepared on reads
}

var (
	_ ports.SessionStore   = (*Store)(nil)
	_ ports.TokenFinder    = (*Store)(nil)
	_ ports.ActivityStore  = (*Store)(nil)
	_ ports.SessionCleaner = (*Store)(nil)
	_ ports.StoreProbe     = (*Store)(nil)
)

// Open opens the database and brings its schema up to date. Several stores,
// in one process or in many, may have one database open.
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
	// SQLite has one writer at a time: waiting for it in the pool, not in the
	// database, lets a caller give up when its context ends.
	writes.SetMaxOpenConns(1)
	s := &Store{reads: reads, writes: writes}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// create makes the file where it is missing, for its owner's eyes only; SQLite
// gives the files beside it the same rights.
func create(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return file.Close()
}

// An acknowledged write survives a power cut (synchronous FULL); readers do
// not wait for the writer (WAL). A write that finds another process at it asks
// again every busy_timeout until its context ends, see begin.
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
	s.finds = make(map[string]*sqlx.Stmt, 4)
	for _, text := range []string{findOnDeviceSQL, findGeneratedSQL, findByTokenSQL, findByIDSQL} {
		if s.finds[text], err = s.reads.PreparexContext(ctx, text); err != nil {
			return kinded(err)
		}
	}
	return nil
}

// Close waits for what is running and closes the database.
func (s *Store) Close() error { return errors.Join(s.reads.Close(), s.writes.Close()) }

// Find implements ports.SessionStore.
func (s *Store) Find(ctx context.Context, slot session.Slot) (session.Session, error) {
	text, args := finder(slot)
	return s.find(ctx, text, args...)
}

// FindByToken implements ports.TokenFinder.
func (s *Store) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	return s.find(ctx, findByTokenSQL, hash[:])
}

func (s *Store) find(ctx context.Context, text string, args ...any) (session.Session, error) {
	var r row
	if err := s.finds[text].GetContext(ctx, &r, args...); err != nil {
		return session.Session{}, kinded(err)
	}
	return r.session()
}

// finder returns the SQL that finds slot's session, and its arguments.
func finder(slot session.Slot) (text string, args []any) {
	if slot.Device.IsZero() {
		return findGeneratedSQL, []any{slot.User.String(), slot.Workflow.String()}
	}
	return findOnDeviceSQL, []any{slot.User.String(), slot.Device.String(), slot.Workflow.String()}
}

// Update implements ports.SessionStore. The transaction holds SQLite's one
// write lock from its first statement.
func (s *Store) Update(ctx context.Context, slot session.Slot, change func(*session.Session) ([]session.Session, error)) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	current, err := currentIn(ctx, tx, slot)
	if err != nil {
		return err
	}
	sessions, err := change(current)
	if err != nil || len(sessions) == 0 {
		return err
	}
	for _, changed := range sessions {
		known := current != nil && current.ID() == changed.ID()
		if err := write(ctx, tx, changed, known); err != nil {
			return err
		}
	}
	return kinded(tx.Commit())
}

// FindByID implements ports.SessionStore.
func (s *Store) FindByID(ctx context.Context, user session.UserID, id session.ID) (session.Session, error) {
	return s.find(ctx, findByIDSQL, id.String(), user.String())
}

// List implements ports.SessionStore.
func (s *Store) List(ctx context.Context, query ports.ListQuery) ([]session.Session, error) {
	var rows []row
	err := s.reads.SelectContext(ctx, &rows, listSQL, query.User.String(), string(query.Status), micros(query.Now),
		optionalMicros(query.After.CreatedAt), query.After.ID.String(), query.Limit)
	if err != nil {
		return nil, kinded(err)
	}
	return sessions(rows)
}

func sessions(rows []row) ([]session.Session, error) {
	list := make([]session.Session, len(rows))
	for i, r := range rows {
		var err error
		if list[i], err = r.session(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// UpdateAll implements ports.SessionStore, as Update does.
func (s *Store) UpdateAll(ctx context.Context, user session.UserID, change func([]session.Session) ([]session.Session, error)) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	var rows []row
	if err := tx.SelectContext(ctx, &rows, activeSQL, user.String()); err != nil {
		return kinded(err)
	}
	active, err := sessions(rows)
	if err != nil {
		return err
	}
	changes, err := change(active)
	if err != nil || len(changes) == 0 {
		return err
	}
	for _, changed := range changes {
		if err := write(ctx, tx, changed, true); err != nil {
			return err
		}
	}
	return kinded(tx.Commit())
}

// begin starts a write transaction, waiting for another process's to end for
// as long as ctx allows.
func (s *Store) begin(ctx context.Context) (*sqlx.Tx, error) {
	var tx *sqlx.Tx
	err := patiently(ctx, func() (err error) {
		tx, err = s.writes.BeginTxx(ctx, nil)
		return err
	})
	return tx, kinded(err)
}

// patiently repeats try while the database is busy and ctx has not ended.
func patiently(ctx context.Context, try func() error) error {
	for {
		if err := try(); !busy(err) || ctx.Err() != nil {
			return err
		}
	}
}

func currentIn(ctx context.Context, tx *sqlx.Tx, slot session.Slot) (*session.Session, error) {
	text, args := finder(slot)
	var r row
	err := kinded(tx.GetContext(ctx, &r, text, args...))
	if errors.Is(err, session.KindNotFound) {
		return nil, nil //nolint:nilnil // Update's word for "none".
	}
	if err != nil {
		return nil, err
	}
	found, err := r.session()
	return &found, err
}

func write(ctx context.Context, tx *sqlx.Tx, changed session.Session, known bool) error {
	r, err := newRow(changed)
	if err != nil {
		return err
	}
	text, args := insertSQL, r.insertArgs()
	if known {
		text, args = updateSQL, r.updateArgs()
	}
	result, err := tx.ExecContext(ctx, text, args...)
	if err != nil {
		return kinded(err)
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 && !known {
		return session.KindSignedOut
	}
	return kinded(err)
}

// Touch implements ports.ActivityStore.
func (s *Store) Touch(ctx context.Context, seen map[session.ID]time.Time) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	for id, at := range seen {
		if _, err := tx.ExecContext(ctx, touchSQL, id.String(), micros(at)); err != nil {
			return kinded(err)
		}
	}
	return kinded(tx.Commit())
}

// ExpireDue implements ports.SessionCleaner.
func (s *Store) ExpireDue(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.batch(ctx, expireSQL, micros(now), limit)
}

// PurgeEnded implements ports.SessionCleaner.
func (s *Store) PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, purgeSQL, micros(before), limit)
}

// batch runs one statement in a transaction of its own and returns how many
// rows it changed.
func (s *Store) batch(ctx context.Context, sql string, args ...any) (int, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	result, err := tx.ExecContext(ctx, sql, args...)
	if err != nil {
		return 0, kinded(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, kinded(err)
	}
	return int(n), kinded(tx.Commit())
}

// Now implements ports.StoreProbe. SQLite runs in this process, so its clock
// can only differ if the system's clock is being changed.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var seconds float64
	if err := s.reads.GetContext(ctx, &seconds, "SELECT unixepoch('subsec') FROM (SELECT count(*) FROM chatkit_sessions WHERE false)"); err != nil {
		return time.Time{}, kinded(err)
	}
	return time.UnixMicro(int64(seconds * 1e6)).UTC(), nil
}
