// Package sqlite keeps sessions in an embedded SQLite database: one file, no
// server, for one replica.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"slices"
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

var _ ports.Store = (*Store)(nil)

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
	s.finds = make(map[string]*sqlx.Stmt)
	for _, text := range []string{findOnDeviceSQL, findGeneratedSQL, findByTokenSQL, findByOfferSQL, findByIDSQL} {
		if s.finds[text], err = s.reads.PreparexContext(ctx, text); err != nil {
			return kinded(err)
		}
	}
	return nil
}

// Close waits for what is running and closes the database.
func (s *Store) Close() error { return errors.Join(s.reads.Close(), s.writes.Close()) }

// Find implements ports.SessionStore.
func (s *Store) Find(ctx context.Context, slot session.Slot, by session.SignInID) (session.Session, error) {
	if slot.Device.IsZero() {
		return s.find(ctx, findGeneratedSQL, slot.User.String(), slot.Workflow.String(), by.String(), slot.Actor.String())
	}
	return s.find(ctx, findOnDeviceSQL, slot.User.String(), slot.Device.String(), slot.Workflow.String(), slot.Actor.String())
}

// FindByToken implements ports.SecretFinder.
func (s *Store) FindByToken(ctx context.Context, hash session.TokenHash) (session.Session, error) {
	found, err := s.find(ctx, findByTokenSQL, hash[:])
	return found.Outline(), err
}

// FindByOffer implements ports.SecretFinder.
func (s *Store) FindByOffer(ctx context.Context, code session.TokenHash, by session.Bearer) (session.Session, error) {
	if err := refuseBlocked(ctx, s.reads, by); err != nil {
		return session.Session{}, err
	}
	return s.find(ctx, findByOfferSQL, code[:])
}

// refuseBlocked returns an error when by is blocked. In SQLite a statement more
// costs no round trip.
func refuseBlocked(ctx context.Context, db sqlx.QueryerContext, by session.Bearer) error {
	var blocked bool
	err := sqlx.GetContext(ctx, db, &blocked, isBlockedSQL, by.User.String(), by.SignIn.String(), by.Actor.String(), optionalMicros(by.Verified))
	if err != nil {
		return kinded(err)
	}
	if blocked {
		return session.Wrap(session.KindSignedOut, errors.New("this sign-in was signed out"))
	}
	return nil
}

func (s *Store) find(ctx context.Context, text string, args ...any) (session.Session, error) {
	var r row
	if err := s.finds[text].GetContext(ctx, &r, args...); err != nil {
		return session.Session{}, kinded(err)
	}
	return r.session()
}

// Update implements ports.SessionStore. The transaction holds SQLite's one
// write lock from its first statement.
func (s *Store) Update(ctx context.Context, scope ports.Scope, change func(ports.Seen) (ports.Changes, error)) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	if err := refuseBlocked(ctx, tx, scope.By); err != nil {
		return err
	}
	seen, err := see(ctx, tx, scope)
	if err != nil {
		return err
	}
	changes, err := change(seen)
	if err != nil || changes.IsZero() {
		return err
	}
	if err := store(ctx, tx, seen.Sessions, changes); err != nil {
		return err
	}
	if err := storeSignIns(ctx, tx, scope.User, changes.SignInChanges); err != nil {
		return err
	}
	return kinded(tx.Commit())
}

// see reads what is in scope.
func see(ctx context.Context, tx *sqlx.Tx, scope ports.Scope) (seen ports.Seen, err error) {
	user, id := scope.User.String(), scope.Session.String()
	var rows []row
	if err := tx.SelectContext(ctx, &rows, scopeSQL, user, id, micros(scope.CreatedAfter), scope.NewDevices); err != nil {
		return seen, kinded(err)
	}
	if err := tx.GetContext(ctx, &seen.HolderBlocked, holderBlockedSQL, user, id); err != nil {
		return seen, kinded(err)
	}
	var signIns []signInRow
	if err := tx.SelectContext(ctx, &signIns, signInsSQL, user); err != nil {
		return seen, kinded(err)
	}
	for _, r := range signIns {
		seen.SignIns = append(seen.SignIns, r.signIn())
	}
	seen.Sessions, err = sessions(rows)
	return seen, err
}

