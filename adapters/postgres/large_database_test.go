package postgres_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/adapters/postgres/seed"
	"chatkit-session/core/lifecycle"
	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// crowd is a full database: 100 thousand sessions of people who came and went,
// among them one who has had two thousand.
type crowd struct {
	url  string
	conn *sql.DB // its owner's only one
	now  time.Time
	held []session.ID // the active ones of slot's user, the one in slot first
	used []session.ID // active ones of many users, as many as are touched at once
	next session.ID   // of their next session
}

type noSealer struct{}

func (noSealer) Seal(session.ID, session.Token) ([]byte, error) { return []byte("sealed"), nil }

func (noSealer) Unseal(session.ID, []byte) (session.Token, error) { return session.Token{}, nil }

// The rows beside the seeded ones.
const (
	addSQL = `INSERT INTO chatkit_sessions (id, clerk_user_id, device_id, device_generated, workflow_id, sign_in_id, token_hash,
		created_at, expires_at, ended_at, status, end_reason) SELECT gen_random_uuid(), `

	// Somebody whose client makes up a new device each time.
	endedSQL = addSQL + `'user_alice', 'device_' || n, true, 'workflow_1', 'sess_1', sha256(('ended' || n)::bytea),
		now() - n * interval '2 minutes', now(), now() - n * interval '1 minute', 'revoked', 'limit' FROM generate_series(1, 2000) n`
	heldSQL = addSQL + `'user_alice', CASE n WHEN 1 THEN 'phone' ELSE 'held_' || n END, n = 2, 'workflow_1', 'sess_1', sha256(('held' || n)::bytea),
		now() - n * interval '7 hours', now() + interval '1 hour', NULL, 'active', NULL FROM generate_series(1, 10) n`
	// They hold what they opened. Alice's has been signed out in three thousand
	// sign-ins, as the user of a kiosk is, and others in many that are forgotten.
	holdersSQL = `UPDATE chatkit_sessions SET holder_sign_in_id = sign_in_id WHERE sign_in_id <> ''`
	signInsSQL = `INSERT INTO chatkit_sign_ins (clerk_user_id, sign_in_id, first_seen_at, verified_at)
		SELECT clerk_user_id, sign_in_id, min(created_at), min(created_at) FROM chatkit_sessions WHERE sign_in_id <> '' AND status = 'active' GROUP BY 1, 2 ON CONFLICT DO NOTHING`
	blocksSQL = `INSERT INTO chatkit_sign_ins (clerk_user_id, sign_in_id, first_seen_at, verified_at, blocked_at)
		SELECT 'user_alice', 'sess_out_' || n, now() - n * interval '1 minute', now() - n * interval '1 minute', now() - n * interval '1 second' FROM generate_series(1, 3000) n`
	idleSQL = `INSERT INTO chatkit_sign_ins (clerk_user_id, sign_in_id, first_seen_at, verified_at)
		SELECT 'user_alice', 'sess_idle_' || n, now() - n * interval '1 minute', now() - n * interval '1 minute' FROM generate_series(1, 15) n`
	forgottenSQL = `INSERT INTO chatkit_sign_ins (clerk_user_id, sign_in_id, first_seen_at, verified_at)
		SELECT 'user_gone_' || n, '', now() - interval '500 days' - n * interval '1 second', now() - interval '500 days' - n * interval '1 second' FROM generate_series(1, 20000) n`
	// What the clean-up has to do.
	dueSQL = addSQL + `'user_due_' || n, 'phone', false, 'workflow_1', '', sha256(('due' || n)::bytea),
		now() - interval '1 day', now() - n * interval '1 second', NULL, 'active', NULL FROM generate_series(1, 20000) n`
	longEndedSQL = addSQL + `'user_gone_' || n, 'phone', false, 'workflow_1', '', sha256(('gone' || n)::bytea),
		now() - interval '40 days', now(), now() - interval '31 days' - n * interval '1 second', 'expired', 'expired' FROM generate_series(1, 3000) n`

	secretsSQL = `UPDATE chatkit_sessions SET previous_token_hash = sha256(token_hash), offer_hash = sha256(sha256(token_hash))
		WHERE status = 'active' AND (clerk_user_id = 'user_alice' OR clerk_user_id LIKE 'user_seed_1%')`
	timelineSQL = `INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at)
		SELECT clerk_user_id, id, 'created', created_at FROM chatkit_sessions WHERE clerk_user_id NOT LIKE 'user_gone%'`
	longAgoSQL = `INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at)
		SELECT clerk_user_id, id, 'expired', ended_at - interval '80 days' FROM chatkit_sessions WHERE clerk_user_id LIKE 'user_gone%'`
	usageSQL   = `INSERT INTO chatkit_usage SELECT current_date - n, 1, 1 FROM generate_series(0, 999) n`
	analyseSQL = `VACUUM (ANALYZE) chatkit_sessions, chatkit_activity, chatkit_usage, chatkit_sign_ins`
)

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{url: pgtest.New(t), now: time.Now().UTC().Truncate(time.Microsecond), next: session.Must(session.ParseID(uuid.NewString()))}
	c.conn = pgtest.Open(t, c.url)
	c.conn.SetMaxOpenConns(1)
	if _, err := seed.Fill(t.Context(), c.conn, seed.Plan{Sessions: 73_000, Workflow: slot.Workflow, Sealer: noSealer{}, Now: c.now}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{endedSQL, heldSQL, dueSQL, longEndedSQL, holdersSQL, signInsSQL, blocksSQL, idleSQL, forgottenSQL, secretsSQL, timelineSQL, longAgoSQL, usageSQL, analyseSQL} {
		exec(t, c.conn, statement)
	}
	c.held = c.ids(t, `SELECT id FROM chatkit_sessions WHERE clerk_user_id = 'user_alice' AND status = 'active' ORDER BY created_at DESC`)
	c.used = c.ids(t, `SELECT id FROM chatkit_sessions WHERE clerk_user_id LIKE 'user_seed_%' AND status = 'active' ORDER BY token_hash LIMIT $1`, lifecycle.TouchBatch)
	return c
}

