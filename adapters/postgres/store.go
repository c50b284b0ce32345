// Package postgres keeps sessions in PostgreSQL, for any number of replicas.
package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
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
	// Clock is the service's: while it is not the database's, nothing is
	// written. Nil is this machine's.
	Clock ports.Clock
}

// Store keeps sessions in PostgreSQL.
type Store struct {
	db    *sqlx.DB
	url   string
	clock ports.Clock
	// pooled says that connections go through a pooler in transaction mode.
	pooled bool

	// missed says that the last token that was looked for was nobody's.
	missed atomic.Bool

	findOnDevice, findGenerated statement
	findByToken, findByPrevious statement
	findByEither                statement
	findByOffer                 statement
	findByID, isBlocked         statement
	lockUser, scope, write      statement
}

var _ ports.Store = (*Store)(nil)

// Open connects to a database whose schema is up to date.
func Open(ctx context.Context, config Config) (*Store, error) {
	limit := config.MaxConnections
	if limit == 0 {
		limit = DefaultMaxConnections
	}
	share := &pool{most: limit}
	conn, err := connect(ctx, config, func(c driver.Connector) driver.Connector {
		return modest{bounded{c, config.Unprepared}, share}
	})
	if err != nil {
		return nil, err
	}
	share.set(conn)
	conn.SetMaxIdleConns(limit)
	conn.SetConnMaxIdleTime(5 * time.Minute)
	conn.SetConnMaxLifetime(15 * time.Minute) // a server that was replaced, and answers, is left
	s := &Store{db: sqlx.NewDb(conn, "postgres"), url: config.URL, clock: config.Clock, pooled: config.Unprepared}
	if s.clock == nil {
		s.clock = machineClock{}
	}
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
		{&s.findByPrevious, findByPreviousSQL},
		{&s.findByEither, findByEitherSQL},
		{&s.findByOffer, findByOfferSQL},
		{&s.findByID, findByIDSQL},
		{&s.isBlocked, isBlockedSQL},
		{&s.lockUser, lockUserSQL},
		{&s.scope, scopeSQL},
		{&s.write, writeSQL},
	} {
		if *p.statement, err = prepare(ctx, s.db, p.sql, unprepared); err != nil {
			return err
		}
	}
	return nil
}

// machineClock is this machine's.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Close waits for what is running and closes the connections.
func (s *Store) Close() error { return s.db.Close() }

// Find implements ports.SessionStore in one statement.
func (s *Store) Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	statement, args := s.findOnDevice, []any{slot.User.String(), slot.Device.String(), slot.Workflow.String(), slot.Actor.String()}
	if slot.Device.IsZero() {
		statement, args = s.findGenerated, []any{slot.User.String(), slot.Workflow.String(), by.String(), slot.Actor.String()}
	}
	var found row
	if err := statement.get(ctx, s.db, found.fields(), args...); err != nil {
		return session.Session{}, err
	}
	return found.session()
}

// FindByToken implements ports.SecretFinder: in one statement for a session's
// own token, in another if it is none, for the one before. To look for both in
// one takes a fifteenth of every check; where the last check found nothing, as
// in a flood of random tokens, that is less than a second statement. Nothing
// falls between two: a token that is not a session's own never becomes one.
func (s *Store) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	if s.missed.Load() {
		found, err := s.outline(ctx, s.findByEither, hash)
		s.missed.Store(err != nil)
		return found, err
	}
	found, err := s.outline(ctx, s.findByToken, hash)
	if errors.Is(err, session.KindNotFound) {
		found, err = s.outline(ctx, s.findByPrevious, hash)
		s.missed.Store(err != nil)
	}
	return found, err
}

// outline reads an active session's outline.
func (s *Store) outline(ctx context.Context, by statement, hash session.TokenHash) (session.Session, error) {
	found := row{Status: string(session.StatusActive)}
	if err := by.get(ctx, s.db, found.outline(), hash[:]); err != nil {
		return session.Session{}, err
	}
	return found.session()
}

