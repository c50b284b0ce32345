package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// A replica can stop in the middle of a transaction: its process is stopped, its
// virtual machine is suspended, its node is lost. The server does not notice, and
// the transaction's locks block its users' requests on every other replica. So the
// server itself limits how long:
//
//  1. It ends a transaction, and its connection, that is idle for
//     idleInTransaction.
//  2. It cancels a statement that waits for a lock for lockWait. That is shorter:
//     statements of the stopped replica that are queued behind its transaction
//     fail before it ends, instead of taking the locks one after the other.
//  3. It closes a connection whose peer is gone, or takes no more data, after
//     peerTimeout.
//
// The first two are set with BEGIN, for one transaction and in the same round trip,
// because a pooler in transaction mode does not keep a connection's settings.

// timeoutConnector makes connections with the server's timeouts above.
type timeoutConnector struct {
	driver.Connector
	// pooled says that connections go through a pooler. Then the pooler detects
	// peers that are gone.
	pooled bool
}

// Connect implements driver.Connector.
func (t timeoutConnector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := t.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connect: the driver's connection is a %T", opened), opened.Close())
	}
	if !t.pooled {
		if _, err := conn.ExecContext(ctx, peerSQL, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return timeoutConn{conn}, nil
}

// driverConn lists the interfaces of database/sql/driver that lib/pq's connection
// implements.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.Tx // the current transaction
}

// timeoutConn begins each transaction with the server's timeouts.
type timeoutConn struct{ driverConn }

var errIsolation = errors.New("the store's transactions must be READ COMMITTED and READ WRITE")

// BeginTx implements driver.ConnBeginTx. ctx applies to BEGIN only.
func (c timeoutConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if sql.IsolationLevel(options.Isolation) != sql.LevelReadCommitted || options.ReadOnly {
		return nil, errIsolation
	}
	if _, err := c.ExecContext(ctx, beginSQL, nil); err != nil {
		_ = c.Rollback() // the transaction may have begun
		return nil, err
	}
	return c.driverConn, nil
}
