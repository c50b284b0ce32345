package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/lib/pq"
)

// connectTimeout bounds how long a host may take to answer a connection.
const connectTimeout = 5 * time.Second

// Connect opens a connection pool and checks that the server answers. What
// config's URL does not say is set: sslmode is "require", or "disable" on
// loopback and Unix sockets; application_name is chatkit-session. No error
// shows the URL.
func Connect(ctx context.Context, config Config) (*sql.DB, error) {
	dsn, err := complete(config)
	if err != nil {
		return nil, err
	}
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, errNotURL // without the cause, which may show it
	}
	connector.Dialer(dialer{net.Dialer{Timeout: connectTimeout}, config.Silence})
	conn := sql.OpenDB(connector)
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
