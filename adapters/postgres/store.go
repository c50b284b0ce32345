// Package postgres keeps sessions in PostgreSQL, for any number of replicas.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// DefaultMaxConnections is how many connections a store opens at most unless
// its Config says otherwise.
const DefaultMaxConnections = 32

// Config says where the database is.
type Config struct {
	// URL is postgres://… of a login that is a member of chatkit_service or
	// owns the schema; see Connect. Required.
	URL string
	// MaxConnections bounds the pool; 0 means DefaultMaxConnections.
	MaxConnections int
	// Silence is how long the server may leave a statement without any answer
	// before the connection is given up; 0 means for ever.
	Silence time.Duration
	// Unprepared is for a pooler in transaction mode, such as pgbouncer, which
	// has no prepared statements of its clients.
	Unprepared bool
}

// Store keeps sessions in PostgreSQL.
type Store struct {
	db *sqlx.DB

	findOnDevice, findGenerated statement
	findByToken                 statement
	lockOnDevice, lockGenerated statement
	lockUser, insert, update    statement
}

var (
	_ ports.SessionStore   = (*Store)(nil)
	_ ports.TokenFinder    = (*Store)(nil)
	_ ports.ActivityStore  = (*Store)(nil)
	_ ports.SessionCleaner = (*Store)(nil)
	_ ports.StoreProbe     = (*Store)(nil)
)