// ids are those that a query finds.
func (c *crowd) ids(t *testing.T, query string, args ...any) []session.ID {
	t.Helper()
	var found []string
	if err := c.conn.QueryRowContext(t.Context(), "SELECT ARRAY("+query+")::text[]", args...).Scan(pq.Array(&found)); err != nil {
		t.Fatal(err)
	}
	list := make([]session.ID, len(found))
	for i, id := range found {
		list[i] = session.Must(session.ParseID(id))
	}
	return list
}

// undo makes what the call of Update stored new again.
func (c *crowd) undo() string {
	id := pq.QuoteLiteral(c.next.String())
	return "DELETE FROM chatkit_sign_ins WHERE sign_in_id = 'sess_new'; DELETE FROM chatkit_activity WHERE session_id = " + id + "; DELETE FROM chatkit_sessions WHERE id = " + id
}

// calls are the store's methods, in each form that makes a difference to the
// database.
func (c *crowd) calls(store *postgres.Store) map[string]func(context.Context) error {
	user, anyDevice, after := slot.User, slot, ports.Position{At: c.now.Add(-time.Hour), ID: c.held[0]}
	anyDevice.Device = session.DeviceID{}
	nowhere := slot
	nowhere.User = session.Must(session.ParseUserID("user_nobody"))
	nowhereAnyDevice := anyDevice
	nowhereAnyDevice.User = nowhere.User
	none := session.Must(session.ParseID(uuid.NewString()))
	token := session.TokenHash(sha256.Sum256([]byte("held1")))
	previous := session.TokenHash(sha256.Sum256(token[:]))
	code := session.TokenHash(sha256.Sum256(previous[:]))
	by := session.Bearer{User: user, Holder: session.Holder{SignIn: session.Must(session.ParseSignInID("sess_1"))}, Verified: c.now}
	stranger := session.Bearer{User: nowhere.User, Holder: by.Holder}
	find := func(slot session.Slot) func(context.Context) error {
		return func(ctx context.Context) error { _, err := store.Find(ctx, slot, by.SignIn); return err }
	}
	findByID := func(user session.UserID, id session.ID, by session.Bearer) func(context.Context) error {
		return func(ctx context.Context) error { _, err := store.FindByID(ctx, user, id, by); return err }
	}
	ownerOf := func(id session.ID) func(context.Context) error {
		return func(ctx context.Context) error { _, err := store.OwnerOf(ctx, id, by); return err }
	}
	findByOffer := func(code session.TokenHash) func(context.Context) error {
		return func(ctx context.Context) error { _, err := store.FindByOffer(ctx, code, by); return err }
	}
	scope := ports.Scope{User: user, By: by, Session: c.held[0], CreatedAfter: c.now.Add(-10 * time.Minute), NewDevices: 11}
	return map[string]func(context.Context) error{
		"Find/OnDevice":        find(slot),
		"Find/Generated":       find(anyDevice),
		"Find/NotOnDevice":     missing(find(nowhere)),
		"Find/NotGenerated":    missing(find(nowhereAnyDevice)),
		"FindByToken/Current":  one(store.FindByToken, token),
		"FindByToken/Previous": one(store.FindByToken, previous),
		"FindByToken/None":     missing(one(store.FindByToken, session.TokenHash{2})),
		"FindByOffer/None":     missing(findByOffer(session.TokenHash{2})),
		"FindByOffer":          findByOffer(code),
		"FindByID":             findByID(user, c.held[0], by),
		"FindByID/None":        missing(findByID(user, none, by)),
		"FindByID/Another's":   missing(findByID(nowhere.User, c.held[0], stranger)),
		"OwnerOf/None":         missing(ownerOf(none)),
		"OwnerOf":              ownerOf(c.held[0]),
		"List":                 one(store.List, c.list("", ports.Position{})),
		"List/After":           one(store.List, c.list("", after)),
		"List/Active":          one(store.List, c.list(session.StatusActive, ports.Position{})),
		"List/ActiveAfter":     one(store.List, c.list(session.StatusActive, after)),
		"List/Expired":         one(store.List, c.list(session.StatusExpired, ports.Position{})),
		"List/Revoked":         one(store.List, c.list(session.StatusRevoked, ports.Position{})),
		"ListActivity":         one(store.ListActivity, ports.ActivityQuery{User: user, By: by, Limit: page}),
		"ListActivity/After":   one(store.ListActivity, ports.ActivityQuery{User: user, By: by, Limit: page, After: after}),
		"ListActivity/Session": one(store.ListActivity, ports.ActivityQuery{User: user, By: by, Limit: page, Session: c.held[0], After: after}),
		"Update":               func(ctx context.Context) error { return store.Update(ctx, ports.Scope{User: user}, leave) },
		"Update/Open":          func(ctx context.Context) error { return store.Update(ctx, scope, c.change) },
		"Touch":                one(store.Touch, c.uses()),
		"ExpireDue":            cleaned(store.ExpireDue, c.now),
		"PurgeEnded":           cleaned(store.PurgeEnded, c.now.AddDate(0, 0, -30)),
		"PurgeSignIns":         cleaned(store.PurgeSignIns, c.now.AddDate(0, 0, -400)),
		"PurgeActivity":        cleaned(store.PurgeActivity, c.now.AddDate(0, 0, -90)),
		"Stats": func(ctx context.Context) error {
			_, err := store.Stats(ctx, by, session.DefaultPolicy().Cutoff(c.now), c.now.AddDate(0, 0, -30))
			return err
		},
		"Relay.Send": func(ctx context.Context) error {
			relay, err := postgres.NewRelay(store, "")
			if err != nil {
				return err
			}
			return relay.Send(ctx, c.held)
		},
		"Now": func(ctx context.Context) error { _, err := store.Now(ctx); return err },
		"HoldLease": func(ctx context.Context) error {
			_, err := store.HoldLease(ctx, time.Second, time.Minute)
			return err
		},
	}
}

