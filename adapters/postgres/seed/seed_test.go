package seed_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/baseline"
	"chatkit-session/adapters/postgres/pgtest"
	"chatkit-session/adapters/postgres/seed"
	"chatkit-session/core/session"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// sealer remembers what it sealed: its seal is the token's place.
type sealer struct {
	mu     sync.Mutex
	tokens []session.Token
}

func (s *sealer) Seal(_ session.ID, token session.Token) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, token)
	return []byte(strconv.Itoa(len(s.tokens) - 1)), nil
}

func (s *sealer) Unseal(_ session.ID, sealed []byte) (session.Token, error) {
	i, err := strconv.Atoi(string(sealed))
	if err != nil {
		return session.Token{}, err
	}
	return s.tokens[i], nil
}

func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func newPlan(t *testing.T, sealer *sealer) seed.Plan {
	t.Helper()
	plan := seed.Plan{Sessions: 2012, Sealer: sealer, Now: time.Now().UTC().Truncate(time.Microsecond)}
	workflow, err := session.ParseWorkflowID("workflow_x")
	plan.Workflow = must(t, workflow, err)
	for _, name := range []string{"user_a", "user_b"} {
		user, err := session.ParseUserID(name)
		plan.Users = append(plan.Users, must(t, user, err))
	}
	return plan
}

