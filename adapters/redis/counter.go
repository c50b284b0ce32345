package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"chatkit-session/core/session"
	"chatkit-session/ports"
)

// Counter counts events in Redis, for all replicas that use it together. Each
// addition is one atomic command that is sent at most once. It implements
// ports.SharedCounter.
type Counter struct{ client *Client }

var _ ports.SharedCounter = (*Counter)(nil)

// NewCounter returns a Counter that uses client.
func NewCounter(client *Client) *Counter { return &Counter{client} }

var (
	addScript = goredis.NewScript(`
local after = redis.call("INCRBY", KEYS[1], ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return {after - ARGV[1], after}
`)
	addDistinctScript = goredis.NewScript(`
local added = redis.call("SADD", KEYS[1], ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
local after = redis.call("SCARD", KEYS[1])
return {after - added, after}
`)
)

// Add implements ports.SharedCounter.
func (c *Counter) Add(ctx context.Context, key ports.CounterKey, n int) (ports.Count, error) {
	return c.run(ctx, addScript, "times", key, n)
}

// AddDistinct implements ports.SharedCounter.
func (c *Counter) AddDistinct(ctx context.Context, key ports.CounterKey, value string) (ports.Count, error) {
	return c.run(ctx, addDistinctScript, "things", key, value)
}

// run runs script, for at most two of the client's timeouts. Redis may still
// count an addition that timed out here. kind is part of the key in Redis.
func (c *Counter) run(ctx context.Context, script *goredis.Script, kind string, key ports.CounterKey, arg any) (ports.Count, error) {
	name := string(key.Rule) + ":" + key.Subject
	stored := fmt.Sprint(libraryPrefix, keyPrefix, kind, ":", slot(name), ":", key.Start.UnixMicro())
	ctx, cancel := context.WithTimeout(ctx, 2*c.client.timeout)
	defer cancel()
	var counted []int64
	err := c.client.do(ctx, name, func(ctx context.Context) (err error) {
		counted, err = script.Run(ctx, c.client.redis, []string{stored}, arg, (key.Window + excess).Milliseconds()).Int64Slice()
		return err
	})
	if err != nil {
		return ports.Count{}, session.Wrap(session.KindUnavailable, err)
	}
	return ports.Count{Before: int(counted[0]), After: int(counted[1])}, nil
}
