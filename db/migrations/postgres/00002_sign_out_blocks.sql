-- +goose Up
ALTER TABLE chatkit_sessions ADD COLUMN blocks_sign_in boolean NOT NULL DEFAULT false;
ALTER TABLE chatkit_sessions ADD CONSTRAINT chatkit_sessions_blocks_ended CHECK (NOT blocks_sign_in OR status <> 'active');
CREATE INDEX idx_chatkit_sessions_blocked ON chatkit_sessions (clerk_user_id, sign_in_id) WHERE blocks_sign_in;
COMMENT ON COLUMN chatkit_sessions.blocks_sign_in IS 'Whether the session was ended against the sign-in that last opened it, which creates no session any more.';

-- +goose Down
ALTER TABLE chatkit_sessions DROP COLUMN blocks_sign_in;
