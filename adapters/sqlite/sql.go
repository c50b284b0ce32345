package sqlite

const (
	columns = `id, clerk_user_id, device_id, device_generated, workflow_id, sign_in_id, status,
	token_hash, token_sealed, previous_token_hash, previous_token_until, metadata,
	expires_at, last_activity_at, created_at, ended_at, end_reason, blocks_sign_in`

	findOnDeviceSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = ?1 AND device_id = ?2 AND workflow_id = ?3 AND status = 'active'`

	findGeneratedSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = ?1 AND workflow_id = ?2 AND status = 'active' AND device_generated = 1`

	findByTokenSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE token_hash = ?1 AND status = 'active'
	UNION ALL
	SELECT ` + columns + ` FROM chatkit_sessions WHERE previous_token_hash = ?1 AND status = 'active'
	LIMIT 1`

	// No row, where the sign-in is blocked.
	insertSQL = `INSERT INTO chatkit_sessions (` + columns + `, updated_at)
	SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
		CAST(unixepoch('subsec') * 1000000 AS INTEGER)
	WHERE NOT EXISTS (SELECT 1 FROM chatkit_sessions WHERE clerk_user_id = ?2 AND sign_in_id = ?6 AND blocks_sign_in = 1)`

	findByIDSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE id = ?1 AND clerk_user_id = ?2`

	listSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = ?1
		AND (?2 = '' OR ?2 = CASE WHEN status = 'active' AND expires_at <= ?3 THEN 'expired' ELSE status END)
		AND (?4 IS NULL OR (created_at, id) < (?4, ?5))
	ORDER BY created_at DESC, id DESC LIMIT ?6`

	activeSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE clerk_user_id = ?1 AND status = 'active' ORDER BY id`

	updateSQL = `UPDATE chatkit_sessions SET
		device_id = ?2, device_generated = ?3, sign_in_id = ?4, status = ?5,
		token_hash = ?6, token_sealed = ?7, previous_token_hash = ?8, previous_token_until = ?9, metadata = ?10,
		expires_at = ?11, last_activity_at = ?12, ended_at = ?13, end_reason = ?14, blocks_sign_in = ?15,
		updated_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER)
	WHERE id = ?1`

	touchSQL = `UPDATE chatkit_sessions SET last_activity_at = ?2, updated_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER)
	WHERE id = ?1 AND status = 'active' AND last_activity_at < ?2`

	expireSQL = `UPDATE chatkit_sessions SET
		status = 'expired', ended_at = ?1, end_reason = 'expired',
		token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
		updated_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER)
	WHERE id IN (
		SELECT id FROM chatkit_sessions WHERE status = 'active' AND expires_at <= ?1
		ORDER BY expires_at LIMIT ?2)`

	purgeSQL = `DELETE FROM chatkit_sessions WHERE id IN (
		SELECT id FROM chatkit_sessions WHERE ended_at < ?1 AND blocks_sign_in = 0 ORDER BY ended_at LIMIT ?2)`
)
