-- While replicas are replaced, one of an older version that signs a session out
-- blocks its sign-in, and ends that one session alone. A blocked sign-in holds
-- nothing: what else it holds ends in the same transaction.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION chatkit_sessions_block_sign_in() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO chatkit_sign_ins AS known (clerk_user_id, sign_in_id, first_seen_at, verified_at, blocked_at)
    VALUES (NEW.clerk_user_id, NEW.sign_in_id, NEW.created_at, NEW.created_at, NEW.ended_at)
    ON CONFLICT (clerk_user_id, sign_in_id, actor) DO UPDATE SET blocked_at = coalesce(known.blocked_at, excluded.blocked_at);
    WITH ended AS (
        UPDATE chatkit_sessions SET
            status = 'revoked', ended_at = NEW.ended_at, end_reason = NEW.end_reason,
            token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
            offer_hash = NULL, offer_until = NULL, offer_refused = 0
        WHERE clerk_user_id = NEW.clerk_user_id AND status = 'active' AND sign_in_id = NEW.sign_in_id AND actor = ''
        RETURNING clerk_user_id, id
    )
    INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at, detail)
    SELECT clerk_user_id, id, 'revoked', NEW.ended_at, '{"by": "service", "reason": "sign_out"}' FROM ended;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION chatkit_sessions_block_sign_in() IS 'Blocks the sign-in of a session that a replica of an older version ended against it, and ends what else it holds.';
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION chatkit_sessions_block_sign_in() SET search_path = %I, pg_temp', current_schema());
END
$$;
-- +goose StatementEnd

-- Sign-ins that were blocked so before this migration.
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

-- +goose Down
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
COMMENT ON FUNCTION chatkit_sessions_block_sign_in() IS 'Blocks the sign-in of a session that a replica of an older version ended against it.';
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION chatkit_sessions_block_sign_in() SET search_path = %I, pg_temp', current_schema());
END
$$;
-- +goose StatementEnd
