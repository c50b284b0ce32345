-- Times are microseconds since 1970-01-01T00:00:00Z.

-- +goose Up
CREATE TABLE chatkit_sessions (
    id                   TEXT    NOT NULL PRIMARY KEY,
    clerk_user_id        TEXT    NOT NULL,
    device_id            TEXT    NOT NULL,
    device_generated     INTEGER NOT NULL CHECK (device_generated IN (0, 1)),
    workflow_id          TEXT    NOT NULL,
    sign_in_id           TEXT    NOT NULL,
    status               TEXT    NOT NULL CHECK (status IN ('active', 'expired', 'revoked')),
    token_hash           BLOB    NOT NULL CHECK (length(token_hash) = 32),
    token_sealed         BLOB,
    previous_token_hash  BLOB    CHECK (length(previous_token_hash) = 32),
    previous_token_until INTEGER,
    metadata             TEXT    NOT NULL DEFAULT '{}' CHECK (json_type(metadata) = 'object'),
    expires_at           INTEGER NOT NULL,
    last_activity_at     INTEGER NOT NULL,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    ended_at             INTEGER,
    end_reason           TEXT,
    CHECK ((status = 'active') = (ended_at IS NULL)),
    CHECK ((status = 'active') = (end_reason IS NULL)),
    CHECK (status = 'active' OR token_sealed IS NULL)
) STRICT;

CREATE UNIQUE INDEX idx_chatkit_sessions_token ON chatkit_sessions (token_hash);
CREATE INDEX idx_chatkit_sessions_previous_token ON chatkit_sessions (previous_token_hash) WHERE previous_token_hash IS NOT NULL;

-- At most one active session on a device, and one on a generated device.
CREATE UNIQUE INDEX idx_chatkit_sessions_active_device
    ON chatkit_sessions (clerk_user_id, device_id, workflow_id) WHERE status = 'active';
CREATE UNIQUE INDEX idx_chatkit_sessions_active_generated
    ON chatkit_sessions (clerk_user_id, workflow_id) WHERE status = 'active' AND device_generated = 1;

-- For the clean-up.
CREATE INDEX idx_chatkit_sessions_expires_at ON chatkit_sessions (expires_at) WHERE status = 'active';
CREATE INDEX idx_chatkit_sessions_ended_at ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL;

-- +goose Down
DROP TABLE chatkit_sessions;
