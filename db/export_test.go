package db

// PostgresWaiting is Postgres with another wait for the lock, in seconds.
var PostgresWaiting = postgres

// LockWait is that of Postgres.
const LockWait = lockWait

// What the migrations made in PostgreSQL.
var (
	PostgresTables    = postgresTables
	PostgresIndexes   = postgresIndexes
	PostgresFunctions = postgresFunctions
)