// FindByOffer implements ports.SecretFinder in one statement, or in two when it
// finds nothing.
func (s *Store) FindByOffer(ctx context.Context, code session.TokenHash, by session.Bearer) (session.Session, error) {
	return s.find(ctx, s.findByOffer, by, code[:])
}

// find reads a session for by. Where there is none, nothing said whether by is
// blocked.
func (s *Store) find(ctx context.Context, statement statement, by session.Bearer, args ...any) (session.Session, error) {
	var r row
	err := statement.get(ctx, s.db, append(r.fields(), &r.ByBlocked), append(bearerArgs(by), args...)...)
	if errors.Is(err, session.KindNotFound) {
		return session.Session{}, cmp.Or(s.refuseBlocked(ctx, by), err)
	}
	if err != nil {
		return session.Session{}, err
	}
	found, err := r.session()
	if err == nil && r.ByBlocked {
		err = errSignedOut
	}
	return found, err
}

// refuseBlocked returns an error when by is blocked.
func (s *Store) refuseBlocked(ctx context.Context, by session.Bearer) error {
	var blocked bool
	if err := s.isBlocked.get(ctx, s.db, []any{&blocked}, bearerArgs(by)...); err != nil {
		return err
	}
	if blocked {
		return errSignedOut
	}
	return nil
}

var errSignedOut = session.Wrap(session.KindSignedOut, errors.New("this sign-in was signed out"))

// bearerArgs are the arguments of blockedSQL.
func bearerArgs(by session.Bearer) []any {
	return []any{by.User.String(), by.SignIn.String(), by.Actor.String(), optional(by.Verified)}
}

// readCommitted is what the locks rely on, whatever the server's default is:
// each statement sees what was committed before it began.
var readCommitted = &sql.TxOptions{Isolation: sql.LevelReadCommitted}

// Update implements ports.SessionStore in five round trips. It takes the
// user's lock in a statement of its own, so that the next one's snapshot has
// what the last holder committed, and locks the rows against the clean-up and
// against hand-written SQL. The statement that takes the lock reads the
// database's clock.
func (s *Store) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	if err := s.takeUser(ctx, tx, scope.User); err != nil {
		return err
	}
	seen, err := s.see(ctx, tx, scope)
	if err != nil {
		return err
	}
	changes, err := change(seen)
	if err != nil || changes.IsZero() {
		return err
	}
	if err := s.store(ctx, tx, scope.User, seen.Sessions, changes); err != nil {
		return err
	}
	return commit(ctx, tx)
}

// takeUser takes the user's lock, unless the service's clock is not the
// database's.
func (s *Store) takeUser(ctx context.Context, tx *sqlx.Tx, user session.UserID) error {
	var now time.Time
	before := s.clock.Now()
	if err := s.lockUser.one(ctx, tx, []any{&now}, user.String()); err != nil {
		return err
	}
	return session.CheckClock(now, before, s.clock.Now())
}

