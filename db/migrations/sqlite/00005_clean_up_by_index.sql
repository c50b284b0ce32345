-- +goose Up
-- Sessions that block their sign-in are kept: a purge does not look at them
-- again each time.
CREATE INDEX idx_chatkit_sessions_to_purge ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL AND blocks_sign_in = 0;
DROP INDEX idx_chatkit_sessions_ended_at;

-- +goose Down
CREATE INDEX idx_chatkit_sessions_ended_at ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL;
DROP INDEX idx_chatkit_sessions_to_purge;
