package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/lib/pq"

	"chatkit-session/core/session"
)

// Connect opens a connection pool to a postgres:// URL and checks that the
// server answers. What the URL does not say is set: sslmode is "require", or
// "disable" on loopback and Unix sockets; connect_timeout is 5 seconds;
// application_name is chatkit-session. No error shows the URL.
func Connect(ctx context.Context, text string) (*sql.DB, error) {
	dsn, err := complete(text)
	if err != nil {
		return nil, err
	}
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, errors.New("the database's URL is not good") // without the cause, which may show it
	}
	conn := sql.OpenDB(connector)
	if err := conn.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the database: %w", kinded(err)), conn.Close())
	}
	return conn, nil
}

// complete adds what the URL leaves open.
func complete(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", session.Invalid("url", "must be postgres://…")
	}
	query := u.Query()
	for name, value := range map[string]string{
		"sslmode":          defaultSSLMode(u),
		"connect_timeout":  "5",
		"application_name": "chatkit-session",
	} {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func defaultSSLMode(u *url.URL) string {
	host := u.Hostname()
	if given := u.Query().Get("host"); given != "" {
		host = given
	}
	ip := net.ParseIP(host)
	if host == "" || host == "localhost" || strings.HasPrefix(host, "/") || (ip != nil && ip.IsLoopback()) {
		return "disable"
	}
	return "require"
}
