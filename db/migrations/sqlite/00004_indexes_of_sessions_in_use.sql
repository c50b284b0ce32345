-- +goose Up
CREATE UNIQUE INDEX idx_chatkit_sessions_offer ON chatkit_sessions (offer_hash) WHERE offer_hash IS NOT NULL;
CREATE INDEX idx_chatkit_sessions_user_created ON chatkit_sessions (clerk_user_id, created_at, id);

-- +goose Down
DROP INDEX idx_chatkit_sessions_offer;
DROP INDEX idx_chatkit_sessions_user_created;
