package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"chatkit-session/adapters/postgres/seed"
)

// Kinds of requests.
const (
	kindReused     = "open-reused"
	kindCreated    = "open-created"
	kindRefreshed  = "open-refreshed"
	kindVerify     = "verify"
	kindIntrospect = "introspect"
	kindList       = "list"
	kindMixed      = "mixed"
	// kindUnknown is verify of unknown tokens.
	kindUnknown = "verify-unknown"
)

// requestsByKind holds the functions that send a request of each kind and check
// its answer.
var requestsByKind = map[string]func(*worker, context.Context, int64) error{
	kindReused:     (*worker).reuse,
	kindCreated:    (*worker).create,
	kindRefreshed:  (*worker).refresh,
	kindVerify:     (*worker).verify,
	kindIntrospect: (*worker).introspect,
	kindList:       (*worker).list,
	kindMixed:      (*worker).mix,
	kindUnknown:    (*worker).verifyUnknown,
}

// held is a session of a user on a device.
type held struct{ id, token string }

// workload is the state that all workers of a run share.
type workload struct {
	to       *url.URL
	users    *userPool // with a session on seed.DeviceFresh each
	held     []held    // their sessions, in the same order
	creators *userPool // open a new device each time; nil if the kind does not need them
	run      string    // makes the names of new devices unique
	key      string    // introspection key
}

// worker is one client on one connection.
type worker struct {
	*workload
	request func(*worker, context.Context, int64) error
	conn    connection
	ask     requests
}

var _ sender = (*worker)(nil)

func (s *workload) workers(kind string, n int) []sender {
	list := make([]sender, n)
	for i := range list {
		list[i] = s.worker(kind)
	}
	return list
}

func (s *workload) worker(kind string) *worker {
	return &worker{workload: s, request: requestsByKind[kind], conn: connection{to: s.to}, ask: requests{host: s.to.Host}}
}

func (p *worker) send(ctx context.Context, n int64) error { return p.request(p, ctx, n) }

// anyone picks a random user with a session.
func (p *worker) anyone() (i int, user string, holds held) {
	i = rand.IntN(p.users.size()) //nolint:gosec // no secret
	return i, p.users.user(i), p.held[i]
}

func (p *worker) reuse(ctx context.Context, _ int64) error {
	i, user, holds := p.anyone()
	got, err := p.conn.do(ctx, p.ask.open(p.users.credential(i), seed.DeviceFresh))
	if err != nil {
		return err
	}
	return checkReused(got, user, seed.DeviceFresh, holds.token)
}

func (p *worker) create(ctx context.Context, n int64) error {
	i, device := int(n%int64(p.creators.size())), "load-"+p.run+"-"+strconv.FormatInt(n, 10)
	got, err := p.conn.do(ctx, p.ask.open(p.creators.credential(i), device))
	if err != nil {
		return err
	}
	return checkOutcome(got, p.creators.user(i), device, "created")
}

// refresh opens each of the sessions that are due, once: see seed.DuePerUser.
func (p *worker) refresh(ctx context.Context, n int64) error {
	size := int64(p.users.size())
	i, device := int(n%size), seed.DeviceDue+strconv.FormatInt(n/size, 10)
	got, err := p.conn.do(ctx, p.ask.open(p.users.credential(i), device))
	if err != nil {
		return err
	}
	return checkOutcome(got, p.users.user(i), device, "refreshed")
}

func (p *worker) verify(ctx context.Context, _ int64) error {
	_, user, holds := p.anyone()
	got, err := p.conn.do(ctx, p.ask.verify(holds.token))
	if err != nil {
		return err
	}
	return checkVerified(got, user, seed.DeviceFresh, holds.id)
}

// verifyUnknown expects any refusal: a client that sends unknown tokens may also
// be throttled.
func (p *worker) verifyUnknown(ctx context.Context, _ int64) error {
	got, err := p.conn.do(ctx, p.ask.verify(uuid.NewString()))
	if err != nil {
		return err
	}
	switch got.status {
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return nil
	}
	return refused(got, http.StatusUnauthorized)
}

func (p *worker) introspect(ctx context.Context, _ int64) error {
	i, user, holds := p.anyone()
	got, err := p.conn.do(ctx, p.ask.introspect(p.key, holds.token, clientAddress(i)))
	if err != nil {
		return err
	}
	return checkIntrospected(got, user, seed.DeviceFresh, holds.id)
}

func (p *worker) list(ctx context.Context, _ int64) error {
	i, user, holds := p.anyone()
	got, err := p.conn.do(ctx, p.ask.list(p.users.credential(i)))
	if err != nil {
		return err
	}
	return checkListed(got, user, holds.id)
}

// mix is the mix of a product: the chat back end checks each message, pages open
// the session that they have, and few users are new or list their sessions.
func (p *worker) mix(ctx context.Context, n int64) error {
	switch dice := rand.IntN(100); { //nolint:gosec // no secret
	case dice < 40:
		return p.verify(ctx, n)
	case dice < 60 && p.key != "":
		return p.introspect(ctx, n)
	case dice < 93:
		return p.reuse(ctx, n)
	case dice < 97:
		return p.list(ctx, n)
	}
	return p.create(ctx, n)
}
