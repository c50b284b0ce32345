package sqlite

const (
	columns = `id, clerk_user_id, device_id, device_generated, workflow_id, actor, sign_in_id, holder_sign_in_id, status,
	token_hash, token_sealed, previous_token_hash, previous_token_until, superseded_seen,
	offer_hash, offer_until, offer_refused, metadata, remembered,
	expires_at, last_activity_at, created_at, ended_at, end_reason,
	opens, checks, address, client_browser, client_os, client_kind`

	values = `:id, :clerk_user_id, :device_id, :device_generated, :workflow_id, :actor, :sign_in_id, :holder_sign_in_id, :status,
	:token_hash, :token_sealed, :previous_token_hash, :previous_token_until, :superseded_seen,
	:offer_hash, :offer_until, :offer_refused, :metadata, :remembered,
	:expires_at, :last_activity_at, :created_at, :ended_at, :end_reason,
	:opens, :checks, :address, :client_browser, :client_os, :client_kind`

	nowSQL = `CAST(unixepoch('subsec') * 1000000 AS INTEGER)`

	// Whether a bearer's sign-in is blocked. The arguments are the user, the sign-in,
	// the actor, and when the sign-in was verified (NULL if unknown). A recorded
	// sign-in is blocked if blocked_at is set. Any other is blocked if it was
	// verified before the user's moment.
	isBlockedSQL = `SELECT coalesce(
		(SELECT blocked_at IS NOT NULL FROM chatkit_sign_ins WHERE clerk_user_id = ?1 AND sign_in_id = ?2 AND actor = ?3),
		(SELECT verified_at > ?4 FROM chatkit_sign_ins WHERE clerk_user_id = ?1 AND sign_in_id = '' AND actor = ''),
		0)`

	findOnDeviceSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = ?1 AND device_id = ?2 AND workflow_id = ?3 AND actor = ?4 AND status = 'active'`

	findGeneratedSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = ?1 AND workflow_id = ?2 AND holder_sign_in_id = ?3 AND actor = ?4 AND status = 'active' AND device_generated = 1
		AND sign_in_id = holder_sign_in_id`

	findByTokenSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE token_hash = ?1 AND status = 'active'
	UNION ALL
	SELECT ` + columns + ` FROM chatkit_sessions WHERE previous_token_hash = ?1 AND status = 'active'
	LIMIT 1`

	findByOfferSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE offer_hash = ?1 AND status = 'active'`

	findByIDSQL = `SELECT ` + columns + ` FROM chatkit_sessions WHERE id = ?1 AND clerk_user_id = ?2`

	ownerOfSQL = `SELECT clerk_user_id FROM chatkit_sessions WHERE id = ?1`

	// The status of a row by a cutoff, which is ?1 to ?5.
	statusAtSQL = `CASE WHEN status = 'active' AND (expires_at <= ?1
			OR created_at <= iif(remembered, ?3, ?2)
			OR last_activity_at <= iif(remembered, ?5, ?4))
		THEN 'expired' ELSE status END`

	listSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = ?6
		AND (?7 = '' OR ?7 = ` + statusAtSQL + `)
		AND (?8 IS NULL OR (created_at, id) < (?8, ?9))
		AND (?11 = '' OR actor = ?11)
	ORDER BY created_at DESC, id DESC LIMIT ?10`

	scopeSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = ?1 AND (status = 'active' OR id = ?2 OR id IN (
		SELECT id FROM (
			SELECT id, max(created_at) AS newest FROM chatkit_sessions
			WHERE clerk_user_id = ?1 AND created_at > ?3 GROUP BY device_id)
		ORDER BY newest DESC LIMIT ?4))
	ORDER BY id`

	holderBlockedSQL = `SELECT EXISTS (SELECT 1 FROM chatkit_sign_ins b JOIN chatkit_sessions s
		ON s.clerk_user_id = b.clerk_user_id AND s.holder_sign_in_id = b.sign_in_id AND s.actor = b.actor
		WHERE s.id = ?2 AND b.clerk_user_id = ?1 AND b.blocked_at IS NOT NULL)`

	signInsSQL = `SELECT sign_in_id, actor, first_seen_at, verified_at, blocked_at FROM chatkit_sign_ins
	WHERE clerk_user_id = ?1 AND blocked_at IS NULL AND sign_in_id <> ''`

	rememberSQL = `INSERT INTO chatkit_sign_ins (clerk_user_id, sign_in_id, actor, first_seen_at, verified_at, blocked_at)
	VALUES (:clerk_user_id, :sign_in_id, :actor, :first_seen_at, :verified_at, :blocked_at)
	ON CONFLICT (clerk_user_id, sign_in_id, actor) DO UPDATE SET first_seen_at = min(first_seen_at, excluded.first_seen_at),
		verified_at = max(verified_at, excluded.verified_at), blocked_at = coalesce(blocked_at, excluded.blocked_at)`

	forgetSQL = `DELETE FROM chatkit_sign_ins
	WHERE clerk_user_id = :clerk_user_id AND sign_in_id = :sign_in_id AND actor = :actor AND blocked_at IS NULL`

	insertSQL = `INSERT INTO chatkit_sessions (` + columns + `, updated_at) VALUES (` + values + `, ` + nowSQL + `)`

	updateSQL = `UPDATE chatkit_sessions SET
		device_id = :device_id, device_generated = :device_generated,
		actor = :actor, sign_in_id = :sign_in_id, holder_sign_in_id = :holder_sign_in_id, status = :status,
		token_hash = :token_hash, token_sealed = :token_sealed, previous_token_hash = :previous_token_hash,
		previous_token_until = :previous_token_until, superseded_seen = :superseded_seen,
		offer_hash = :offer_hash, offer_until = :offer_until, offer_refused = :offer_refused,
		metadata = :metadata, remembered = :remembered, expires_at = :expires_at, last_activity_at = :last_activity_at,
		ended_at = :ended_at, end_reason = :end_reason,
		opens = :opens, checks = :checks, address = :address,
		client_browser = :client_browser, client_os = :client_os, client_kind = :client_kind,
		updated_at = ` + nowSQL + `
	WHERE id = :id`

	noteSQL = `INSERT INTO chatkit_activity (id, clerk_user_id, session_id, type, at, address, client_browser, client_os, client_kind, detail)
	VALUES (:id, :clerk_user_id, :session_id, :type, :at, :address, :client_browser, :client_os, :client_kind, :detail)`

	touchSQL = `UPDATE chatkit_sessions SET
		last_activity_at = max(last_activity_at, :at), opens = opens + :opens, checks = checks + :checks,
		address = CASE WHEN :at >= last_activity_at AND :address IS NOT NULL THEN :address ELSE address END,
		client_browser = CASE WHEN :at >= last_activity_at AND :known THEN :client_browser ELSE client_browser END,
		client_os = CASE WHEN :at >= last_activity_at AND :known THEN :client_os ELSE client_os END,
		client_kind = CASE WHEN :at >= last_activity_at AND :known THEN :client_kind ELSE client_kind END,
		updated_at = ` + nowSQL + `
	WHERE id = :id`

	totalSQL = `INSERT INTO chatkit_usage (day, opens, checks) VALUES (?1, ?2, ?3)
	ON CONFLICT (day) DO UPDATE SET opens = opens + excluded.opens, checks = checks + excluded.checks`

	activitySQL = `SELECT id, clerk_user_id, session_id, type, at, address, client_browser, client_os, client_kind, detail FROM chatkit_activity
	WHERE clerk_user_id = ?1
		AND (?2 = '' OR session_id = ?2)
		AND (?3 IS NULL OR (at, id) < (?3, ?4))
	ORDER BY at DESC, id DESC LIMIT ?5`

	countSQL = `SELECT ` + statusAtSQL + ` AS status, count(*) AS count FROM chatkit_sessions GROUP BY 1`

	daysSQL = `SELECT day, opens, checks FROM chatkit_usage WHERE day >= ?1 ORDER BY day DESC`

	dueSQL = `SELECT id FROM chatkit_sessions WHERE status = 'active' AND expires_at <= ?1 ORDER BY expires_at, id LIMIT ?2`

	noteDueSQL = `INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at)
	SELECT clerk_user_id, id, 'expired', ?1 FROM chatkit_sessions WHERE id IN (` + dueSQL + `)`

	expireSQL = `UPDATE chatkit_sessions SET
		status = 'expired', ended_at = ?1, end_reason = 'expired',
		token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
		offer_hash = NULL, offer_until = NULL, offer_refused = 0,
		updated_at = ` + nowSQL + `
	WHERE id IN (` + dueSQL + `)`

	purgeSQL = `DELETE FROM chatkit_sessions WHERE id IN (
		SELECT id FROM chatkit_sessions WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)`

	purgeSignInsSQL = `DELETE FROM chatkit_sign_ins WHERE rowid IN (
		SELECT rowid FROM chatkit_sign_ins known
		WHERE max(first_seen_at, verified_at, coalesce(blocked_at, 0)) < ?1 AND NOT EXISTS (
			SELECT 1 FROM chatkit_sessions s WHERE s.clerk_user_id = known.clerk_user_id AND s.status = 'active'
				AND s.holder_sign_in_id = known.sign_in_id AND s.actor = known.actor)
		ORDER BY max(first_seen_at, verified_at, coalesce(blocked_at, 0)) LIMIT ?2)`

	purgeActivitySQL = `DELETE FROM chatkit_activity WHERE id IN (SELECT id FROM chatkit_activity WHERE at < ?1 ORDER BY at LIMIT ?2)`

	holdLeaseSQL = `INSERT INTO chatkit_lease AS known (one, lease, since, held_at) VALUES (1, ?1, ` + nowSQL + `, ` + nowSQL + `)
	ON CONFLICT (one) DO UPDATE SET lease = excluded.lease, held_at = excluded.held_at,
		since = iif(known.held_at > excluded.held_at - ?2, known.since, excluded.since)
	WHERE known.lease = excluded.lease OR known.held_at <= excluded.held_at - ?2
	RETURNING lease, ` + nowSQL + ` - since`

	leaseSQL = `SELECT lease, ` + nowSQL + ` - since FROM chatkit_lease WHERE held_at > ` + nowSQL + ` - ?1`
)
