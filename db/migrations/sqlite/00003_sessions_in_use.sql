-- +goose Up
ALTER TABLE chatkit_sessions ADD COLUMN remembered INTEGER NOT NULL DEFAULT 0 CHECK (remembered IN (0, 1));
ALTER TABLE chatkit_sessions ADD COLUMN opens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chatkit_sessions ADD COLUMN checks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chatkit_sessions ADD COLUMN address TEXT;
ALTER TABLE chatkit_sessions ADD COLUMN client_browser TEXT NOT NULL DEFAULT '';
ALTER TABLE chatkit_sessions ADD COLUMN client_os TEXT NOT NULL DEFAULT '';
ALTER TABLE chatkit_sessions ADD COLUMN client_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE chatkit_sessions ADD COLUMN superseded_seen INTEGER NOT NULL DEFAULT 0 CHECK (superseded_seen IN (0, 1));
ALTER TABLE chatkit_sessions ADD COLUMN offer_hash BLOB;
ALTER TABLE chatkit_sessions ADD COLUMN offer_until INTEGER;
ALTER TABLE chatkit_sessions ADD COLUMN offer_refused INTEGER NOT NULL DEFAULT 0;

CREATE TABLE chatkit_activity (
    id             TEXT    NOT NULL PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    clerk_user_id  TEXT    NOT NULL,
    session_id     TEXT    NOT NULL,
    type           TEXT    NOT NULL CHECK (type IN ('created', 'refreshed', 'revoked', 'expired', 'transferred', 'limit', 'anomaly')),
    at             INTEGER NOT NULL,
    address        TEXT,
    client_browser TEXT    NOT NULL DEFAULT '',
    client_os      TEXT    NOT NULL DEFAULT '',
    client_kind    TEXT    NOT NULL DEFAULT '',
    detail         TEXT    NOT NULL DEFAULT '{}' CHECK (json_type(detail) = 'object')
) STRICT;

CREATE INDEX idx_chatkit_activity_user ON chatkit_activity (clerk_user_id, at, id);
CREATE INDEX idx_chatkit_activity_session ON chatkit_activity (session_id, at, id);
CREATE INDEX idx_chatkit_activity_at ON chatkit_activity (at);

CREATE TABLE chatkit_usage (
    day    INTEGER NOT NULL PRIMARY KEY, -- its first moment
    opens  INTEGER NOT NULL,
    checks INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE chatkit_usage;
DROP TABLE chatkit_activity;
ALTER TABLE chatkit_sessions DROP COLUMN offer_refused;
ALTER TABLE chatkit_sessions DROP COLUMN offer_until;
ALTER TABLE chatkit_sessions DROP COLUMN offer_hash;
ALTER TABLE chatkit_sessions DROP COLUMN superseded_seen;
ALTER TABLE chatkit_sessions DROP COLUMN client_kind;
ALTER TABLE chatkit_sessions DROP COLUMN client_os;
ALTER TABLE chatkit_sessions DROP COLUMN client_browser;
ALTER TABLE chatkit_sessions DROP COLUMN address;
ALTER TABLE chatkit_sessions DROP COLUMN checks;
ALTER TABLE chatkit_sessions DROP COLUMN opens;
ALTER TABLE chatkit_sessions DROP COLUMN remembered;
