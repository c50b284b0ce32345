package postgres

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"chatkit-session/core/session"
)

// kinded wraps a driver's error with its session.Kind, by SQLSTATE
// (https://www.postgresql.org/docs/current/errcodes-appendix.html) or by the
// connection's error. It returns nil for nil.
func kinded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return session.Wrap(session.KindNotFound, err)
	case broken(err):
		return session.Wrap(session.KindUnavailable, err)
	}
	var e *pq.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Code == "23505": // unique_violation
		return session.Wrap(session.KindConflict, err)
	case unavailable(e.Code):
		return session.Wrap(session.KindUnavailable, err)
	}
	return err
}

// broken reports whether the context ended or the connection failed.
func broken(err error) bool {
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, sql.ErrConnDone, sql.ErrTxDone,
		driver.ErrBadConn, pq.ErrSSLNotSupported, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	var network net.Error
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &network) || errors.As(err, &certificate)
}

// unavailable reports whether a retry may succeed.
func unavailable(code pqerror.Code) bool {
	switch code.Class() {
	case "08", // connection exception
		"28", // invalid authorization: a password that is being changed
		"53", // insufficient resources
		"58": // system error, outside PostgreSQL
		return true
	}
	switch code {
	case "57014", // query_canceled: by a deadline
		"57P01", "57P02", "57P03", "57P04", "57P05", // admin shutdown, crash shutdown, cannot connect now, database dropped, idle session timeout
		"25006", // read_only_sql_transaction: a standby during a failover
		"25P03", // idle_in_transaction_session_timeout
		"40001", // serialization_failure
		"40P01", // deadlock_detected
		"55P03": // lock_not_available
		return true
	}
	return false
}
