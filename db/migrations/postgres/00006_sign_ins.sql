-- A session belongs to one sign-in. Sign-ins are remembered in a table of their
-- own, the signed-out ones included.
--
-- Replicas of the version before go on meanwhile, by their own rules. They write
-- sign_in_id when a session is opened again, and never holder_sign_in_id: where
-- the two differ, the holder is unknown. Each statement can be repeated where a
-- try before was cut off.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE chatkit_sessions
    ADD COLUMN IF NOT EXISTS holder_sign_in_id text,
    ADD COLUMN IF NOT EXISTS actor text NOT NULL DEFAULT '';

COMMENT ON COLUMN chatkit_sessions.sign_in_id IS 'The sign-in that opened the session: "sid" of the Clerk session token; empty when unknown.';
COMMENT ON COLUMN chatkit_sessions.blocks_sign_in IS 'Set by older versions alone, for a session that was ended against its sign-in; chatkit_sign_ins has what is blocked.';
COMMENT ON COLUMN chatkit_sessions.holder_sign_in_id IS 'The sign-in that holds the session, or held it when it ended; unknown where it is null or differs from sign_in_id.';
COMMENT ON COLUMN chatkit_sessions.actor IS 'Who opened the session in the user''s name, as impersonator:… or agent:…; empty for the user in person.';

CREATE TABLE IF NOT EXISTS chatkit_sign_ins (
    clerk_user_id text        NOT NULL,
    sign_in_id    text        NOT NULL,
    actor         text        NOT NULL DEFAULT '',
    first_seen_at timestamptz NOT NULL,
    verified_at   timestamptz NOT NULL,
    blocked_at    timestamptz,
    PRIMARY KEY (clerk_user_id, sign_in_id, actor)
);

COMMENT ON TABLE chatkit_sign_ins IS 'Sign-ins of users that were seen here. A row with an empty sign_in_id is its user''s moment: a sign-in that is not in this table and was verified before it is blocked, too.';
COMMENT ON COLUMN chatkit_sign_ins.clerk_user_id IS 'The user: "sub" of the Clerk session token.';
COMMENT ON COLUMN chatkit_sign_ins.sign_in_id IS 'The sign-in: "sid" of the Clerk session token; empty for the user''s moment.';
COMMENT ON COLUMN chatkit_sign_ins.actor IS 'Who acts in the user''s name in the sign-in, as impersonator:… or agent:…; empty for the user in person.';
COMMENT ON COLUMN chatkit_sign_ins.first_seen_at IS 'When the sign-in was first seen here.';
COMMENT ON COLUMN chatkit_sign_ins.verified_at IS 'When its user last verified a factor in the sign-in, as far as that was seen here; of a moment, the moment itself.';
COMMENT ON COLUMN chatkit_sign_ins.blocked_at IS 'When the sign-in was signed out: from then on it is refused everything; null while it is not.';

ALTER TABLE chatkit_sign_ins ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS chatkit_sign_ins_service ON chatkit_sign_ins;
CREATE POLICY chatkit_sign_ins_service ON chatkit_sign_ins TO chatkit_service USING (true) WITH CHECK (true);
REVOKE ALL ON chatkit_sign_ins FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON chatkit_sign_ins TO chatkit_service;
GRANT SELECT (actor) ON chatkit_sessions TO chatkit_reader;

-- Supabase grants its API roles everything on new tables.
-- +goose StatementBegin
DO $$
DECLARE
    api text;
BEGIN
    FOR api IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON chatkit_sign_ins FROM %I', api);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- What a replica of the version before blocks is blocked for all.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION chatkit_sessions_block_sign_in() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO chatkit_sign_ins AS known (clerk_user_id, sign_in_id, first_seen_at, verified_at, blocked_at)
    VALUES (NEW.clerk_user_id, NEW.sign_in_id, NEW.created_at, NEW.created_at, NEW.ended_at)
    ON CONFLICT (clerk_user_id, sign_in_id, actor) DO UPDATE SET blocked_at = coalesce(known.blocked_at, excluded.blocked_at);
    RETURN NEW;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION chatkit_sessions_block_sign_in() FROM PUBLIC;
COMMENT ON FUNCTION chatkit_sessions_block_sign_in() IS 'Blocks the sign-in of a session that a replica of an older version ended against it.';
DROP TRIGGER IF EXISTS chatkit_sessions_block_sign_in ON chatkit_sessions;
CREATE TRIGGER chatkit_sessions_block_sign_in AFTER UPDATE OF blocks_sign_in ON chatkit_sessions
    FOR EACH ROW WHEN (NEW.blocks_sign_in AND NOT OLD.blocks_sign_in AND NEW.sign_in_id <> '')
    EXECUTE FUNCTION chatkit_sessions_block_sign_in();