// The rows pass for the service's own: its store reads them, its policy reuses
// the fresh and refreshes the due ones, and their tokens find them.
func TestFill(t *testing.T) {
	t.Parallel()
	url, sealing := pgtest.New(t), &sealer{}
	plan, told := newPlan(t, sealing), 0
	plan.Wrote = func(rows int) { told = rows }
	conn := pgtest.Open(t, url)
	if rows, err := seed.Fill(t.Context(), conn, plan); err != nil || rows != 2012 || told != 2012 {
		t.Fatalf("%d rows, %d told, %v", rows, told, err)
	}
	store, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConnections: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	for _, user := range plan.Users {
		devices := map[string]session.Outcome{seed.DeviceFresh: session.OutcomeReused}
		for i := range seed.DuePerUser {
			devices[seed.DeviceDue+strconv.Itoa(i)] = session.OutcomeRefreshed
		}
		for name, want := range devices {
			device, err := session.ParseDeviceID(name)
			if err != nil {
				t.Fatal(err)
			}
			signIn := session.Must(session.ParseSignInID("sess_" + user.String()))
			found, err := store.Find(t.Context(), session.Slot{User: user, Device: device, Workflow: plan.Workflow}, signIn)
			if err != nil {
				t.Fatal(err)
			}
			if got := session.DefaultPolicy().Decide(plan.Now, session.Actor{}, &session.Found{Session: found}, nil); got.Outcome != want {
				t.Errorf("%s on %s is %s, want %s", user, name, got.Outcome, want)
			}
			if !found.HeldBy(session.Holder{SignIn: signIn}) {
				t.Errorf("%s on %s is held by %v", user, name, found.Holder())
			}
			token, err := sealing.Unseal(found.ID(), found.Credential().Sealed)
			if err != nil {
				t.Fatal(err)
			}
			if same, err := store.FindByToken(t.Context(), token.Hash()); err != nil || same.ID() != found.ID() {
				t.Errorf("the token of %s on %s does not find it: %v", user, name, err)
			}
		}
	}
	var active, expired, revoked, generated, analyzed int
	err = conn.QueryRowContext(t.Context(), `SELECT count(*) FILTER (WHERE status = 'active'), count(*) FILTER (WHERE status = 'expired'),
		count(*) FILTER (WHERE status = 'revoked'), count(*) FILTER (WHERE device_generated),
		(SELECT reltuples FROM pg_class WHERE relname = 'chatkit_sessions') FROM chatkit_sessions`).Scan(&active, &expired, &revoked, &generated, &analyzed)
	if err != nil || active != 612 || expired != 1000 || revoked != 400 || generated != 800 || analyzed != 2012 {
		t.Errorf("%d active, %d expired, %d revoked, %d on generated devices, %d by ANALYZE, %v", active, expired, revoked, generated, analyzed, err)
	}
	var remembered, strangers int
	err = conn.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM chatkit_sign_ins WHERE blocked_at IS NULL),
		(SELECT count(*) FROM chatkit_sessions s WHERE status = 'active' AND NOT EXISTS (
			SELECT FROM chatkit_sign_ins i WHERE i.clerk_user_id = s.clerk_user_id AND i.sign_in_id = s.holder_sign_in_id AND i.actor = s.actor))`).Scan(&remembered, &strangers)
	if err != nil || remembered != 202 || strangers != 0 {
		t.Errorf("%d sign-ins are remembered, %d sessions are held by one that is not, %v", remembered, strangers, err)
	}
}

// Those who are measured lie among the others from one end of the table to the
// other.
func TestFill_Spread(t *testing.T) {
	t.Parallel()
	conn := pgtest.Open(t, pgtest.New(t))
	if _, err := seed.Fill(t.Context(), conn, newPlan(t, &sealer{})); err != nil {
		t.Fatal(err)
	}
	var measured, others int
	err := conn.QueryRowContext(t.Context(), `SELECT count(*) FILTER (WHERE clerk_user_id NOT LIKE 'user_seed%'), count(DISTINCT id)
		FROM (SELECT * FROM chatkit_sessions ORDER BY ctid LIMIT 1090) half`).Scan(&measured, &others)
	if err != nil || measured != seed.PerUser || others != 1090 {
		t.Errorf("half of the table has %d of the %d measured sessions, %v", measured, 2*seed.PerUser, err)
	}
}

// In bulk the table gets its indexes back; what is due is what a clean-up ends.
func TestFill_BulkDue(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	conn, plan := pgtest.Open(t, url), newPlan(t, &sealer{})
	indexes := func() (all string) {
		const ask = `SELECT string_agg(indexdef, E'\n' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'chatkit_sessions'`
		if err := conn.QueryRowContext(t.Context(), ask).Scan(&all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := indexes()
	plan.Bulk, plan.Due = true, 50
	if rows, err := seed.Fill(t.Context(), conn, plan); err != nil || rows != 2062 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if after := indexes(); after != before {
		t.Errorf("the indexes were\n%s\nand are\n%s", before, after)
	}
	store, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConnections: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if n, err := store.ExpireDue(t.Context(), plan.Now, 100); n != 50 || err != nil {
		t.Errorf("%d were due, %v", n, err)
	}
}

// What is seeded can be seeded no second time, and says which rows failed.
func TestFill_Again(t *testing.T) {
	t.Parallel()
	conn, plan := pgtest.Open(t, pgtest.New(t)), newPlan(t, &sealer{})
	if _, err := seed.Fill(t.Context(), conn, plan); err != nil {
		t.Fatal(err)
	}
	if rows, err := seed.Fill(t.Context(), conn, plan); err == nil || rows != 0 {
		t.Errorf("%d rows again, %v", rows, err)
	}
}

// The floor's read finds what the service's finds.
func TestPointRead(t *testing.T) {
	t.Parallel()
	conn, sealing := pgtest.Open(t, pgtest.New(t)), &sealer{}
	plan := newPlan(t, sealing)
	if _, err := seed.Fill(t.Context(), conn, plan); err != nil {
		t.Fatal(err)
	}
	reads, err := baseline.New(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reads.Close() })
	row, err := reads.ByDevice(t.Context(), "user_a", seed.DeviceFresh, "workflow_x")
	if err != nil || row.User != "user_a" || row.Device != seed.DeviceFresh || row.Workflow != "workflow_x" {
		t.Fatalf("row = %+v, %v", row, err)
	}
	if same, err := reads.ByToken(t.Context(), row.TokenHash); err != nil || same.ID != row.ID {
		t.Errorf("by its token: %+v, %v", same, err)
	}
	if _, err := reads.ByDevice(t.Context(), "user_a", "other", "workflow_x"); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("no such device: %v", err)
	}
	if _, err := reads.ByToken(t.Context(), make([]byte, 32)); !errors.Is(err, baseline.ErrNotFound) {
		t.Errorf("no such token: %v", err)
	}
}
