package seed

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"chatkit-session/core/session"
)

// copySQL names the columns that a row gives; the table's defaults fill the
// others.
const copySQL = `COPY chatkit_sessions (id, clerk_user_id, device_id, device_generated, workflow_id, sign_in_id, holder_sign_in_id, status,
	token_hash, token_sealed, metadata, remembered, expires_at, last_activity_at, created_at, updated_at,
	ended_at, end_reason, opens, checks, address, client_browser, client_os, client_kind) FROM STDIN`

// signInsSQL remembers the sign-ins that hold the active sessions, as opening
// these did.
const signInsSQL = `INSERT INTO chatkit_sign_ins (clerk_user_id, sign_in_id, first_seen_at, verified_at)
	SELECT clerk_user_id, holder_sign_in_id, min(created_at), min(created_at) FROM chatkit_sessions
	WHERE status = 'active' AND holder_sign_in_id IS NOT NULL GROUP BY clerk_user_id, holder_sign_in_id
	ON CONFLICT DO NOTHING`

// builder makes the rows of a plan, each from its number alone.
type builder struct {
	plan     Plan
	measured int // how many rows are of the plan's users
	sessions int // how many there are with others', those that are due left out
}

func newBuilder(plan Plan) *builder {
	measured := len(plan.Users) * PerUser
	return &builder{plan, measured, max(plan.Sessions, measured)}
}

// total is how many rows there are.
func (b *builder) total() int { return b.sessions + b.plan.Due }

// draft is what differs between rows.
type draft struct {
	user, device    string
	generated       bool
	status          session.Status
	created, expire time.Duration // before and after now
	ended           time.Duration // before now; 0 while active
	reason          session.EndReason
}

// row is row number i, in the order of copySQL. Those of the plan's users lie
// evenly among the others', as if all had come over the same time: together
// they would fit into a corner of the table.
func (b *builder) row(i int) ([]any, error) {
	if i >= b.sessions {
		return b.values(i, b.due(i-b.sessions))
	}
	before, with := i*b.measured/b.sessions, (i+1)*b.measured/b.sessions
	if with > before {
		return b.values(i, b.ofUser(before))
	}
	return b.values(i, b.other(i-before))
}

// due is a session whose time has been up for some minutes.
func (b *builder) due(i int) draft {
	minutes := time.Minute + time.Duration(i%1_000_000)*time.Millisecond
	return draft{
		user: "user_due_" + strconv.Itoa(i/3), device: fmt.Sprintf("device-%d", i%3), status: session.StatusActive,
		created: 24*time.Hour + minutes, expire: -minutes,
	}
}

// ofUser is a session of one of the plan's users: the first is fresh, the
// others are due for a refresh and stay so for the best part of an hour.
func (b *builder) ofUser(i int) draft {
	d := draft{user: b.plan.Users[i/PerUser].String(), device: DeviceFresh, status: session.StatusActive, created: time.Minute, expire: 24*time.Hour - time.Minute}
	if due := i%PerUser - 1; due >= 0 {
		d.device, d.created, d.expire = DeviceDue+strconv.Itoa(due), 23*time.Hour+5*time.Minute, 55*time.Minute
	}
	return d
}

// othersPerUser is how many sessions somebody has who came and went for weeks.
const othersPerUser = 10

// other is one of the ten sessions of somebody who is not measured: three are
// active, one of them on a generated device, five expired and two were revoked.
func (b *builder) other(i int) draft {
	n, seconds, minutes := i%othersPerUser, time.Duration(i%1000)*time.Second, time.Duration(i%1000)*time.Minute // not all at once
	d := draft{
		user: "user_seed_" + strconv.Itoa(i/othersPerUser), device: fmt.Sprintf("device-%d", n), status: session.StatusActive,
		created: time.Hour + seconds, expire: 2*time.Hour + minutes,
	}
	if d.generated = n == 1 || n == 4 || n == 6 || n == 8; d.generated {
		d.device = fmt.Sprintf("device_%s_%d", d.user, b.plan.Now.Add(-time.Duration(n)*24*time.Hour).UnixMilli())
	}
	switch {
	case n >= 8:
		d.status, d.reason = session.StatusRevoked, session.EndUser
	case n >= 3:
		d.status, d.reason = session.StatusExpired, session.EndExpired
	default:
		return d
	}
	d.ended = time.Duration(n)*48*time.Hour + minutes // kept for 30 days
	d.created, d.expire = d.ended+24*time.Hour, -d.ended
	return d
}

// clients are what people use.
var clients = [][3]string{
	{"Chrome 131", "Windows 10", "desktop"},
	{"Safari 18", "iOS 18", "mobile"},
	{"Firefox 133", "Linux", "desktop"},
	{"Chrome 131", "Android 14", "mobile"},
	{"", "", ""},
}

func (b *builder) values(i int, d draft) ([]any, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	hash, sealed, err := b.credential(id, d.status)
	if err != nil {
		return nil, err
	}
	metadata := "{}"
	if i%4 == 0 {
		metadata = `{"source": "web", "version": "1.0.0"}`
	}
	now, client, signIn := b.plan.Now, clients[i%len(clients)], "sess_"+d.user
	created, lastActivity := now.Add(-d.created), now.Add(-d.created/2)
	var ended, reason any
	if d.status != session.StatusActive {
		ended, reason, lastActivity = now.Add(-d.ended), string(d.reason), now.Add(-d.ended)
	}
	return []any{
		id.String(), d.user, d.device, d.generated, b.plan.Workflow.String(), signIn, signIn, string(d.status),
		hash, sealed, metadata, false, now.Add(d.expire), lastActivity, created, lastActivity,
		ended, reason, i % 50, i % 700, fmt.Sprintf("192.0.2.%d", i%250+1), client[0], client[1], client[2],
	}, nil
}

// credential is a new token's hash and, for an active session, the token
// sealed; an ended one has given its up.
func (b *builder) credential(id uuid.UUID, status session.Status) (hash []byte, sealed any, err error) {
	if status != session.StatusActive {
		hash = make([]byte, sha256.Size)
		_, _ = rand.Read(hash) // never fails (crypto/rand)
		return hash, nil, nil
	}
	parsed, err := session.ParseID(id.String())
	if err != nil {
		return nil, nil, err
	}
	token, err := session.ParseToken(uuid.NewString())
	if err != nil {
		return nil, nil, err
	}
	sum := token.Hash()
	sealed, err = b.plan.Sealer.Seal(parsed, token)
	return sum[:], sealed, err
}