-- A session keeps the sign-in that opened it last.
-- +goose StatementBegin
DO $$
DECLARE
    last_id uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    LOOP
        WITH batch AS (
            SELECT id FROM chatkit_sessions WHERE id > last_id ORDER BY id LIMIT 1000
        ), moved AS (
            UPDATE chatkit_sessions SET holder_sign_in_id = sign_in_id
            WHERE id IN (SELECT id FROM batch) AND holder_sign_in_id IS NULL AND sign_in_id <> ''
        )
        SELECT id INTO last_id FROM batch ORDER BY id DESC LIMIT 1;
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;
-- +goose StatementEnd

INSERT INTO chatkit_sign_ins AS known (clerk_user_id, sign_in_id, first_seen_at, verified_at, blocked_at)
SELECT clerk_user_id, sign_in_id, min(created_at), min(created_at), min(ended_at) FILTER (WHERE blocks_sign_in)
FROM chatkit_sessions WHERE sign_in_id <> '' AND (status = 'active' OR blocks_sign_in) GROUP BY clerk_user_id, sign_in_id
ON CONFLICT (clerk_user_id, sign_in_id, actor) DO UPDATE SET blocked_at = coalesce(known.blocked_at, excluded.blocked_at);

-- A sign-in that is blocked holds nothing.
WITH ended AS (
    UPDATE chatkit_sessions s SET
        status = 'revoked', ended_at = now(), end_reason = 'user',
        token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
        offer_hash = NULL, offer_until = NULL, offer_refused = 0
    FROM chatkit_sign_ins b
    WHERE s.status = 'active' AND b.blocked_at IS NOT NULL
        AND b.clerk_user_id = s.clerk_user_id AND b.sign_in_id = s.sign_in_id AND b.actor = s.actor
    RETURNING s.clerk_user_id, s.id
)
INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at, detail)
SELECT clerk_user_id, id, 'revoked', now(), '{"by": "service", "reason": "sign_out"}' FROM ended;

DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_active_place;
CREATE UNIQUE INDEX CONCURRENTLY idx_chatkit_sessions_active_place
    ON chatkit_sessions (clerk_user_id, device_id, workflow_id, actor) WHERE status = 'active';
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_active_device;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_active_unnamed;
CREATE UNIQUE INDEX CONCURRENTLY idx_chatkit_sessions_active_unnamed
    ON chatkit_sessions (clerk_user_id, workflow_id, holder_sign_in_id, actor) WHERE status = 'active' AND device_generated;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_active_generated;

-- Blocks are not kept by sessions any more.
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_ended_at;
CREATE INDEX CONCURRENTLY idx_chatkit_sessions_ended_at ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_to_purge;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_blocked;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sign_ins_unblocked;
CREATE INDEX CONCURRENTLY idx_chatkit_sign_ins_unblocked ON chatkit_sign_ins (clerk_user_id) WHERE blocked_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sign_ins_changed;
CREATE INDEX CONCURRENTLY idx_chatkit_sign_ins_changed ON chatkit_sign_ins (greatest(first_seen_at, verified_at, blocked_at));

-- +goose Down
DROP TRIGGER IF EXISTS chatkit_sessions_block_sign_in ON chatkit_sessions;
DROP FUNCTION IF EXISTS chatkit_sessions_block_sign_in();
-- The version before has one place for what is now several sessions'.
UPDATE chatkit_sessions SET
    status = 'revoked', ended_at = now(), end_reason = 'user',
    token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
    offer_hash = NULL, offer_until = NULL, offer_refused = 0
WHERE status = 'active' AND (actor <> '' OR id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY clerk_user_id, workflow_id ORDER BY created_at DESC, id DESC) AS n
        FROM chatkit_sessions WHERE status = 'active' AND device_generated AND actor = '') numbered
    WHERE n > 1));
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_active_device;
CREATE UNIQUE INDEX CONCURRENTLY idx_chatkit_sessions_active_device
    ON chatkit_sessions (clerk_user_id, device_id, workflow_id) WHERE status = 'active';
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_active_generated;
CREATE UNIQUE INDEX CONCURRENTLY idx_chatkit_sessions_active_generated
    ON chatkit_sessions (clerk_user_id, workflow_id) WHERE status = 'active' AND device_generated;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_to_purge;
CREATE INDEX CONCURRENTLY idx_chatkit_sessions_to_purge ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL AND NOT blocks_sign_in;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_ended_at;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_blocked;
CREATE INDEX CONCURRENTLY idx_chatkit_sessions_blocked ON chatkit_sessions (clerk_user_id, sign_in_id) WHERE blocks_sign_in;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_active_place;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_active_unnamed;
ALTER TABLE chatkit_sessions DROP COLUMN IF EXISTS holder_sign_in_id, DROP COLUMN IF EXISTS actor;
DROP TABLE IF EXISTS chatkit_sign_ins;
