-- A file has one replica: none of an older version writes to it at the same time.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
