-- Copies the sessions that still live from chatkit_sessions_old, see
-- move_from_clear_tokens_before.sql. Their tokens come over as hashes: back
-- ends go on to accept them, and the next open gives each session a new one.
-- Of several active sessions of a user on one device the newest comes over;
-- metadata that is no JSON object, or has numbers beyond a 64-bit float, does
-- not. Run again, it changes nothing.
\set ON_ERROR_STOP on
BEGIN;

WITH live AS (
    SELECT DISTINCT ON (clerk_user_id, device_id, workflow_id) *
    FROM chatkit_sessions_old
    WHERE status::text = 'active' AND expires_at > now()
    ORDER BY clerk_user_id, device_id, workflow_id, created_at DESC, id
), named AS (
    -- The newest of a user's devices that were named by the older service
    -- becomes the one on a generated device.
    SELECT *, starts_with(device_id, 'device_' || clerk_user_id || '_')
        AND row_number() OVER (
            PARTITION BY clerk_user_id, workflow_id, starts_with(device_id, 'device_' || clerk_user_id || '_')
            ORDER BY created_at DESC, id) = 1 AS generated
    FROM live
)
INSERT INTO chatkit_sessions (
    id, clerk_user_id, device_id, device_generated, workflow_id, status, token_hash, metadata,
    expires_at, last_activity_at, created_at, updated_at)
SELECT
    id, clerk_user_id, device_id, generated, workflow_id, 'active', sha256(convert_to(session_token::text, 'UTF8')),
    CASE WHEN jsonb_typeof(metadata) = 'object' AND NOT jsonb_path_exists(
        metadata, '$.** ? (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308)') THEN metadata ELSE '{}' END,
    expires_at, coalesce(last_activity_at, created_at), created_at, coalesce(updated_at, created_at)
FROM named
ON CONFLICT DO NOTHING;

COMMIT;

SELECT count(*) FILTER (WHERE id IN (SELECT id FROM chatkit_sessions)) AS moved, count(*) AS "of those that live"
FROM chatkit_sessions_old WHERE status::text = 'active' AND expires_at > now();
\echo 'When all is well, forget the clear tokens:'
\echo '  DROP TABLE chatkit_sessions_old;'
\echo '  DROP TYPE IF EXISTS session_status_old;'
\echo '  DROP FUNCTION IF EXISTS cleanup_expired_chatkit_sessions_old;'
