package postgres

// TryCleanerLockSQL is tryCleanerLockSQL.
const TryCleanerLockSQL = tryCleanerLockSQL

// Kinded is kinded.
var Kinded = kinded

// DSN is where the relay listens.
func (r *Relay) DSN() string { return r.dsn }
