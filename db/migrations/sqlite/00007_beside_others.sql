-- A file has no roles, and one schema.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
