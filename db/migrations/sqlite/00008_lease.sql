-- +goose Up
-- For how long replicas may answer checks of tokens from memory, in
-- microseconds, since when, and when one last said that it goes by it.
CREATE TABLE chatkit_lease (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    lease   INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    held_at INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE chatkit_lease;
