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
	// kindUnknown is verify of tokens that are nobody's.
	kindUnknown = "verify-unknown"
)

// plays says how a request of each kind is made and checked.
var plays = map[string]func(*player, context.Context, int64) error{
	kindReused:     (*player).reuse,
	kindCreated:    (*player).create,
	kindRefreshed:  (*player).refresh,
	kindVerify:     (*player).verify,
	kindIntrospect: (*player).introspect,
	kindList:       (*player).list,
	kindMixed:      (*player).mix,
	kindUnknown:    (*player).verifyUnknown,
}

// held is the session that a user holds on a device.
type held struct{ id, token string }

// scene is what all players of a run share.
type scene struct {
	to       *url.URL
	users    *crowd // who hold sessions on seed.DeviceFresh
	held     []held // theirs, in the same order
	creators *crowd // who come with a new device each time; nil where nobody does
	run      string // makes new devices' names unique
	key      string // of introspection
}

// player is one client on one connection.
type player struct {
	*scene
	play func(*player, context.Context, int64) error
	conn connection
	ask  requests
}

var _ sender = (*player)(nil)

func (s *scene) players(kind string, n int) []sender {
	list := make([]sender, n)
	for i := range list {
		list[i] = s.player(kind)
	}
	return list
}

func (s *scene) player(kind string) *player {
	return &player{scene: s, play: plays[kind], conn: connection{to: s.to}, ask: requests{host: s.to.Host}}
}

func (p *player) send(ctx context.Context, n int64) error { return p.play(p, ctx, n) }

// anyone picks a user who holds a session.
func (p *player) anyone() (i int, user string, holds held) {
	i = rand.IntN(p.users.size()) //nolint:gosec // no secret
	return i, p.users.user(i), p.held[i]
}

func (p *player) reuse(ctx context.Context, _ int64) error {
	i, user, holds := p.anyone()
	got, err := p.conn.do(ctx, p.ask.open(p.users.credential(i), seed.DeviceFresh))
	if err != nil {
		return err
	}
	return checkReused(got, user, seed.DeviceFresh, holds.token)
}

func (p *player) create(ctx context.Context, n int64) error {
	i, device := int(n%int64(p.creators.size())), "load-"+p.run+"-"+strconv.FormatInt(n, 10)
	got, err := p.conn.do(ctx, p.ask.open(p.creators.credential(i), device))
	if err != nil {
		return err
	}
	return checkOutcome(got, p.creators.user(i), device, "created")
}

// refresh opens each of the sessions that are due, once: see seed.DuePerUser.
func (p *player) refresh(ctx context.Context, n int64) error {
	size := int64(p.users.size())
	i, device := int(n%size), seed.DeviceDue+strconv.FormatInt(n/size, 10)
	got, err := p.conn.do(ctx, p.ask.open(p.users.credential(i), device))
	if err != nil {
		return err
	}
	return checkOutcome(got, p.users.user(i), device, "refreshed")
}

func (p *player) verify(ctx context.Context, _ int64) error {
	_, user, holds := p.anyone()
	got, err := p.conn.do(ctx, p.ask.verify(holds.token))
	if err != nil {
		return err
	}
	return checkVerified(got, user, seed.DeviceFresh, holds.id)
}

// verifyUnknown wants nothing but an answer that lets nobody in: whoever sends
// tokens that are nobody's may be told to wait.
func (p *player) verifyUnknown(ctx context.Context, _ int64) error {
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

func (p *player) introspect(ctx context.Context, _ int64) error {
	i, user, holds := p.anyone()
	got, err := p.conn.do(ctx, p.ask.introspect(p.key, holds.token, clientAddress(i)))
	if err != nil {
		return err
	}
	return checkIntrospected(got, user, seed.DeviceFresh, holds.id)
}

func (p *player) list(ctx context.Context, _ int64) error {
	i, user, holds := p.anyone()
	got, err := p.conn.do(ctx, p.ask.list(p.users.credential(i)))
	if err != nil {
		return err
	}
	return checkListed(got, user, holds.id)
}

// mix is what a product's day looks like: a chat back end checks each message,
// pages open the session they have, few people are new or look at their list.
func (p *player) mix(ctx context.Context, n int64) error {
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
