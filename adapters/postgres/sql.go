package postgres

const (
	columns = `id, clerk_user_id, device_id, device_generated, workflow_id, actor, sign_in_id, holder_sign_in_id, status,
	token_hash, token_sealed, previous_token_hash, previous_token_until, superseded_seen,
	offer_hash, offer_until, offer_refused, metadata, remembered,
	expires_at, last_activity_at, created_at, ended_at, end_reason,
	opens, checks, address, client_browser, client_os, client_kind`

	// Whether a bearer's sign-in is blocked. $1 to $4 are the user, the sign-in, the
	// actor, and when the sign-in was verified (NULL if unknown). A recorded sign-in
	// is blocked if blocked_at is set. Any other is blocked if it was verified before
	// the user's moment.
	blockedSQL = `coalesce(
		(SELECT blocked_at IS NOT NULL FROM chatkit_sign_ins WHERE clerk_user_id = $1 AND sign_in_id = $2 AND actor = $3),
		(SELECT verified_at > $4::timestamptz FROM chatkit_sign_ins WHERE clerk_user_id = $1 AND sign_in_id = '' AND actor = ''),
		false)`

	// For statements that select blockedSQL with a row and found no row.
	isBlockedSQL = `SELECT ` + blockedSQL

	findOnDeviceSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = $1 AND device_id = $2 AND workflow_id = $3 AND actor = $4 AND status = 'active'`

	findGeneratedSQL = `SELECT ` + columns + ` FROM chatkit_sessions
	WHERE clerk_user_id = $1 AND workflow_id = $2 AND holder_sign_in_id = $3 AND actor = $4 AND status = 'active' AND device_generated
		AND sign_in_id = holder_sign_in_id`

	// The columns of an active session's outline. Each column slows every check down.
	outlineColumns = `id, clerk_user_id, device_id, workflow_id, actor, token_hash, previous_token_hash, previous_token_until,
	superseded_seen, remembered, expires_at, last_activity_at, created_at`

	findByTokenSQL = `SELECT ` + outlineColumns + ` FROM chatkit_sessions WHERE token_hash = $1 AND status = 'active'`

	findByPreviousSQL = `SELECT ` + outlineColumns + ` FROM chatkit_sessions WHERE previous_token_hash = $1 AND status = 'active'`

	// Both in one statement: the second half runs only if the first finds nothing.
	findByEitherSQL = findByTokenSQL + ` UNION ALL ` + findByPreviousSQL + ` LIMIT 1`

	findByOfferSQL = `SELECT ` + columns + `, ` + blockedSQL + ` AS by_blocked FROM chatkit_sessions WHERE offer_hash = $5 AND status = 'active'`

	findByIDSQL = `SELECT ` + columns + `, ` + blockedSQL + ` AS by_blocked FROM chatkit_sessions WHERE id = $5 AND clerk_user_id = $6`

	ownerOfSQL = `SELECT clerk_user_id, ` + blockedSQL + ` AS by_blocked FROM chatkit_sessions WHERE id = $5`

	// Whether an active row has expired or is idle by a cutoff, which is $5 to $9.
	// It may be NULL, which means no.
	pastSQL = `(expires_at <= $5::timestamptz
			OR created_at <= CASE WHEN remembered THEN $7::timestamptz ELSE $6::timestamptz END
			OR last_activity_at <= CASE WHEN remembered THEN $9::timestamptz ELSE $8::timestamptz END)`

	// The planner knows the requested status. Active sessions are selected by id
	// first: a user may have had many sessions but has few active ones.
	listSQL = `SELECT ` + columns + `, ` + blockedSQL + ` AS by_blocked FROM chatkit_sessions
	WHERE clerk_user_id = $10
		AND ($11::text = '' OR actor = $11)
		AND CASE $12::text
			WHEN 'active' THEN id = ANY (ARRAY(SELECT id FROM chatkit_sessions WHERE clerk_user_id = $10 AND status = 'active'))
				AND status = 'active' AND ` + pastSQL + ` IS NOT TRUE
			WHEN 'expired' THEN status = 'expired' OR (status = 'active' AND ` + pastSQL + `)
			WHEN 'revoked' THEN status = 'revoked'
			ELSE true END
		AND ($13::timestamptz IS NULL OR (created_at, id) < ($13, $14::uuid))
	ORDER BY created_at DESC, id DESC LIMIT $15`

	// Ids are selected first, each kind by its own index: a user may have had many
	// sessions but has few in scope. A session that ended before its row could be
	// locked is not in scope any more. There is always one row, which has the
	// columns that are not a session's.
	scopeSQL = `WITH ended AS MATERIALIZED (
		SELECT id FROM chatkit_sessions WHERE clerk_user_id = $5 AND id = $6::uuid
		UNION ALL (
		SELECT id FROM (
			SELECT DISTINCT ON (device_id) id, created_at FROM chatkit_sessions
			WHERE clerk_user_id = $5 AND created_at > $7 ORDER BY device_id, created_at DESC) newest
		ORDER BY created_at DESC LIMIT $8)),
	shown AS (
		SELECT ` + columns + ` FROM chatkit_sessions
		WHERE id = ANY (ARRAY(SELECT id FROM chatkit_sessions WHERE clerk_user_id = $5 AND status = 'active' UNION ALL SELECT id FROM ended))
			AND (status = 'active' OR id IN (SELECT id FROM ended))
		ORDER BY id FOR UPDATE),
	besides AS (
		SELECT ` + blockedSQL + ` AS by_blocked,
			coalesce((SELECT (SELECT blocked_at IS NOT NULL FROM chatkit_sign_ins
					WHERE clerk_user_id = $5 AND sign_in_id = s.holder_sign_in_id AND actor = s.actor)
				FROM chatkit_sessions s WHERE id = $6::uuid AND clerk_user_id = $5), false) AS holder_blocked,
			(SELECT coalesce(json_agg(known), '[]') FROM (
				SELECT sign_in_id, actor, first_seen_at, verified_at FROM chatkit_sign_ins
				WHERE clerk_user_id = $5 AND blocked_at IS NULL AND sign_in_id <> '') known) AS sign_ins)
	SELECT by_blocked, holder_blocked, sign_ins, id IS NOT NULL AS there, ` + columns + `
	FROM besides LEFT JOIN shown ON true ORDER BY id`

	changeSQL = `device_id = g.device_id, device_generated = g.device_generated,
		actor = g.actor, sign_in_id = g.sign_in_id, holder_sign_in_id = g.holder_sign_in_id, status = g.status,
		token_hash = g.token_hash, token_sealed = g.token_sealed, previous_token_hash = g.previous_token_hash,
		previous_token_until = g.previous_token_until, superseded_seen = g.superseded_seen,
		offer_hash = g.offer_hash, offer_until = g.offer_until, offer_refused = g.offer_refused,
		metadata = g.metadata, remembered = g.remembered, expires_at = g.expires_at, last_activity_at = g.last_activity_at,
		ended_at = g.ended_at, end_reason = g.end_reason,
		opens = g.opens, checks = g.checks, address = g.address,
		client_browser = g.client_browser, client_os = g.client_os, client_kind = g.client_kind`

	// All changes of an Update in one round trip. A part that counts another part's
	// rows runs after it: sessions end before one is moved to their place, and are
	// moved before a new one is inserted.
	writeSQL = `WITH given AS (SELECT * FROM json_populate_recordset(NULL::chatkit_sessions, $1::json)),
	ended AS (
		UPDATE chatkit_sessions s SET ` + changeSQL + `
		FROM given g WHERE s.id = g.id AND g.status <> 'active'
		RETURNING 1),
	changed AS (
		UPDATE chatkit_sessions s SET ` + changeSQL + `
		FROM given g WHERE s.id = g.id AND g.status = 'active' AND (SELECT count(*) FROM ended) >= 0
		RETURNING 1),
	created AS (
		INSERT INTO chatkit_sessions (` + columns + `)
		SELECT ` + columns + ` FROM json_populate_recordset(NULL::chatkit_sessions, $2::json)
		WHERE (SELECT count(*) FROM ended) >= 0 AND (SELECT count(*) FROM changed) >= 0),
	remembered AS (
		INSERT INTO chatkit_sign_ins AS known (clerk_user_id, sign_in_id, actor, first_seen_at, verified_at, blocked_at)
		SELECT clerk_user_id, sign_in_id, actor, first_seen_at, verified_at, blocked_at FROM json_populate_recordset(NULL::chatkit_sign_ins, $4::json)
		ON CONFLICT (clerk_user_id, sign_in_id, actor) DO UPDATE SET first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
			verified_at = greatest(known.verified_at, excluded.verified_at), blocked_at = coalesce(known.blocked_at, excluded.blocked_at)),
	forgotten AS (
		DELETE FROM chatkit_sign_ins known USING json_populate_recordset(NULL::chatkit_sign_ins, $5::json) f
		WHERE known.clerk_user_id = f.clerk_user_id AND known.sign_in_id = f.sign_in_id AND known.actor = f.actor AND known.blocked_at IS NULL)
	INSERT INTO chatkit_activity (id, clerk_user_id, session_id, type, at, address, client_browser, client_os, client_kind, detail)
	SELECT id, clerk_user_id, session_id, type, at, address, client_browser, client_os, client_kind, detail
	FROM json_populate_recordset(NULL::chatkit_activity, $3::json)`

	// Rows are locked in the order of their ids. Rows that an Update has locked are
	// skipped and returned as busy. Nothing is written if the replica's time, $2,
	// differs from the database's by more than $3. The database's time is returned.
	touchSQL = `WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
	seen AS (
		SELECT seen.*, client_browser || client_os || client_kind <> '' AS known
		FROM clock, json_to_recordset($1::json) AS seen(id uuid, at timestamptz, opens bigint, checks bigint,
			address text, client_browser text, client_os text, client_kind text)
		WHERE now BETWEEN $2::timestamptz - $3::interval AND $2::timestamptz + $3::interval),
	free AS (
		SELECT s.id, seen.at >= s.last_activity_at AS newer FROM chatkit_sessions s JOIN seen ON seen.id = s.id
		ORDER BY s.id FOR UPDATE OF s SKIP LOCKED),
	busy AS (
		SELECT s.id FROM chatkit_sessions s JOIN seen ON seen.id = s.id
		WHERE s.id NOT IN (SELECT id FROM free)),
	touched AS (
		UPDATE chatkit_sessions s SET
			last_activity_at = greatest(s.last_activity_at, seen.at), opens = s.opens + seen.opens, checks = s.checks + seen.checks,
			address = CASE WHEN newer AND seen.address IS NOT NULL THEN seen.address ELSE s.address END,
			client_browser = CASE WHEN newer AND known THEN seen.client_browser ELSE s.client_browser END,
			client_os = CASE WHEN newer AND known THEN seen.client_os ELSE s.client_os END,
			client_kind = CASE WHEN newer AND known THEN seen.client_kind ELSE s.client_kind END
		FROM free JOIN seen ON seen.id = free.id WHERE s.id = free.id),
	totals AS (
		INSERT INTO chatkit_usage AS total (day, opens, checks)
		SELECT (at AT TIME ZONE 'UTC')::date AS day, sum(opens), sum(checks) FROM seen
		WHERE id NOT IN (SELECT id FROM busy) GROUP BY 1 ORDER BY 1
		ON CONFLICT (day) DO UPDATE SET opens = total.opens + excluded.opens, checks = total.checks + excluded.checks)
	SELECT now, ARRAY(SELECT id::text FROM busy) FROM clock`

	activitySQL = `SELECT id, clerk_user_id, session_id, type, at, address, client_browser, client_os, client_kind, detail, ` + blockedSQL + ` AS by_blocked
	FROM chatkit_activity
	WHERE clerk_user_id = $5
		AND ($6::uuid IS NULL OR session_id = $6)
		AND ($7::timestamptz IS NULL OR (at, id) < ($7, $8::uuid))
	ORDER BY at DESC, id DESC LIMIT $9`

	countSQL = `SELECT CASE WHEN status = 'active' AND ` + pastSQL + ` THEN 'expired' ELSE status::text END AS status, count(*) AS count, ` + blockedSQL + ` AS by_blocked
	FROM chatkit_sessions GROUP BY 1`

	daysSQL = `SELECT day, opens, checks FROM chatkit_usage WHERE day >= $1 ORDER BY day DESC`

	// The database's time. It fails if the role may not read the sessions.
	nowSQL = `SELECT clock_timestamp() FROM (SELECT count(*) FROM chatkit_sessions WHERE false) probe`

	// The lease in force and for how long it has been, in microseconds. $1 is the
	// replica's own lease, 0 for none; $2 is how long a lease is kept without being
	// renewed.
	leaseSQL = `WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now, $1::bigint * interval '1 us' AS lease, $2::bigint * interval '1 us' AS kept),
	held AS (
		INSERT INTO chatkit_lease AS known (lease, since, held_at)
		SELECT lease, now, now FROM clock WHERE $1::bigint > 0
		ON CONFLICT (one) DO UPDATE SET lease = excluded.lease, held_at = excluded.held_at,
			since = CASE WHEN known.held_at > excluded.held_at - $2::bigint * interval '1 us' THEN known.since ELSE excluded.since END
		WHERE known.lease = excluded.lease OR known.held_at <= excluded.held_at - $2::bigint * interval '1 us'
		RETURNING lease, since),
	known AS (
		SELECT lease, since FROM held
		UNION ALL
		SELECT lease, since FROM chatkit_lease WHERE held_at > (SELECT now - kept FROM clock) AND NOT EXISTS (SELECT FROM held))
	SELECT coalesce(max(extract(epoch FROM lease) * 1000000), 0)::bigint, coalesce(max(extract(epoch FROM (SELECT now FROM clock) - since) * 1000000), 0)::bigint FROM known`

	notifySQL = `SELECT pg_notify($1, $2)`

	// All programs of a database share its advisory locks; the random seed and number
	// keep these distinct. lockUserSQL returns the time when it got the lock.
	lockUserSQL       = `SELECT clock_timestamp() FROM pg_advisory_xact_lock(hashtextextended($1, 7263155418339082191))`
	tryCleanerLockSQL = `SELECT pg_try_advisory_xact_lock(4178620957731144069)`

	expireSQL = `SELECT cleanup_expired_chatkit_sessions($1, $2)`

	// The ids are collected in an array, as in the clean-up function, so that the rows
	// are found by their key whatever the size of the batch.
	purgeSQL = `WITH purged AS (
		DELETE FROM chatkit_sessions WHERE id = ANY (ARRAY(
			SELECT id FROM chatkit_sessions WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))
		RETURNING 1)
	SELECT count(*) FROM purged`

	purgeActivitySQL = `WITH purged AS (
		DELETE FROM chatkit_activity WHERE id = ANY (ARRAY(SELECT id FROM chatkit_activity WHERE at < $1 ORDER BY at LIMIT $2))
		RETURNING 1)
	SELECT count(*) FROM purged`

	purgeSignInsSQL = `WITH purged AS (
		DELETE FROM chatkit_sign_ins WHERE (clerk_user_id, sign_in_id, actor) IN (
			SELECT clerk_user_id, sign_in_id, actor FROM chatkit_sign_ins known
			WHERE greatest(first_seen_at, verified_at, blocked_at) < $1 AND NOT EXISTS (
				SELECT FROM chatkit_sessions s WHERE s.clerk_user_id = known.clerk_user_id AND s.status = 'active'
					AND s.holder_sign_in_id = known.sign_in_id AND s.actor = known.actor)
			ORDER BY greatest(first_seen_at, verified_at, blocked_at) LIMIT $2 FOR UPDATE SKIP LOCKED)
		RETURNING 1)
	SELECT count(*) FROM purged`

	// The server's timeouts for the transactions of a stopped replica: see
	// server_timeouts.go.
	idleInTransaction = "5s"
	lockWait          = "3s"
	peerTimeout       = "10s"

	// Begins each of the store's transactions.
	beginSQL = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
	SET LOCAL idle_in_transaction_session_timeout = '` + idleInTransaction + `';
	SET LOCAL lock_timeout = '` + lockWait + `'`

	// They have no effect on a Unix socket.
	peerSQL = `SET tcp_keepalives_idle = '` + peerTimeout + `';
	SET tcp_keepalives_interval = '3s';
	SET tcp_keepalives_count = 3;
	SET tcp_user_timeout = '` + peerTimeout + `'`
)
