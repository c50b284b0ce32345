// Package postgres keeps sessions in PostgreSQL, for any number of replicas.
package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

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

// Now implements ports.StoreProbe.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := s.db.GetContext(ctx, &now, nowSQL)
	return now.UTC(), kinded(err)
}
