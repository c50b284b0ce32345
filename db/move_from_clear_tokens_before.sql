-- Puts an older chatkit_sessions table, which holds clear tokens, out of the
-- way of this service's own: stop the service that uses it, run this with psql
-- as the owner of the old table, then "chatkit-session migrate", then
-- move_from_clear_tokens_after.sql.
--
-- To go back before migrating: ALTER TABLE chatkit_sessions_old RENAME TO
-- chatkit_sessions, and session_status_old and
-- cleanup_expired_chatkit_sessions_old likewise.
\set ON_ERROR_STOP on
BEGIN;

ALTER TABLE chatkit_sessions RENAME TO chatkit_sessions_old;

-- What belongs to it would keep the names that the new table needs.
DO $$
DECLARE
    thing record;
BEGIN
    FOR thing IN SELECT indexrelid::regclass AS name, relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                 WHERE indrelid = 'chatkit_sessions_old'::regclass LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', thing.name, thing.relname || '_old');
    END LOOP;
    FOR thing IN SELECT oid::regtype AS name FROM pg_type WHERE typname = 'session_status' AND pg_type_is_visible(oid) LOOP
        EXECUTE format('ALTER TYPE %s RENAME TO session_status_old', thing.name);
    END LOOP;
    FOR thing IN SELECT oid::regprocedure AS name FROM pg_proc
                 WHERE proname = 'cleanup_expired_chatkit_sessions' AND pg_function_is_visible(oid) LOOP
        EXECUTE format('ALTER FUNCTION %s RENAME TO cleanup_expired_chatkit_sessions_old', thing.name);
    END LOOP;
END
$$;

COMMIT;
