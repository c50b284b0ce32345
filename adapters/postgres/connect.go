package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/lib/pq"
)

// connectTimeout is how long each host may take to accept a connection, in seconds.
// It is much shorter than Config.Silence, so that a request has time to try another
// host after one that hangs.
const connectTimeout = "3"

// Connect opens a connection pool and checks that the server answers. Options that
// config's URL does not set have these defaults: sslmode is "verify-full", or
// "disable" on loopback and Unix sockets; application_name is chatkit-session;
// connect_timeout is 3 seconds. Of several hosts, the one that accepted the last
// connection is tried first. No error contains the URL.
func Connect(ctx context.Context, config Config) (*sql.DB, error) {
	return connect(ctx, config, func(c driver.Connector) driver.Connector { return c })
}

// connect is Connect with a decorator of the connector.
func connect(ctx context.Context, config Config, decorate func(driver.Connector) driver.Connector) (*sql.DB, error) {
	dsn, err := complete(config)
	if err != nil {
		return nil, err
	}
	connector, err := newHosts(dsn, dialer{timeout: config.Silence})
	if err != nil {
		return nil, errNotURL // without the cause, which may contain the URL
	}
	conn := sql.OpenDB(decorate(connector))
	if err := conn.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the database: %w", kinded(err)), conn.Close())
	}
	return conn, nil
}

// Check returns an error if text is no valid Config.URL. The error does not contain
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
