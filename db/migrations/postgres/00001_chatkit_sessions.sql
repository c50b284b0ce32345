-- Two roles come with the schema. They are shared by the whole server, so that
-- going down leaves them. db/roles.sql creates them beforehand where the
-- migrating role must not create roles.
--   chatkit_service  reads and writes sessions; the service's login is a member
--   chatkit_reader   reads the rows of the user in request.jwt.claims, without tokens

-- +goose Up
-- +goose StatementBegin
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['chatkit_service', 'chatkit_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL; -- another database's migration was faster
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'role % is missing and % may not create roles', wanted, current_user
                        USING HINT = 'Run db/roles.sql once as a role that may, then migrate again.';
            END;
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- It is called session_status, unless that is another program's.
CREATE TYPE chatkit_session_status AS ENUM ('active', 'expired', 'revoked');
COMMENT ON TYPE chatkit_session_status IS 'Where a session is in its life; only an active one can be continued.';

-- A fifth of each page stays free, so that an update finds room on its row's
-- page and touches no index (a HOT update).
CREATE TABLE chatkit_sessions (
    id                   uuid           NOT NULL PRIMARY KEY,
    clerk_user_id        text           NOT NULL,
    device_id            text           NOT NULL,
    device_generated     boolean        NOT NULL DEFAULT false,
    workflow_id          text           NOT NULL,
    sign_in_id           text           NOT NULL DEFAULT '',
    status               chatkit_session_status NOT NULL DEFAULT 'active',
    token_hash           bytea          NOT NULL CHECK (octet_length(token_hash) = 32),
    token_sealed         bytea,
    previous_token_hash  bytea          CHECK (octet_length(previous_token_hash) = 32),
    previous_token_until timestamptz,
    metadata             jsonb          NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    expires_at           timestamptz    NOT NULL,
    last_activity_at     timestamptz    NOT NULL DEFAULT now(),
    created_at           timestamptz    NOT NULL DEFAULT now(),
    updated_at           timestamptz    NOT NULL DEFAULT now(),
    ended_at             timestamptz,
    end_reason           text,
    CONSTRAINT chatkit_sessions_ended CHECK ((status = 'active') = (ended_at IS NULL) AND (ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT chatkit_sessions_ended_unsealed CHECK (status = 'active' OR (token_sealed IS NULL AND previous_token_hash IS NULL))
) WITH (fillfactor = 80);

-- +goose StatementBegin
DO $$
BEGIN
    IF to_regtype('session_status') IS NULL THEN
        ALTER TYPE chatkit_session_status RENAME TO session_status;
    END IF;
END
$$;
-- +goose StatementEnd

CREATE UNIQUE INDEX idx_chatkit_sessions_token ON chatkit_sessions (token_hash);
CREATE INDEX idx_chatkit_sessions_previous_token ON chatkit_sessions (previous_token_hash) WHERE previous_token_hash IS NOT NULL;
CREATE INDEX idx_chatkit_sessions_user_status ON chatkit_sessions (clerk_user_id, status);
CREATE INDEX idx_chatkit_sessions_device ON chatkit_sessions (device_id);
CREATE INDEX idx_chatkit_sessions_expires_at ON chatkit_sessions (expires_at) WHERE status = 'active';
CREATE INDEX idx_chatkit_sessions_ended_at ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL;

-- At most one active session on a device, and one on a generated device. An
-- index cannot say now(): a stale row is ended before its successor comes.
CREATE UNIQUE INDEX idx_chatkit_sessions_active_device
    ON chatkit_sessions (clerk_user_id, device_id, workflow_id) WHERE status = 'active';
CREATE UNIQUE INDEX idx_chatkit_sessions_active_generated
    ON chatkit_sessions (clerk_user_id, workflow_id) WHERE status = 'active' AND device_generated;

-- +goose StatementBegin
CREATE FUNCTION chatkit_sessions_set_updated_at() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER chatkit_sessions_updated_at BEFORE UPDATE ON chatkit_sessions
    FOR EACH ROW EXECUTE FUNCTION chatkit_sessions_set_updated_at();

-- +goose StatementBegin
CREATE FUNCTION cleanup_expired_chatkit_sessions(p_now timestamptz DEFAULT now(), p_limit integer DEFAULT 1000) RETURNS integer
LANGUAGE sql SET search_path FROM CURRENT AS $$
    WITH due AS (
        SELECT id FROM chatkit_sessions
        WHERE status = 'active' AND expires_at <= p_now
        ORDER BY expires_at
        LIMIT p_limit
        FOR UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE chatkit_sessions s SET
            status = 'expired', ended_at = p_now, end_reason = 'expired',
            token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL
        FROM due WHERE s.id = due.id
        RETURNING 1
    )
    SELECT count(*)::integer FROM ended
$$;
-- +goose StatementEnd

ALTER TABLE chatkit_sessions ENABLE ROW LEVEL SECURITY;

CREATE POLICY chatkit_sessions_service ON chatkit_sessions TO chatkit_service USING (true) WITH CHECK (true);

-- Anybody else reads at most their own rows, by the claims that PostgREST and
-- Supabase set; a pooled connection can hold the empty string. Claims that are
-- not JSON are an error, never somebody's rows.
CREATE POLICY chatkit_sessions_own ON chatkit_sessions FOR SELECT
    USING (clerk_user_id = (SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'));

REVOKE ALL ON chatkit_sessions FROM PUBLIC;
REVOKE ALL ON FUNCTION cleanup_expired_chatkit_sessions(timestamptz, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION chatkit_sessions_set_updated_at() FROM PUBLIC;

GRANT SELECT, INSERT, UPDATE, DELETE ON chatkit_sessions TO chatkit_service;
GRANT EXECUTE ON FUNCTION cleanup_expired_chatkit_sessions(timestamptz, integer) TO chatkit_service;

GRANT SELECT (id, clerk_user_id, device_id, device_generated, workflow_id, status, metadata,
              expires_at, last_activity_at, created_at, updated_at, ended_at, end_reason)
    ON chatkit_sessions TO chatkit_reader;

-- Supabase grants its API roles everything on new tables.
-- +goose StatementBegin
DO $$
DECLARE
    api text;
BEGIN
    FOR api IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON chatkit_sessions FROM %I', api);
        EXECUTE format('REVOKE ALL ON FUNCTION cleanup_expired_chatkit_sessions(timestamptz, integer) FROM %I', api);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN
        GRANT chatkit_reader TO authenticated;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN NULL; -- roles.sql granted it, as a role that may
END
$$;
-- +goose StatementEnd

COMMENT ON TABLE chatkit_sessions IS 'ChatKit sessions: one user''s signed-in use on one device for one workflow.';
COMMENT ON COLUMN chatkit_sessions.id IS 'Identifies the session for good; not a secret.';
COMMENT ON COLUMN chatkit_sessions.clerk_user_id IS 'The user: "sub" of the Clerk session token.';
COMMENT ON COLUMN chatkit_sessions.device_id IS 'Where the session lives, named by the client or generated.';
COMMENT ON COLUMN chatkit_sessions.device_generated IS 'Whether the service made the device''s name.';
COMMENT ON COLUMN chatkit_sessions.workflow_id IS 'The ChatKit workflow or agent that the session is for.';
COMMENT ON COLUMN chatkit_sessions.sign_in_id IS 'The sign-in that last opened the session: "sid" of the Clerk session token; empty when unknown.';
COMMENT ON COLUMN chatkit_sessions.status IS 'active, expired (its time was up) or revoked (ended before its time).';
COMMENT ON COLUMN chatkit_sessions.token_hash IS 'SHA-256 of the token''s text.';
COMMENT ON COLUMN chatkit_sessions.token_sealed IS 'The token under AES-256-GCM, to show it to its owner again; null once ended, or when it cannot be shown: then the next open rotates it.';
COMMENT ON COLUMN chatkit_sessions.previous_token_hash IS 'SHA-256 of the token before the last refresh.';
COMMENT ON COLUMN chatkit_sessions.previous_token_until IS 'Until when the token before the last refresh stays good.';
COMMENT ON COLUMN chatkit_sessions.metadata IS 'JSON object that the client attached.';
COMMENT ON COLUMN chatkit_sessions.expires_at IS 'When the session''s time is up.';
COMMENT ON COLUMN chatkit_sessions.last_activity_at IS 'When the session was last seen in use.';
COMMENT ON COLUMN chatkit_sessions.created_at IS 'When the session was created.';
COMMENT ON COLUMN chatkit_sessions.updated_at IS 'When the row last changed; set by a trigger unless the statement sets it.';
COMMENT ON COLUMN chatkit_sessions.ended_at IS 'When the session ended; null while active.';
COMMENT ON COLUMN chatkit_sessions.end_reason IS 'Why the session ended; null while active.';
COMMENT ON FUNCTION cleanup_expired_chatkit_sessions(timestamptz, integer) IS
    'Ends, as expired at p_now, at most p_limit active sessions whose expiry is at or before p_now, and returns how many. One batch: callers repeat it, each time in a transaction of its own.';
COMMENT ON FUNCTION chatkit_sessions_set_updated_at() IS 'Keeps updated_at, yielding to a value that the statement set.';

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE
    status regtype := (SELECT atttypid FROM pg_attribute WHERE attrelid = 'chatkit_sessions'::regclass AND attname = 'status');
BEGIN
    DROP TABLE chatkit_sessions;
    EXECUTE format('DROP TYPE %s', status);
END
$$;
-- +goose StatementEnd
DROP FUNCTION cleanup_expired_chatkit_sessions(timestamptz, integer);
DROP FUNCTION chatkit_sessions_set_updated_at();
