-- +goose Up
ALTER TABLE chatkit_sessions ADD COLUMN blocks_sign_in INTEGER NOT NULL DEFAULT 0 CHECK (blocks_sign_in IN (0, 1) AND (blocks_sign_in = 0 OR status <> 'active'));
CREATE INDEX idx_chatkit_sessions_blocked ON chatkit_sessions (clerk_user_id, sign_in_id) WHERE blocks_sign_in = 1;

-- +goose Down
DROP INDEX idx_chatkit_sessions_blocked;
ALTER TABLE chatkit_sessions DROP COLUMN blocks_sign_in;
