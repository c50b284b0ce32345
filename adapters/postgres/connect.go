package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/lib/pq"
)

// connectTimeout bounds how long each host may take to let a connection in, in
// seconds: far less than it may be silent later, so that a host that hangs
// leaves a request the time to ask another.
const connectTimeout = "3"

// Connect opens a connection pool and checks that the server answers. What
// config's URL does not say is set: sslmode is "verify-full", or "disable" on
// loopback and Unix sockets; application_name is chatkit-session;
// connect_timeout is 3 seconds. Of several hosts the one that took the last
// connection is asked first. No error shows the URL.
func Connect(ctx context.Context, config Config) (*sql.DB, error) {
	return connect(ctx, config, func(c driver.Connector) driver.Connector { return c })
}

// connect is Connect with what is made of the connections.
func connect(ctx context.Context, config Config, with func(driver.Connector) driver.Connector) (*sql.DB, error) {
	dsn, err := complete(config)
	if err != nil {
		return nil, err
	}
	connector, err := newHosts(dsn, dialer{silence: config.Silence})
	if err != nil {
		return nil, errNotURL // without the cause, which may show it
	}
	conn := sql.OpenDB(with(connector))
	if err := conn.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the database: %w", kinded(err)), conn.Close())
	}
	return conn, nil
}

// Check reports whether text can be a Config's URL. Its error does not show
// the text.
func Check(text string) error {
	dsn, err := complete(Config{URL: text})
	if err != nil {
		return err
	}
	if _, err := pq.NewConnector(dsn); err != nil {
		return errNotURL
	}
	return nil
}
