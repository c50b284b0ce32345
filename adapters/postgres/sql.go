package postgres

const (
	columns = `id, clerk_user_id, device_id, device_generated, workflow_id, sign_in_id, status,
	token_hash, token_sealed, previous_token_hash, previous_token_until, metadata,
	expires_at, last_activity_at, created_at, ended_at, end_reason, blocks_sign_in`

	findOnDeviceSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = $1 AND device_id = $2 AND workflow_id = $3 AND status = 'active'`

	findGeneratedSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = $1 AND workflow_id = $2 AND status = 'active' AND device_generated`

	findByTokenSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE token_hash = $1 AND status = 'active'
	UNION ALL
	SELECT ` + columns + ` FROM chatkit_sessions WHERE previous_token_hash = $1 AND status = 'active'
	LIMIT 1`

	findByIDSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE id = $1 AND clerk_user_id = $2`

	listSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = $1
		AND ($2::text = '' OR $2 = CASE WHEN status = 'active' AND expires_at <= $3::timestamptz THEN 'expired' ELSE status::text END)
		AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
	ORDER BY created_at DESC, id DESC LIMIT $6`

	lockAllSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = $1 AND status = 'active' ORDER BY id FOR UPDATE`

	// No row, where the sign-in is blocked.
	insertSQL = `INSERT INTO chatkit_sessions (` + columns + `)
	SELECT $1::uuid, $2::text, $3::text, $4::boolean, $5::text, $6::text, $7::session_status,
		$8::bytea, $9::bytea, $10::bytea, $11::timestamptz, $12::jsonb,
		$13::timestamptz, $14::timestamptz, $15::timestamptz, $16::timestamptz, $17::text, $18::boolean
	WHERE NOT EXISTS (SELECT FROM chatkit_sessions WHERE clerk_user_id = $2 AND sign_in_id = $6 AND blocks_sign_in)`

	updateSQL = `UPDATE chatkit_sessions SET
		device_id = $2, device_generated = $3, sign_in_id = $4, status = $5,
		token_hash = $6, token_sealed = $7, previous_token_hash = $8, previous_token_until = $9, metadata = $10,
		expires_at = $11, last_activity_at = $12, ended_at = $13, end_reason = $14, blocks_sign_in = $15
	WHERE id = $1`

	// In the order of their ids, so that replicas that touch the same sessions
	// do not wait for each other in a circle.
	touchSQL = `WITH seen AS (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS seen(id, at)),
	mine AS (
		SELECT s.id, seen.at FROM chatkit_sessions s JOIN seen ON seen.id = s.id
		WHERE s.status = 'active' AND s.last_activity_at < seen.at
		ORDER BY s.id FOR UPDATE OF s SKIP LOCKED)
	UPDATE chatkit_sessions s SET last_activity_at = mine.at FROM mine WHERE s.id = mine.id`

	// Advisory locks are shared by all that use the database: the seed and the
	// number, random ones, keep these apart from others'.
	lockUserSQL       = `SELECT pg_advisory_xact_lock(hashtextextended($1, 7263155418339082191))`
	tryCleanerLockSQL = `SELECT pg_try_advisory_xact_lock(4178620957731144069)`

	expireSQL = `SELECT cleanup_expired_chatkit_sessions($1, $2)`

	purgeSQL = `WITH purged AS (
		DELETE FROM chatkit_sessions WHERE id IN (
			SELECT id FROM chatkit_sessions WHERE ended_at < $1 AND NOT blocks_sign_in ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)
		RETURNING 1)
	SELECT count(*) FROM purged`
)