// see reads what is in scope, and locks the sessions.
func (s *Store) see(ctx context.Context, tx *sqlx.Tx, scope ports.Scope) (ports.Seen, error) {
	args := append(bearerArgs(scope.By), scope.User.String(), optionalID(scope.Session), scope.CreatedAfter, scope.NewDevices)
	rows, err := s.scope.rows(ctx, tx, args...)
	if err != nil {
		return ports.Seen{}, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var seen ports.Seen
	for first := true; rows.Next(); first = false {
		if there, err := besides(rows, first, &seen); err != nil || !there {
			return seen, err
		}
		var r row
		if err := rows.Scan(append([]any{ignored{}, ignored{}, ignored{}, ignored{}}, r.fields()...)...); err != nil {
			return seen, kinded(err)
		}
		found, err := r.session()
		if err != nil {
			return seen, err
		}
		seen.Sessions = append(seen.Sessions, found)
	}
	return seen, kinded(rows.Err())
}

// besides reads what the first row of scopeSQL says besides its session, and
// whether it has one.
func besides(rows *sqlx.Rows, first bool, seen *ports.Seen) (there bool, err error) {
	if !first {
		return true, nil
	}
	var blocked bool
	var encoded []byte
	fields := []any{&blocked, &seen.HolderBlocked, &encoded, &there}
	for range (&row{}).fields() {
		fields = append(fields, ignored{})
	}
	if err := rows.Scan(fields...); err != nil {
		return false, kinded(err)
	}
	if blocked {
		return false, errSignedOut
	}
	var known []signInRow
	if err := json.Unmarshal(encoded, &known); err != nil {
		return false, fmt.Errorf("sign-ins: %w", err)
	}
	for _, r := range known {
		seen.SignIns = append(seen.SignIns, r.signIn())
	}
	return there, nil
}

// ignored is where a column goes that is not needed.
type ignored struct{}

// Scan implements sql.Scanner.
func (ignored) Scan(any) error { return nil }

// begin begins a transaction. ctx bounds that and the statements that get it,
// but never COMMIT, which the driver would ask the server to cancel: a server
// that waits for its standby then says that it has committed what it alone has,
// and shows it to others.
func (s *Store) begin(ctx context.Context) (*sqlx.Tx, error) {
	beginning, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	tx, err := s.db.BeginTxx(beginning, readCommitted)
	return tx, kinded(err)
}

// commit commits. When ctx ends it waits no longer, and whether it was done is
// not known.
func commit(ctx context.Context, tx *sqlx.Tx) error {
	if err := ctx.Err(); err != nil {
		return kinded(err)
	}
	done := make(chan error, 1)
	go func() { done <- tx.Commit() }()
	select {
	case err := <-done:
		return kinded(err)
	case <-ctx.Done():
		return kinded(ctx.Err())
	}
}

// store writes changes in one statement.
func (s *Store) store(ctx context.Context, tx *sqlx.Tx, user session.UserID, seen []session.Session, changes ports.Changes) error {
	replaced, created := changes.Split(seen)
	replacedRows, err1 := encode(replaced, func(r ports.Replacement) (row, error) { return newRow(r.Is) })
	createdRows, err2 := encode(created, newRow)
	activity, err3 := encode(changes.Activity, newActivityRow)
	signIns, err4 := encode(signInRows(user, changes.SignInChanges), asItIs[signInRow])
	forget, err5 := encode(changes.Forget, func(h session.Holder) (signInRow, error) {
		return signInRow{User: user.String(), SignIn: h.SignIn.String(), Actor: h.Actor.String()}, nil
	})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	return s.write.exec(ctx, tx, replacedRows, createdRows, activity, signIns, forget)
}

// FindByID implements ports.SessionStore in one statement, or in two when it
// finds nothing.
func (s *Store) FindByID(ctx context.Context, user session.UserID, id session.ID, by session.Bearer) (session.Session, error) {
	return s.find(ctx, s.findByID, by, optionalID(id), user.String())
}

// List implements ports.SessionStore in one statement, which is planned for
// what is asked: a plan for anything would visit all that the user ever had.
func (s *Store) List(ctx context.Context, query ports.ListQuery) ([]session.Session, error) {
	args := append(append(bearerArgs(query.By), cutoffArgs(query.Cutoff)...), query.User.String(), query.Actor.String(), string(query.Status), optional(query.After.At), optionalID(query.After.ID), query.Limit)
	rows, err := s.db.QueryxContext(ctx, listSQL, args...)
	if err != nil {
		return nil, kinded(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var list []session.Session
	for bytes := 0; query.GoesOn(bytes) && rows.Next(); {
		var r row
		if err := rows.Scan(append(r.fields(), &r.ByBlocked)...); err != nil {
			return nil, kinded(err)
		}
		if r.ByBlocked {
			return nil, errSignedOut
		}
		s, err := r.session()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
		bytes += s.Metadata().Size()
	}
	if err := rows.Err(); err != nil || len(list) > 0 {
		return list, kinded(err)
	}
	return nil, s.refuseBlocked(ctx, query.By)
}

// cutoffArgs are the arguments of pastSQL.
func cutoffArgs(c session.Cutoff) []any {
	return []any{c.ExpiresAt, c.Usual.CreatedAt, c.Remembered.CreatedAt, optional(c.Usual.LastActivityAt), optional(c.Remembered.LastActivityAt)}
}

// optionalID is NULL for no id, and for one that is none of ours the last of
// all, which nothing has.
func optionalID(id session.ID) *uuid.UUID {
	if id.IsZero() {
		return nil
	}
	key, err := keyOf(id)
	if err != nil {
		key = uuid.Max
	}
	return &key
}

var errForeignID = errors.New("the id is none of ours")

// keyOf is the row's key for an id. The server's type takes a UUID in any
// spelling, and ids have one: any other is KindNotFound.
func keyOf(id session.ID) (uuid.UUID, error) {
	key, err := uuid.Parse(id.String())
	if err != nil || key.String() != id.String() {
		return uuid.UUID{}, session.Wrap(session.KindNotFound, errForeignID)
	}
	return key, nil
}

// Touch implements ports.UsageStore in one statement, which compares the clocks
// itself: a slow one counts as skew, and the uses wait for the next.
func (s *Store) Touch(ctx context.Context, uses []session.Use) ([]session.ID, error) {
	rows, err := encode(uses, func(u session.Use) (useRow, error) {
		return useRow{ID: u.Session.String(), At: u.At.UTC(), Opens: u.Opens, Checks: u.Checks, source: newSource(u.Source)}, nil
	})
	if err != nil {
		return nil, err
	}
	var now time.Time
	var texts pq.StringArray
	given := s.clock.Now()
	if err := s.db.QueryRowContext(ctx, touchSQL, rows, given, session.MaxClockSkew.String()).Scan(&now, &texts); err != nil {
		return nil, kinded(err)
	}
	if err := session.CheckClock(now, given, given); err != nil {
		return nil, err
	}
	busy := make([]session.ID, len(texts))
	for i, text := range texts {
		if busy[i], err = session.ParseID(text); err != nil {
			return nil, err
		}
	}
	return busy, nil
}

// ListActivity implements ports.ActivityStore in one statement.
func (s *Store) ListActivity(ctx context.Context, query ports.ActivityQuery) ([]session.Activity, error) {
	var rows []activityRow
	args := append(bearerArgs(query.By), query.User.String(), optionalID(query.Session), optional(query.After.At), optionalID(query.After.ID), query.Limit)
	err := s.db.SelectContext(ctx, &rows, activitySQL, args...)
	switch {
	case err != nil:
		return nil, kinded(err)
	case len(rows) == 0:
		return nil, s.refuseBlocked(ctx, query.By)
	case rows[0].ByBlocked:
		return nil, errSignedOut
	}
	list := make([]session.Activity, len(rows))
	for i, r := range rows {
		if list[i], err = r.activity(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// OwnerOf implements ports.AdminStore in one statement, or in two when it finds
// nothing.
func (s *Store) OwnerOf(ctx context.Context, id session.ID, by session.Bearer) (session.UserID, error) {
	var found struct {
		Owner     string `db:"clerk_user_id"`
		ByBlocked bool   `db:"by_blocked"`
	}
	err := kinded(s.db.GetContext(ctx, &found, ownerOfSQL, append(bearerArgs(by), optionalID(id))...))
	switch {
	case errors.Is(err, session.KindNotFound):
		return session.UserID{}, cmp.Or(s.refuseBlocked(ctx, by), err)
	case err != nil:
		return session.UserID{}, err
	case found.ByBlocked:
		return session.UserID{}, errSignedOut
	}
	return session.ParseUserID(found.Owner)
}

// Stats implements ports.AdminStore. It reads the whole table.
func (s *Store) Stats(ctx context.Context, by session.Bearer, cutoff session.Cutoff, since time.Time) (ports.Stats, error) {
	var counts []struct {
		Status    string `db:"status"`
		Count     int    `db:"count"`
		ByBlocked bool   `db:"by_blocked"`
	}
	err := s.db.SelectContext(ctx, &counts, countSQL, append(bearerArgs(by), cutoffArgs(cutoff)...)...)
	switch {
	case err != nil:
		return ports.Stats{}, kinded(err)
	case len(counts) == 0:
		err = s.refuseBlocked(ctx, by)
	case counts[0].ByBlocked:
		err = errSignedOut
	}
	if err != nil {
		return ports.Stats{}, err
	}
	stats := ports.Stats{Sessions: make(map[session.Status]int, len(counts))}
	for _, c := range counts {
		stats.Sessions[session.Status(c.Status)] = c.Count
	}
	var days []struct {
		Day    time.Time `db:"day"`
		Opens  int       `db:"opens"`
		Checks int       `db:"checks"`
	}
	if err := s.db.SelectContext(ctx, &days, daysSQL, since); err != nil {
		return ports.Stats{}, kinded(err)
	}
	for _, d := range days {
		stats.Days = append(stats.Days, ports.Day{Start: d.Day.UTC(), Opens: d.Opens, Checks: d.Checks})
	}
	return stats, nil
}

// ExpireDue implements ports.SessionCleaner.
func (s *Store) ExpireDue(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.batch(ctx, expireSQL, now, limit)
}

// PurgeEnded implements ports.SessionCleaner.
func (s *Store) PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, purgeSQL, before, limit)
}

// PurgeSignIns implements ports.SessionCleaner.
func (s *Store) PurgeSignIns(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, purgeSignInsSQL, before, limit)
}

// PurgeActivity implements ports.SessionCleaner.
func (s *Store) PurgeActivity(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, purgeActivitySQL, before, limit)
}

// batch runs one statement that counts its rows, in a transaction of its own,
// unless another replica is cleaning up. The lock ends with the transaction,
// whatever becomes of this replica.
func (s *Store) batch(ctx context.Context, text string, args ...any) (n int, err error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	var mine bool
	if err := tx.GetContext(ctx, &mine, tryCleanerLockSQL); err != nil || !mine {
		return 0, kinded(err)
	}
	if err := tx.GetContext(ctx, &n, text, args...); err != nil {
		return 0, kinded(err)
	}
	return n, commit(ctx, tx)
}

// Now implements ports.StoreProbe.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := s.db.GetContext(ctx, &now, nowSQL)
	return now.UTC(), kinded(err)
}

// HoldLease implements ports.LeaseRegistry. One that finds the lease held by
// another a moment before it may see none: it asks again.
func (s *Store) HoldLease(ctx context.Context, lease, kept time.Duration) (ports.LeaseInForce, error) {
	for {
		found, err := s.holdLease(ctx, lease, kept)
		if err != nil || found.Lease > 0 || lease == 0 {
			return found, err
		}
	}
}

// holdLease asks once, in a transaction that reads what others have committed,
// whatever the server's default is.
func (s *Store) holdLease(ctx context.Context, lease, kept time.Duration) (ports.LeaseInForce, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return ports.LeaseInForce{}, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	var found, since int64
	if err := tx.QueryRowContext(ctx, leaseSQL, lease.Microseconds(), kept.Microseconds()).Scan(&found, &since); err != nil {
		return ports.LeaseInForce{}, kinded(err)
	}
	return ports.LeaseInForce{Lease: time.Duration(found) * time.Microsecond, For: time.Duration(since) * time.Microsecond}, commit(ctx, tx)
}
