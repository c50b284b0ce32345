package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// The server may allow this login fewer connections than the pool's maximum: the
// role, the database and the server have limits of their own. Then callers wait for
// one of the open connections instead of being told that the database is
// unavailable:
//
//  1. The server refuses a connection with too_many_connections.
//  2. The pool's maximum becomes the number of open connections, for shrinkFor.
//  3. The refused caller waits for one of those.

// shrinkFor is how long the pool keeps the smaller maximum.
const shrinkFor = time.Minute

// tooManyConnections is the SQLSTATE too_many_connections.
const tooManyConnections pqerror.Code = "53300"

// pool is the maximum of a connection pool.
type pool struct {
	max int

	mu   sync.Mutex
	conn *sql.DB // nil until the first connection is open
	grow *time.Timer
}

// set applies the configured maximum to conn.
func (p *pool) set(conn *sql.DB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn = conn
	conn.SetMaxOpenConns(p.max)
}

// shrink limits the pool to its open connections for shrinkFor. It reports false if
// there is none that the refused caller could wait for.
func (p *pool) shrink() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return false
	}
	others := p.conn.Stats().OpenConnections - 1 // which includes the refused one
	if others < 1 {
		return false
	}
	p.conn.SetMaxOpenConns(others)
	if p.grow != nil {
		p.grow.Stop()
	}
	p.grow = time.AfterFunc(shrinkFor, func() { p.set(p.conn) })
	return true
}

// limitedConnector shrinks the pool when the server refuses a connection.
type limitedConnector struct {
	driver.Connector
	pool *pool
}

// Connect implements driver.Connector. On driver.ErrBadConn database/sql tries again
// and waits for an open connection.
func (m limitedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := m.Connector.Connect(ctx)
	var refused *pq.Error
	if errors.As(err, &refused) && refused.Code == tooManyConnections && m.pool.shrink() {
		return nil, driver.ErrBadConn
	}
	return conn, err
}
