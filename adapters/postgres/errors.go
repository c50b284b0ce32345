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

// kinded gives a driver's error its kind, by SQLSTATE
// (https://www.postgresql.org/docs/current/errcodes-appendix.html) or by what
// the connection met. It returns nil for nil.
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

// broken reports whether the caller gave up, or the connection did.
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

// unavailable reports whether trying again later may succeed.
func unavailable(code pqerror.Code) bool {
	switch code.Class() {
	case "08", // connection exception
		"28", // invalid authorization: a password that was changed meanwhile
		"53", // insufficient resources
		"58": // system error, outside PostgreSQL
		return true
	}
	switch code {
	case "57014", // query_canceled: by a deadline
		"57P01", "57P02", "57P03", "57P04", "57P05", // shutting down, crashed, starting up, dropped, idle
		"25006", // read_only_sql_transaction: a standby, in the middle of a failover
		"25P03", // idle_in_transaction_session_timeout
		"40001", // serialization_failure
		"40P01", // deadlock_detected
		"55P03": // lock_not_available
		return true
	}
	return false
}
