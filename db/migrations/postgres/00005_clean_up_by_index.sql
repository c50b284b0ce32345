-- What the clean-up reads stays small, whatever is kept.

-- +goose NO TRANSACTION
-- +goose Up
-- A function in SQL is planned before its limit is known: joined with a list
-- of rows of unknown length, a batch could read the whole table.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cleanup_expired_chatkit_sessions(p_now timestamptz DEFAULT now(), p_limit integer DEFAULT 1000) RETURNS integer
LANGUAGE sql SET search_path FROM CURRENT AS $$
    WITH ended AS (
        UPDATE chatkit_sessions SET
            status = 'expired', ended_at = p_now, end_reason = 'expired',
            token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
            offer_hash = NULL, offer_until = NULL, offer_refused = 0
        WHERE id = ANY (ARRAY(
            SELECT id FROM chatkit_sessions
            WHERE status = 'active' AND expires_at <= p_now
            ORDER BY expires_at
            LIMIT p_limit
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING clerk_user_id, id
    ), noted AS (
        INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at)
        SELECT clerk_user_id, id, 'expired', p_now FROM ended
    )
    SELECT count(*)::integer FROM ended
$$;
-- +goose StatementEnd
-- Sessions that block their sign-in are kept: a purge does not look at them
-- again each time.
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_to_purge;
CREATE INDEX CONCURRENTLY idx_chatkit_sessions_to_purge ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL AND NOT blocks_sign_in;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_ended_at;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_ended_at;
CREATE INDEX CONCURRENTLY idx_chatkit_sessions_ended_at ON chatkit_sessions (ended_at) WHERE ended_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_to_purge;
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
