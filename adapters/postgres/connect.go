package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/lib/pq"
)

// connectTimeout bounds how long each host may take to let a connection in, in
// seconds: far less than it may be silent later, so that a host that hangs
// leaves a request the time to ask another.
const connectTimeout = "3"

// Connect opens a connection pool and checks that the server answers. What
// config's URL does not say is set: sslmode is "require", or "disable" on
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

var errNotURL = errors.New("must be postgres://user:password@host/database, with options that PostgreSQL knows")

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

// complete adds what the URL leaves open.
func complete(config Config) (string, error) {
	u, err := url.Parse(config.URL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", errNotURL
	}
	query := u.Query()
	defaults := map[string]string{
		"sslmode":          defaultSSLMode(u),
		"application_name": "chatkit-session",
		"connect_timeout":  connectTimeout,
	}
	if config.Unprepared {
		defaults["binary_parameters"] = "yes" // a statement and its values go in one message
	}
	for name, value := range defaults {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// defaultSSLMode encrypts unless all hosts are on this machine. There may be
// several, for a failover.
func defaultSSLMode(u *url.URL) string {
	hosts := u.Hostname()
	if given := u.Query().Get("host"); given != "" {
		hosts = given
	}
	for host := range strings.SplitSeq(hosts, ",") {
		ip := net.ParseIP(host)
		if host != "" && host != "localhost" && !strings.HasPrefix(host, "/") && (ip == nil || !ip.IsLoopback()) {
			return "require"
		}
	}
	return "disable"
}
