-- Made while sessions go on, and made anew where a try before was cut off.

-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_offer;
CREATE UNIQUE INDEX CONCURRENTLY idx_chatkit_sessions_offer ON chatkit_sessions (offer_hash) WHERE offer_hash IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_user_created;
CREATE INDEX CONCURRENTLY idx_chatkit_sessions_user_created ON chatkit_sessions (clerk_user_id, created_at, id);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_offer;
DROP INDEX CONCURRENTLY IF EXISTS idx_chatkit_sessions_user_created;
