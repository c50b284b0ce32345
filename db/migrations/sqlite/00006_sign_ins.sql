-- A session belongs to one sign-in. Sign-ins are remembered in a table of their
-- own, the signed-out ones included. A process of the version before may still
-- have the database open: it writes sign_in_id and never holder_sign_in_id, and
-- where the two differ, the holder is unknown.

-- +goose Up
ALTER TABLE chatkit_sessions ADD COLUMN holder_sign_in_id TEXT;
ALTER TABLE chatkit_sessions ADD COLUMN actor TEXT NOT NULL DEFAULT '';

-- A row with an empty sign_in_id is its user's moment: a sign-in that is not in
-- this table and was verified before it is blocked, too.
CREATE TABLE chatkit_sign_ins (
    clerk_user_id TEXT    NOT NULL,
    sign_in_id    TEXT    NOT NULL,
    actor         TEXT    NOT NULL DEFAULT '',
    first_seen_at INTEGER NOT NULL,
    verified_at   INTEGER NOT NULL,
    blocked_at    INTEGER,
    PRIMARY KEY (clerk_user_id, sign_in_id, actor)
) STRICT;

CREATE INDEX idx_chatkit_sign_ins_unblocked ON chatkit_sign_ins (clerk_user_id) WHERE blocked_at IS NULL;
CREATE INDEX idx_chatkit_sign_ins_changed ON chatkit_sign_ins (max(first_seen_at, verified_at, coalesce(blocked_at, 0)));

UPDATE chatkit_sessions SET holder_sign_in_id = sign_in_id WHERE sign_in_id <> '';

INSERT INTO chatkit_sign_ins (clerk_user_id, sign_in_id, first_seen_at, verified_at, blocked_at)
SELECT clerk_user_id, sign_in_id, min(created_at), min(created_at), min(CASE WHEN blocks_sign_in THEN ended_at END)
FROM chatkit_sessions WHERE sign_in_id <> '' AND (status = 'active' OR blocks_sign_in) GROUP BY clerk_user_id, sign_in_id;

-- A sign-in that is blocked holds nothing.
INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at, detail)
SELECT s.clerk_user_id, s.id, 'revoked', CAST(unixepoch('subsec') * 1000000 AS INTEGER), '{"by":"service","reason":"sign_out"}'
FROM chatkit_sessions s JOIN chatkit_sign_ins b ON b.clerk_user_id = s.clerk_user_id AND b.sign_in_id = s.sign_in_id
WHERE s.status = 'active' AND b.blocked_at IS NOT NULL;
UPDATE chatkit_sessions SET
    status = 'revoked', ended_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER), end_reason = 'user',
    token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
    offer_hash = NULL, offer_until = NULL, offer_refused = 0
WHERE status = 'active' AND (clerk_user_id, sign_in_id) IN (SELECT clerk_user_id, sign_in_id FROM chatkit_sign_ins WHERE blocked_at IS NOT NULL);

CREATE UNIQUE INDEX idx_chatkit_sessions_active_place
    ON chatkit_sessions (clerk_user_id, device_id, workflow_id, actor) WHERE status = 'active';
DROP INDEX idx_chatkit_sessions_active_device;
CREATE UNIQUE INDEX idx_chatkit_sessions_active_unnamed
    ON chatkit_sessions (clerk_user_id, workflow_id, holder_sign_in_id, actor) WHERE status = 'active' AND device_generated = 1;
DROP INDEX idx_chatkit_sessions_active_generated;

-- Blocks are not kept by sessions any more.
CREATE INDEX idx_chatkit_sessions_ended_at ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL;
DROP INDEX idx_chatkit_sessions_to_purge;
DROP INDEX idx_chatkit_sessions_blocked;

-- +goose Down
UPDATE chatkit_sessions SET
    status = 'revoked', ended_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER), end_reason = 'user',
    token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
    offer_hash = NULL, offer_until = NULL, offer_refused = 0
WHERE status = 'active' AND (actor <> '' OR id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY clerk_user_id, workflow_id ORDER BY created_at DESC, id DESC) AS n
        FROM chatkit_sessions WHERE status = 'active' AND device_generated = 1 AND actor = '')
    WHERE n > 1));
DROP INDEX idx_chatkit_sessions_active_place;
DROP INDEX idx_chatkit_sessions_active_unnamed;
CREATE UNIQUE INDEX idx_chatkit_sessions_active_device
    ON chatkit_sessions (clerk_user_id, device_id, workflow_id) WHERE status = 'active';
CREATE UNIQUE INDEX idx_chatkit_sessions_active_generated
    ON chatkit_sessions (clerk_user_id, workflow_id) WHERE status = 'active' AND device_generated = 1;
CREATE INDEX idx_chatkit_sessions_to_purge ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL AND blocks_sign_in = 0;
DROP INDEX idx_chatkit_sessions_ended_at;
CREATE INDEX idx_chatkit_sessions_blocked ON chatkit_sessions (clerk_user_id, sign_in_id) WHERE blocks_sign_in = 1;
ALTER TABLE chatkit_sessions DROP COLUMN holder_sign_in_id;
ALTER TABLE chatkit_sessions DROP COLUMN actor;
DROP TABLE chatkit_sign_ins;