// Open connects to a database whose schema is up to date.
func Open(ctx context.Context, config Config) (*Store, error) {
	conn, err := Connect(ctx, config)
	if err != nil {
		return nil, err
	}
	limit := config.MaxConnections
	if limit == 0 {
		limit = DefaultMaxConnections
	}
	conn.SetMaxOpenConns(limit)
	conn.SetMaxIdleConns(limit)
	conn.SetConnMaxIdleTime(5 * time.Minute)
	s := &Store{db: sqlx.NewDb(conn, "postgres")}
	if err := s.prepare(ctx, config.Unprepared); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context, unprepared bool) (err error) {
	for _, p := range []struct {
		statement *statement
		sql       string
	}{
		{&s.findOnDevice, findOnDeviceSQL},
		{&s.findGenerated, findGeneratedSQL},
		{&s.findByToken, findByTokenSQL},
		{&s.lockOnDevice, findOnDeviceSQL + " FOR UPDATE"},
		{&s.lockGenerated, findGeneratedSQL + " FOR UPDATE"},
		{&s.lockUser, lockUserSQL},
		{&s.insert, insertSQL},
		{&s.update, updateSQL},
	} {
		if *p.statement, err = prepare(ctx, s.db, p.sql, unprepared); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for what is running and closes the connections.
func (s *Store) Close() error { return s.db.Close() }

// Find implements ports.SessionStore in one statement.
func (s *Store) Find(ctx context.Context, slot session.Slot) (session.Session, error) {
	return find(ctx, s.db, slot, s.findOnDevice, s.findGenerated)
}

// FindByToken implements ports.TokenFinder in one statement.
func (s *Store) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	found, err := s.findByToken.get(ctx, s.db, hash[:])
	if err != nil {
		return session.Session{}, err
	}
	return found.session()
}

// find reads slot's session with the statement for its kind of device.
func find(ctx context.Context, db sqlx.QueryerContext, slot session.Slot, onDevice, generated statement) (session.Session, error) {
	var found row
	var err error
	if slot.Device.IsZero() {
		found, err = generated.get(ctx, db, slot.User.String(), slot.Workflow.String())
	} else {
		found, err = onDevice.get(ctx, db, slot.User.String(), slot.Device.String(), slot.Workflow.String())
	}
	if err != nil {
		return session.Session{}, err
	}
	return found.session()
}

// readCommitted is what the locks rely on, whatever the server's default is:
// each statement sees what was committed before it began.
var readCommitted = &sql.TxOptions{Isolation: sql.LevelReadCommitted}

// Update implements ports.SessionStore. It takes the user's lock in a
// statement of its own, so that the next one's snapshot has what the last
// holder committed, and locks the current row against the clean-up and against
// hand-written SQL.
func (s *Store) Update(ctx context.Context, slot session.Slot, change func(*session.Session) ([]session.Session, error)) error {
	tx, err := s.db.BeginTxx(ctx, readCommitted)
	if err != nil {
		return kinded(err)
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	if _, err := s.lockUser.exec(ctx, tx, slot.User.String()); err != nil {
		return err
	}
	current, err := s.current(ctx, tx, slot)
	if err != nil {
		return err
	}
	sessions, err := change(current)
	if err != nil || len(sessions) == 0 {
		return err
	}
	for _, changed := range sessions {
		known := current != nil && current.ID() == changed.ID()
		if err := s.write(ctx, tx, changed, known); err != nil {
			return err
		}
	}
	return kinded(tx.Commit())
}

// FindByID implements ports.SessionStore in one statement.
func (s *Store) FindByID(ctx context.Context, user session.UserID, id session.ID) (session.Session, error) {
	key, err := uuid.Parse(id.String())
	if err != nil {
		return session.Session{}, session.Wrap(session.KindNotFound, err) // no id of ours
	}
	var found row
	if err := s.db.GetContext(ctx, &found, findByIDSQL, key, user.String()); err != nil {
		return session.Session{}, kinded(err)
	}
	return found.session()
}

// List implements ports.SessionStore in one statement.
func (s *Store) List(ctx context.Context, query ports.ListQuery) ([]session.Session, error) {
	after := sql.NullString{String: query.After.ID.String(), Valid: !query.After.ID.IsZero()}
	var rows []row
	err := s.db.SelectContext(ctx, &rows, listSQL, query.User.String(), string(query.Status), query.Now, nullTime(query.After.CreatedAt), after, query.Limit)
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

// UpdateAll implements ports.SessionStore; its locks are Update's.
func (s *Store) UpdateAll(ctx context.Context, user session.UserID, change func([]session.Session) ([]session.Session, error)) error {
	tx, err := s.db.BeginTxx(ctx, readCommitted)
	if err != nil {
		return kinded(err)
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	if _, err := s.lockUser.exec(ctx, tx, user.String()); err != nil {
		return err
	}
	var rows []row
	if err := tx.SelectContext(ctx, &rows, lockAllSQL, user.String()); err != nil {
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
		if err := s.write(ctx, tx, changed, true); err != nil {
			return err
		}
	}
	return kinded(tx.Commit())
}

func (s *Store) current(ctx context.Context, tx *sqlx.Tx, slot session.Slot) (*session.Session, error) {
	found, err := find(ctx, tx, slot, s.lockOnDevice, s.lockGenerated)
	if errors.Is(err, session.KindNotFound) {
		return nil, nil //nolint:nilnil // Update's word for "none".
	}
	if err != nil {
		return nil, err
	}
	return &found, nil
}

func (s *Store) write(ctx context.Context, tx *sqlx.Tx, changed session.Session, known bool) error {
	r, err := newRow(changed)
	if err != nil {
		return err
	}
	if known {
		_, err := s.update.exec(ctx, tx, r.updateArgs()...)
		return err
	}
	n, err := s.insert.exec(ctx, tx, r.insertArgs()...)
	if err == nil && n == 0 {
		return session.KindSignedOut
	}
	return err
}

// Touch implements ports.ActivityStore in one statement.
func (s *Store) Touch(ctx context.Context, seen map[session.ID]time.Time) error {
	ids, times := make(pq.StringArray, 0, len(seen)), make(pq.StringArray, 0, len(seen))
	for id, at := range seen {
		ids, times = append(ids, id.String()), append(times, at.UTC().Format(time.RFC3339Nano))
	}
	_, err := s.db.ExecContext(ctx, touchSQL, ids, times)
	return kinded(err)
}

// ExpireDue implements ports.SessionCleaner.
func (s *Store) ExpireDue(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.batch(ctx, expireSQL, now, limit)
}

// PurgeEnded implements ports.SessionCleaner.
func (s *Store) PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, purgeSQL, before, limit)
}

// batch runs one statement that counts its rows, in a transaction of its own,
// unless another replica is cleaning up. The lock ends with the transaction,
// whatever becomes of this replica.
func (s *Store) batch(ctx context.Context, text string, args ...any) (n int, err error) {
	tx, err := s.db.BeginTxx(ctx, readCommitted)
	if err != nil {
		return 0, kinded(err)
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	var mine bool
	if err := tx.GetContext(ctx, &mine, tryCleanerLockSQL); err != nil || !mine {
		return 0, kinded(err)
	}
	if err := tx.GetContext(ctx, &n, text, args...); err != nil {
		return 0, kinded(err)
	}
	if err := tx.Commit(); err != nil {
		return 0, kinded(err)
	}
	return n, nil
}

// Now implements ports.StoreProbe.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := s.db.GetContext(ctx, &now, "SELECT clock_timestamp() FROM (SELECT count(*) FROM chatkit_sessions WHERE false) probe")
	return now.UTC(), kinded(err)
}
