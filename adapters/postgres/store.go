// Package postgres stores sessions in PostgreSQL, for any number of replicas.
// db/SCHEMA.md describes the tables and which index holds which rule.
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

// DefaultMaxConnections is the default of Config.MaxConnections.
const DefaultMaxConnections = 32

// Config configures a Store.
type Config struct {
	// URL is a postgres:// URL, see Connect. Its login must be a member of
	// chatkit_service or own the schema. Required.
	URL string
	// MaxConnections bounds the pool; 0 means DefaultMaxConnections.
	MaxConnections int
	// Silence is how long the server may send nothing while a statement runs
	// before the connection is closed; 0 means no limit.
	Silence time.Duration
	// Unprepared disables prepared statements. A pooler in transaction mode, such
	// as pgbouncer, does not support them.
	Unprepared bool
	// Clock is the service's clock. While it differs from the database's, the
	// store writes nothing. Nil means this machine's clock.
	Clock ports.Clock
}

// Store stores sessions in PostgreSQL.
type Store struct {
	db    *sqlx.DB
	url   string
	clock ports.Clock
	// pooled is Config.Unprepared: connections go through a pooler.
	pooled bool

	// missed says that the last token lookup found no session.
	missed atomic.Bool

	findOnDevice, findGenerated statement
	findByToken, findByPrevious statement
	findByEither                statement
	findByOffer                 statement
	findByID, isBlocked         statement
	lockUser, scope, write      statement
}

var _ ports.Store = (*Store)(nil)

// Open connects to a database, whose schema must be up to date.
func Open(ctx context.Context, config Config) (*Store, error) {
	limit := config.MaxConnections
	if limit == 0 {
		limit = DefaultMaxConnections
	}
	share := &pool{max: limit}
	conn, err := connect(ctx, config, func(c driver.Connector) driver.Connector {
		return limitedConnector{timeoutConnector{c, config.Unprepared}, share}
	})
	if err != nil {
		return nil, err
	}
	share.set(conn)
	conn.SetMaxIdleConns(limit)
	conn.SetConnMaxIdleTime(5 * time.Minute)
	conn.SetConnMaxLifetime(15 * time.Minute) // so that a replaced server that still answers is left
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

// machineClock is this machine's clock.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Close waits for running statements and closes the connections.
func (s *Store) Close() error { return s.db.Close() }

// Now implements ports.StoreProbe.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := s.db.GetContext(ctx, &now, nowSQL)
	return now.UTC(), kinded(err)
}
