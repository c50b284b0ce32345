-- Nothing here reads the table of sessions, however large it is; its new
-- indexes are the next migration's. There is no check of the new columns that
-- an older replica, which does not know them, could break.

-- +goose Up
ALTER TABLE chatkit_sessions
    ADD COLUMN remembered      boolean NOT NULL DEFAULT false,
    ADD COLUMN opens           bigint  NOT NULL DEFAULT 0,
    ADD COLUMN checks          bigint  NOT NULL DEFAULT 0,
    ADD COLUMN address         text,
    ADD COLUMN client_browser  text    NOT NULL DEFAULT '',
    ADD COLUMN client_os       text    NOT NULL DEFAULT '',
    ADD COLUMN client_kind     text    NOT NULL DEFAULT '',
    ADD COLUMN superseded_seen boolean NOT NULL DEFAULT false,
    ADD COLUMN offer_hash      bytea,
    ADD COLUMN offer_until     timestamptz,
    ADD COLUMN offer_refused   integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN chatkit_sessions.remembered IS 'Whether the session lives by the terms of remembered ones.';
COMMENT ON COLUMN chatkit_sessions.opens IS 'How often the session was opened.';
COMMENT ON COLUMN chatkit_sessions.checks IS 'How often the session''s token was checked and found good.';
COMMENT ON COLUMN chatkit_sessions.address IS 'The IP address that the session was last used from; null when unknown.';
COMMENT ON COLUMN chatkit_sessions.client_browser IS 'The browser that the session was last used from, as it named itself; empty when unknown.';
COMMENT ON COLUMN chatkit_sessions.client_os IS 'The system that the session was last used from, as it named itself; empty when unknown.';
COMMENT ON COLUMN chatkit_sessions.client_kind IS 'desktop, mobile, tablet or bot; empty when unknown.';
COMMENT ON COLUMN chatkit_sessions.superseded_seen IS 'Whether the use of the superseded token after its grace was reported.';
COMMENT ON COLUMN chatkit_sessions.offer_hash IS 'SHA-256 of the code that moves the session to another device.';
COMMENT ON COLUMN chatkit_sessions.offer_until IS 'Until when that code is good.';
COMMENT ON COLUMN chatkit_sessions.offer_refused IS 'How often somebody else tried that code.';

GRANT SELECT (remembered, opens, checks, address, client_browser, client_os, client_kind) ON chatkit_sessions TO chatkit_reader;

CREATE TABLE chatkit_activity (
    id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    clerk_user_id  text        NOT NULL,
    session_id     uuid        NOT NULL,
    type           text        NOT NULL CHECK (type IN ('created', 'refreshed', 'revoked', 'expired', 'transferred', 'limit', 'anomaly')),
    at             timestamptz NOT NULL,
    address        text,
    client_browser text        NOT NULL DEFAULT '',
    client_os      text        NOT NULL DEFAULT '',
    client_kind    text        NOT NULL DEFAULT '',
    detail         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object')
);

CREATE INDEX idx_chatkit_activity_user ON chatkit_activity (clerk_user_id, at, id);
CREATE INDEX idx_chatkit_activity_session ON chatkit_activity (session_id, at, id);
CREATE INDEX idx_chatkit_activity_at ON chatkit_activity (at);

COMMENT ON TABLE chatkit_activity IS 'What happened to sessions: a timeline for each user. It outlives the sessions.';
COMMENT ON COLUMN chatkit_activity.id IS 'Identifies the record.';
COMMENT ON COLUMN chatkit_activity.clerk_user_id IS 'The user: "sub" of the Clerk session token.';
COMMENT ON COLUMN chatkit_activity.session_id IS 'The session that it happened to; it may have been purged.';
COMMENT ON COLUMN chatkit_activity.type IS 'What happened.';
COMMENT ON COLUMN chatkit_activity.at IS 'When it happened.';
COMMENT ON COLUMN chatkit_activity.address IS 'The IP address that it was done from; null when unknown, or when nobody did it.';
COMMENT ON COLUMN chatkit_activity.client_browser IS 'The browser that it was done from; empty when unknown.';
COMMENT ON COLUMN chatkit_activity.client_os IS 'The system that it was done from; empty when unknown.';
COMMENT ON COLUMN chatkit_activity.client_kind IS 'desktop, mobile, tablet or bot; empty when unknown.';
COMMENT ON COLUMN chatkit_activity.detail IS 'JSON object of strings: more about it, such as by whom and why.';

CREATE TABLE chatkit_usage (
    day    date   PRIMARY KEY,
    opens  bigint NOT NULL,
    checks bigint NOT NULL
);

COMMENT ON TABLE chatkit_usage IS 'How often sessions were used, by day of UTC.';
COMMENT ON COLUMN chatkit_usage.day IS 'The day.';
COMMENT ON COLUMN chatkit_usage.opens IS 'How often sessions were opened.';
COMMENT ON COLUMN chatkit_usage.checks IS 'How often tokens were checked and found good.';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cleanup_expired_chatkit_sessions(p_now timestamptz DEFAULT now(), p_limit integer DEFAULT 1000) RETURNS integer
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
            token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
            offer_hash = NULL, offer_until = NULL, offer_refused = 0
        FROM due WHERE s.id = due.id
        RETURNING s.clerk_user_id, s.id
    ), noted AS (
        INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at)
        SELECT clerk_user_id, id, 'expired', p_now FROM ended
    )
    SELECT count(*)::integer FROM ended
$$;
-- +goose StatementEnd

ALTER TABLE chatkit_activity ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatkit_usage ENABLE ROW LEVEL SECURITY;

CREATE POLICY chatkit_activity_service ON chatkit_activity TO chatkit_service USING (true) WITH CHECK (true);
CREATE POLICY chatkit_usage_service ON chatkit_usage TO chatkit_service USING (true) WITH CHECK (true);
CREATE POLICY chatkit_activity_own ON chatkit_activity FOR SELECT
    USING (clerk_user_id = (SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'));

REVOKE ALL ON chatkit_activity, chatkit_usage FROM PUBLIC;
GRANT SELECT, INSERT, DELETE ON chatkit_activity TO chatkit_service;
GRANT SELECT, INSERT, UPDATE ON chatkit_usage TO chatkit_service;
GRANT SELECT ON chatkit_activity TO chatkit_reader;

-- Supabase grants its API roles everything on new tables.
-- +goose StatementBegin
DO $$
DECLARE
    api text;
BEGIN
    FOR api IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON chatkit_activity, chatkit_usage FROM %I', api);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cleanup_expired_chatkit_sessions(p_now timestamptz DEFAULT now(), p_limit integer DEFAULT 1000) RETURNS integer
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
DROP TABLE chatkit_usage;
DROP TABLE chatkit_activity;
ALTER TABLE chatkit_sessions
    DROP COLUMN remembered, DROP COLUMN opens, DROP COLUMN checks, DROP COLUMN address,
    DROP COLUMN client_browser, DROP COLUMN client_os, DROP COLUMN client_kind,
    DROP COLUMN superseded_seen, DROP COLUMN offer_hash, DROP COLUMN offer_until, DROP COLUMN offer_refused;
