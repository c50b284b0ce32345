package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// A replica can stop in the middle of anything: a stopped process, a suspended
// machine, a node that is lost. The server does not notice, and its locks would
// hold up their users on every other replica. So the server bounds them:
//
//  1. It ends a transaction, with its connection, whose replica has said nothing
//     for idleInTransaction.
//  2. It lets no statement wait for a lock for longer than lockWait, which is
//     less: what a replica has left waiting behind its own transaction does not
//     get the locks after that, one after the other.
//  3. It ends connections whose other side is gone, or takes nothing more of an
//     answer, after peerTimeout.
//
// The first two go with BEGIN, for the one transaction, in the same round trip:
// a pooler in transaction mode passes no settings of a connection on.

// bounded connects so that the server bounds for how long a connection that its
// replica has left holds anything.
type bounded struct {
	driver.Connector
	// pooled says that a pooler hands connections on: then they are its own to
	// watch.
	pooled bool
}

// Connect implements driver.Connector.
func (b bounded) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := b.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connect: the driver's connection is a %T", opened), opened.Close())
	}
	if !b.pooled {
		if _, err := conn.ExecContext(ctx, peerSQL, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return boundedConn{conn}, nil
}

// driverConn is all that a connection of the driver can do for database/sql.
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
	driver.Tx // the one that has begun
}

// boundedConn bounds the transactions of a connection.
type boundedConn struct{ driverConn }

var errIsolation = errors.New("the store's transactions are READ COMMITTED")

// BeginTx implements driver.ConnBeginTx. ctx bounds only that it begins.
func (c boundedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if sql.IsolationLevel(options.Isolation) != sql.LevelReadCommitted || options.ReadOnly {
		return nil, errIsolation
	}
	if _, err := c.ExecContext(ctx, beginSQL, nil); err != nil {
		_ = c.Rollback() // of what may have begun
		return nil, err
	}
	return c.driverConn, nil
}
