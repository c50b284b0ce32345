-- Ends every active session, for a database that was restored from a backup:
-- sessions that were signed out after the backup was taken are active in it.
-- Run it with psql as the owner of the schema, before the service starts.
-- Users get new sessions at their next open.
\set ON_ERROR_STOP on
BEGIN;
WITH ended AS (
    UPDATE chatkit_sessions SET
        status = 'revoked', ended_at = now(), end_reason = 'admin',
        token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
        offer_hash = NULL, offer_until = NULL, offer_refused = 0
    WHERE status = 'active'
    RETURNING clerk_user_id, id
)
INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at, detail)
SELECT clerk_user_id, id, 'revoked', now(), '{"by": "service", "reason": "admin"}' FROM ended;
COMMIT;
