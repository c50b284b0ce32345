package postgres

// TryCleanerLockSQL is tryCleanerLockSQL.
const TryCleanerLockSQL = tryCleanerLockSQL

// Kinded is kinded.
var Kinded = kinded
