package postgres

import (
	"context"
	"time"

	"chatkit-session/ports"
)

// HoldLease implements ports.LeaseRegistry. If another replica registers a lease at
// the same moment, the statement may see no lease at all: then HoldLease tries again.
func (s *Store) HoldLease(ctx context.Context, lease, kept time.Duration) (ports.LeaseInForce, error) {
	for {
		found, err := s.holdLease(ctx, lease, kept)
		if err != nil || found.Lease > 0 || lease == 0 {
			return found, err
		}
	}
}

// holdLease tries once, in a READ COMMITTED transaction, whatever the server's default
// isolation level.
func (s *Store) holdLease(ctx context.Context, lease, kept time.Duration) (ports.LeaseInForce, error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return ports.LeaseInForce{}, err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing once committed
	var found, since int64
	if err := tx.QueryRowContext(ctx, leaseSQL, lease.Microseconds(), kept.Microseconds()).Scan(&found, &since); err != nil {
		return ports.LeaseInForce{}, kinded(err)
	}
	return ports.LeaseInForce{Lease: time.Duration(found) * time.Microsecond, For: time.Duration(since) * time.Microsecond}, commit(ctx, tx)
}
