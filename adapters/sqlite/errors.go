package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"chatkit-session/core/session"
)

// primary masks an extended result code down to its primary one
// (https://www.sqlite.org/rescode.html#extrc).
const primary = 0xff

// kinded wraps a driver's error with its session.Kind, by code. It returns nil for
// nil.
func kinded(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return session.Wrap(session.KindNotFound, err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) {
		return session.Wrap(session.KindUnavailable, err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return session.Wrap(session.KindConflict, err)
	}
	switch e.Code() & primary {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_INTERRUPT, lib.SQLITE_IOERR,
		lib.SQLITE_FULL, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_NOMEM:
		return session.Wrap(session.KindUnavailable, err)
	}
	return err
}

// busy reports whether err is a timeout of waiting for another connection's lock.
func busy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&primary == lib.SQLITE_BUSY
}
