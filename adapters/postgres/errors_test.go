package postgres_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"chatkit-session/adapters/postgres"
	"chatkit-session/core/session"
)

func TestKinded(t *testing.T) {
	t.Parallel()
	state := func(code pqerror.Code) error { return &pq.Error{Code: code} }
	cases := map[session.Kind][]error{
		session.KindNotFound: {sql.ErrNoRows},
		session.KindConflict: {state("23505")},
		session.KindUnavailable: {
			context.Canceled, context.DeadlineExceeded, sql.ErrConnDone, sql.ErrTxDone, driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF,
			&net.OpError{Op: "dial", Err: errors.New("refused")}, os.ErrDeadlineExceeded,
			pq.ErrSSLNotSupported, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, state("28P01"),
			state("08006"), state("08001"), state("53300"), state("53100"), state("57014"), state("57P01"), state("57P02"), state("57P03"),
			state("58030"), state("25006"), state("25P03"), state("40001"), state("40P01"), state("55P03"),
		},
		session.KindInternal: {
			errors.New("other"), state("23502"), state("23514"), state("42P01"), state("42501"), state("22P02"), state("XX000"),
		},
	}
	for want, errs := range cases {
		for _, err := range errs {
			twice := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", err))
			if got := postgres.Kinded(twice); session.KindOf(got) != want || !errors.Is(got, err) {
				t.Errorf("kinded(%v) is %v, want %v", err, session.KindOf(got), want)
			}
		}
	}
	if postgres.Kinded(nil) != nil {
		t.Error("an error out of nothing")
	}
}
