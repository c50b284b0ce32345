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

// The server may have fewer connections for this login than the pool may open:
// the role's, the database's or its own limit. Then the pool makes do with those
// that it has, and who wants one waits for them, instead of being told that the
// database is unavailable.

// fewerFor is for how long the pool makes do with what it got.
const fewerFor = time.Minute

// tooMany is too_many_connections.
const tooMany pqerror.Code = "53300"

// pool bounds how many connections are opened.
type pool struct {
	most int

	mu   sync.Mutex
	conn *sql.DB // nil until there is one
	more *time.Timer
}

// set bounds the connections of conn.
func (p *pool) set(conn *sql.DB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn = conn
	conn.SetMaxOpenConns(p.most)
}

// fewer lets the pool open no more than it has, for a while. It reports whether
// it has any, so that who was refused can wait for one of them.
func (p *pool) fewer() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return false
	}
	others := p.conn.Stats().OpenConnections - 1 // the one that was refused is counted there
	if others < 1 {
		return false
	}
	p.conn.SetMaxOpenConns(others)
	if p.more != nil {
		p.more.Stop()
	}
	p.more = time.AfterFunc(fewerFor, func() { p.set(p.conn) })
	return true
}

// modest connects as often as the server lets it.
type modest struct {
	driver.Connector
	pool *pool
}

// Connect implements driver.Connector. For driver.ErrBadConn database/sql tries
// again, and then waits for a connection that is there.
func (m modest) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := m.Connector.Connect(ctx)
	var refused *pq.Error
	if errors.As(err, &refused) && refused.Code == tooMany && m.pool.fewer() {
		return nil, driver.ErrBadConn
	}
	return conn, err
}
