package db

// PostgresWaiting is Postgres with a given wait for the lock, in seconds.
var PostgresWaiting = postgres

// LockWait is how long Postgres waits for the lock, in seconds.
const LockWait = lockWait

// What the migrations make in PostgreSQL.
var (
	PostgresTables    = postgresTables
	PostgresIndexes   = postgresIndexes
	PostgresFunctions = postgresFunctions
)