// storeSignIns writes what is to be remembered of sign-ins.
func storeSignIns(ctx context.Context, tx *sqlx.Tx, user session.UserID, changes ports.SignInChanges) error {
	asRow := func(s session.SignIn) (signInRow, error) { return newSignInRow(user, s), nil }
	for _, s := range changes.SignIns {
		if err := write(ctx, tx, rememberSQL, s, asRow); err != nil {
			return err
		}
	}
	for _, holder := range changes.Forget {
		forgotten := session.RestoreSignIn(session.StoredSignIn{SignIn: holder.SignIn.String(), Actor: holder.Actor.String()})
		if err := write(ctx, tx, forgetSQL, forgotten, asRow); err != nil {
			return err
		}
	}
	if changes.Moment.IsZero() {
		return nil
	}
	moment := session.RestoreSignIn(session.StoredSignIn{FirstSeen: changes.Moment, Verified: changes.Moment})
	return write(ctx, tx, rememberSQL, moment, asRow)
}

// store writes changes: sessions that end first, new ones last, so that there
// is room for those that come.
func store(ctx context.Context, tx *sqlx.Tx, seen []session.Session, changes ports.Changes) error {
	replaced, created := changes.Split(seen)
	live := func(r ports.Replacement) int {
		if r.Is.Status() == session.StatusActive {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(replaced, func(a, b ports.Replacement) int { return live(a) - live(b) })
	for _, r := range replaced {
		if err := write(ctx, tx, updateSQL, r.Is, newRow); err != nil {
			return err
		}
	}
	for _, s := range created {
		if err := write(ctx, tx, insertSQL, s, newRow); err != nil {
			return err
		}
	}
	for _, a := range changes.Activity {
		if err := write(ctx, tx, noteSQL, a, newActivityRow); err != nil {
			return err
		}
	}
	return nil
}

func write[T, R any](ctx context.Context, tx *sqlx.Tx, text string, value T, row func(T) (R, error)) error {
	r, err := row(value)
	if err != nil {
		return err
	}
	_, err = tx.NamedExecContext(ctx, text, r)
	return kinded(err)
}

// FindByID implements ports.SessionStore.
func (s *Store) FindByID(ctx context.Context, user session.UserID, id session.ID, by session.Bearer) (session.Session, error) {
	found, err := s.find(ctx, findByIDSQL, id.String(), user.String())
	if err == nil || errors.Is(err, session.KindNotFound) {
		err = cmp.Or(refuseBlocked(ctx, s.reads, by), err)
	}
	return found, err
}

// List implements ports.SessionStore.
func (s *Store) List(ctx context.Context, query ports.ListQuery) ([]session.Session, error) {
	if err := refuseBlocked(ctx, s.reads, query.By); err != nil {
		return nil, err
	}
	args := append(cutoffArgs(query.Cutoff), query.User.String(), string(query.Status), optionalMicros(query.After.At), query.After.ID.String(), query.Limit, query.Actor.String())
	rows, err := s.reads.QueryxContext(ctx, listSQL, args...)
	if err != nil {
		return nil, kinded(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var list []session.Session
	for bytes := 0; query.GoesOn(bytes) && rows.Next(); {
		var r row
		if err := rows.StructScan(&r); err != nil {
			return nil, kinded(err)
		}
		s, err := r.session()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
		bytes += s.Metadata().Size()
	}
	return list, kinded(rows.Err())
}

// cutoffArgs are the arguments of statusAtSQL.
func cutoffArgs(c session.Cutoff) []any {
	return []any{micros(c.ExpiresAt), micros(c.Usual.CreatedAt), micros(c.Remembered.CreatedAt), optionalMicros(c.Usual.LastActivityAt), optionalMicros(c.Remembered.LastActivityAt)}
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

// Touch implements ports.UsageStore. Nobody is ever busy: there is one writer.
func (s *Store) Touch(ctx context.Context, uses []session.Use) ([]session.ID, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	for _, use := range uses {
		if _, err := tx.NamedExecContext(ctx, touchSQL, newUseRow(use)); err != nil {
			return nil, kinded(err)
		}
		if _, err := tx.ExecContext(ctx, totalSQL, micros(use.At.Truncate(24*time.Hour)), use.Opens, use.Checks); err != nil {
			return nil, kinded(err)
		}
	}
	return nil, kinded(tx.Commit())
}

// ListActivity implements ports.ActivityStore.
func (s *Store) ListActivity(ctx context.Context, query ports.ActivityQuery) ([]session.Activity, error) {
	if err := refuseBlocked(ctx, s.reads, query.By); err != nil {
		return nil, err
	}
	var rows []activityRow
	err := s.reads.SelectContext(ctx, &rows, activitySQL, query.User.String(), query.Session.String(), optionalMicros(query.After.At), query.After.ID.String(), query.Limit)
	if err != nil {
		return nil, kinded(err)
	}
	list := make([]session.Activity, len(rows))
	for i, r := range rows {
		if list[i], err = r.activity(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// OwnerOf implements ports.AdminStore.
func (s *Store) OwnerOf(ctx context.Context, id session.ID, by session.Bearer) (session.UserID, error) {
	if err := refuseBlocked(ctx, s.reads, by); err != nil {
		return session.UserID{}, err
	}
	var owner string
	if err := s.reads.GetContext(ctx, &owner, ownerOfSQL, id.String()); err != nil {
		return session.UserID{}, kinded(err)
	}
	return session.ParseUserID(owner)
}

// Stats implements ports.AdminStore. It reads the whole table.
func (s *Store) Stats(ctx context.Context, by session.Bearer, cutoff session.Cutoff, since time.Time) (ports.Stats, error) {
	if err := refuseBlocked(ctx, s.reads, by); err != nil {
		return ports.Stats{}, err
	}
	var counts []struct {
		Status string `db:"status"`
		Count  int    `db:"count"`
	}
	if err := s.reads.SelectContext(ctx, &counts, countSQL, cutoffArgs(cutoff)...); err != nil {
		return ports.Stats{}, kinded(err)
	}
	stats := ports.Stats{Sessions: make(map[session.Status]int, len(counts))}
	for _, c := range counts {
		stats.Sessions[session.Status(c.Status)] = c.Count
	}
	var days []struct {
		Day    int64 `db:"day"`
		Opens  int   `db:"opens"`
		Checks int   `db:"checks"`
	}
	if err := s.reads.SelectContext(ctx, &days, daysSQL, micros(since)); err != nil {
		return ports.Stats{}, kinded(err)
	}
	for _, d := range days {
		stats.Days = append(stats.Days, ports.Day{Start: fromMicros(d.Day), Opens: d.Opens, Checks: d.Checks})
	}
	return stats, nil
}

// ExpireDue implements ports.SessionCleaner.
func (s *Store) ExpireDue(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.batch(ctx, micros(now), limit, noteDueSQL, expireSQL)
}

// PurgeEnded implements ports.SessionCleaner.
func (s *Store) PurgeEnded(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, micros(before), limit, purgeSQL)
}

// PurgeSignIns implements ports.SessionCleaner.
func (s *Store) PurgeSignIns(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, micros(before), limit, purgeSignInsSQL)
}

// PurgeActivity implements ports.SessionCleaner.
func (s *Store) PurgeActivity(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.batch(ctx, micros(before), limit, purgeActivitySQL)
}

// batch runs statements about the same rows in a transaction of its own and
// returns how many rows the last one changed.
func (s *Store) batch(ctx context.Context, at int64, limit int, statements ...string) (int, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	var n int64
	for _, text := range statements {
		result, err := tx.ExecContext(ctx, text, at, limit)
		if err != nil {
			return 0, kinded(err)
		}
		if n, err = result.RowsAffected(); err != nil {
			return 0, kinded(err)
		}
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

// HoldLease implements ports.LeaseRegistry.
func (s *Store) HoldLease(ctx context.Context, lease, kept time.Duration) (ports.LeaseInForce, error) {
	if lease > 0 {
		found, err := s.hold(ctx, lease, kept)
		if !errors.Is(err, session.KindNotFound) {
			return found, err
		}
	}
	found, err := leaseInForce(s.reads.QueryRowContext(ctx, leaseSQL, kept.Microseconds()))
	if errors.Is(err, session.KindNotFound) {
		return ports.LeaseInForce{}, nil
	}
	return found, err
}

// hold takes the lease, or holds it; KindNotFound when another one is in force.
func (s *Store) hold(ctx context.Context, lease, kept time.Duration) (ports.LeaseInForce, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return ports.LeaseInForce{}, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	found, err := leaseInForce(tx.QueryRowContext(ctx, holdLeaseSQL, lease.Microseconds(), kept.Microseconds()))
	if err != nil {
		return ports.LeaseInForce{}, err
	}
	return found, kinded(tx.Commit())
}

// leaseInForce reads which lease is in force, and since when, in microseconds.
func leaseInForce(row *sql.Row) (ports.LeaseInForce, error) {
	var lease, since int64
	err := row.Scan(&lease, &since)
	return ports.LeaseInForce{Lease: time.Duration(lease) * time.Microsecond, For: time.Duration(since) * time.Microsecond}, kinded(err)
}