// one is a call with one argument.
func one[A, R any](method func(context.Context, A) (R, error), argument A) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := method(ctx, argument)
		return err
	}
}

// missing is a call that finds nothing.
func missing(call func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := call(ctx)
		if errors.Is(err, session.KindNotFound) {
			return nil
		}
		return errors.Join(errors.New("it found something"), err)
	}
}

func (c *crowd) list(status session.Status, after ports.Position) ports.ListQuery {
	return ports.ListQuery{User: slot.User, By: session.Bearer{User: slot.User}, Status: status, Cutoff: session.DefaultPolicy().Cutoff(c.now), After: after, Limit: page}
}

func (c *crowd) uses() (uses []session.Use) {
	for _, id := range c.used {
		uses = append(uses, session.Use{Session: id, At: c.now, Opens: 1})
	}
	return uses
}

// leave looks and changes nothing.
func leave(ports.Seen) (ports.Changes, error) { return ports.Changes{}, nil }

// change does all that an Update can: it ends a session, changes another,
// makes one and records it.
func (c *crowd) change(seen ports.Seen) (ports.Changes, error) {
	var active []session.Session
	for _, s := range seen.Sessions {
		if s.Status() == session.StatusActive {
			active = append(active, s)
		}
	}
	ends, stays := active[len(active)-1], active[0]
	ends.Revoke(session.EndLimit, c.now)
	stays.Use(c.now)
	made := session.New(session.Draft{
		ID: c.next, Slot: session.Slot{User: slot.User, Workflow: slot.Workflow, Device: session.Must(session.ParseDeviceID("tablet"))},
		Credential: session.Credential{Hash: session.TokenHash{1}, Sealed: []byte("sealed")}, ExpiresAt: c.now.Add(time.Hour),
	}, c.now)
	return ports.Changes{
		Sessions: []session.Session{ends, stays, made},
		Activity: []session.Activity{{User: slot.User, Session: c.next, Type: session.ActivityCreated, At: c.now}},
		SignInChanges: ports.SignInChanges{
			SignIns: []session.SignIn{seen.SignIns.See(session.Bearer{User: slot.User, Holder: session.Holder{SignIn: session.Must(session.ParseSignInID("sess_new"))}}, c.now)},
			Forget:  []session.Holder{{SignIn: session.Must(session.ParseSignInID("sess_idle_1"))}},
			Moment:  c.now,
		},
	}, nil
}

// cleaned is a call of the clean-up that wants a full batch: one with nothing
// to do has no plan.
func cleaned(method func(context.Context, time.Time, int) (int, error), until time.Time) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := method(ctx, until, lifecycle.CleanupBatch)
		if err == nil && n != lifecycle.CleanupBatch {
			err = errors.New("it cleaned up " + strconv.Itoa(n))
		}
		return err
	}
}
