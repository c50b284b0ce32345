package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Sightings counts for all replicas on one Redis together, each key in one step
// that is done at most once. It implements ports.Sightings.
type Sightings struct{ client *Client }

var _ ports.Sightings = (*Sightings)(nil)

// NewSightings returns Sightings.
func NewSightings(client *Client) *Sightings { return &Sightings{client} }

var (
	addTimes = goredis.NewScript(`
local after = redis.call("INCRBY", KEYS[1], ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return {after - ARGV[1], after}
`)
	addThing = goredis.NewScript(`
local another = redis.call("SADD", KEYS[1], ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
local after = redis.call("SCARD", KEYS[1])
return {after - another, after}
`)
)

// Times implements ports.Sightings.
func (s *Sightings) Times(ctx context.Context, key ports.SightingKey, n int) (ports.Sighted, error) {
	return s.add(ctx, addTimes, "times", key, n)
}

// Things implements ports.Sightings.
func (s *Sightings) Things(ctx context.Context, key ports.SightingKey, thing string) (ports.Sighted, error) {
	return s.add(ctx, addThing, "things", key, thing)
}

// add gives its caller half of two timeouts: what Redis counts then, it counts
// all the same.
func (s *Sightings) add(ctx context.Context, script *goredis.Script, kind string, key ports.SightingKey, what any) (ports.Sighted, error) {
	name := string(key.Rule) + ":" + key.Who
	stored := fmt.Sprint(libraryPrefix, keyPrefix, kind, ":", slot(name), ":", key.Since.UnixMicro())
	ctx, cancel := context.WithTimeout(ctx, 2*s.client.timeout)
	defer cancel()
	var counted []int64
	err := s.client.do(ctx, name, func(ctx context.Context) (err error) {
		counted, err = script.Run(ctx, s.client.redis, []string{stored}, what, (key.Within + excess).Milliseconds()).Int64Slice()
		return err
	})
	if err != nil {
		return ports.Sighted{}, session.Wrap(session.KindUnavailable, err)
	}
	return ports.Sighted{Before: int(counted[0]), After: int(counted[1])}, nil
}
