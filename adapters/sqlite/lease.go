package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// HoldLease implements ports.LeaseRegistry.
func (s *Store) HoldLease(ctx context.Context, lease, kept time.Duration) (ports.LeaseInForce, error) {
	if lease > 0 {
		found, err := s.hold(ctx, lease, kept)
		if !errors.Is(err, session.KindNotFound) {
			return found, err
		}
	}
	found, err := leaseInForce(s.reads.QueryRowContext(ctx, leaseSQL, kept.Microseconds()))
	if errors.Is(err, session.KindNotFound) {
		return ports.LeaseInForce{}, nil
	}
	return found, err
}

// hold registers or renews the lease. It returns KindNotFound if another lease is in
// force.
func (s *Store) hold(ctx context.Context, lease, kept time.Duration) (ports.LeaseInForce, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return ports.LeaseInForce{}, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	found, err := leaseInForce(tx.QueryRowContext(ctx, holdLeaseSQL, lease.Microseconds(), kept.Microseconds()))
	if err != nil {
		return ports.LeaseInForce{}, err
	}
	return found, kinded(tx.Commit())
}

// leaseInForce reads the lease in force and for how long it has been, both in
// microseconds.
func leaseInForce(row *sql.Row) (ports.LeaseInForce, error) {
	var lease, since int64
	err := row.Scan(&lease, &since)
	return ports.LeaseInForce{Lease: time.Duration(lease) * time.Microsecond, For: time.Duration(since) * time.Microsecond}, kinded(err)
}
