package redis

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
)

// Client calls Redis while it is available, and decides when it is not:
//
//  1. A call that fails, or gets no answer within the timeout, makes the Client
//     doubt Redis: the delay may be this process's own.
//  2. On doubt, the Client sends a probe of its own, in the background.
//  3. If the probe fails, Redis is lost: waiting calls return at once, and so do
//     later ones, without calling Redis.
//  4. The Client goes on probing. When a probe succeeds, calls use Redis again.
type Client struct {
	redis          goredis.UniversalClient
	cluster        *goredis.ClusterClient // redis, or nil where it is none
	counter        *redis_rate.Limiter
	timeout, retry time.Duration
	logger         *slog.Logger

	mu sync.Mutex
	// lost is closed when Redis is lost, and replaced when it is found again.
	lost chan struct{}
	// turns holds one element for each call in flight. It is replaced together
	// with lost, so that calls that hang do not block later ones.
	turns chan struct{}
	// doubted says that a probe is running.
	doubted bool
	// heard receives the key of each call that is answered in time while a probe
	// is running.
	heard chan string
	// tries counts the attempts to find Redis since it was last stable; found is
	// when it was last found.
	tries int
	found time.Time

	// open ends when the client is closed; no task starts after that (guarded by mu).
	open  context.Context //nolint:containedctx // the client's own life.
	end   context.CancelFunc
	tasks sync.WaitGroup
}

// grace is how long, after the timeout, a call still waits for its answer before its
// connection is closed. If Redis is lost, the caller has returned already; if it is
// not, the call is counted.
const grace = 3 * time.Second

// longest is how long a call waits on a silent connection.
func (c *Client) longest() time.Duration { return c.timeout + grace }

// connecting is how long, after the timeout, a probe may take to open its
// connection. The connection is opened anyway, for the next probe.
const connecting = time.Second

var (
	errLost   = errors.New("redis is unavailable")
	errSilent = errors.New("redis did not answer within the timeout")
)

// Close ends all connections.
func (c *Client) Close() error {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	err := c.redis.Close()
	c.tasks.Wait()
	return err
}

// begin checks whether Redis is available. Only here may connecting take longer than
// the timeout.
func (c *Client) begin(ctx context.Context) {
	const key = "start"
	err := c.count(ctx, key)
	if err == nil {
		err = c.confirm(key)
	}
	if err != nil {
		c.lose(key, err)
	}
}

// do runs ask, which calls Redis about key, and waits for its turn and for the
// answer, however busy this process is: a request that were allowed without Redis
// would be one too many. It returns at once when Redis is lost. A broken connection
// is noticed immediately, a Redis that hangs after about five timeouts.
//
// do uses at most half of the time that is left until ctx's deadline, so that the
// caller can still do without Redis. The end of ctx is no reason to doubt Redis, and
// does not close the connection.
func (c *Client) do(ctx context.Context, key string, ask func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, has := ctx.Deadline(); has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	lost, turns := c.state()
	if isClosed(lost) {
		return errLost
	}
	take, answer := turns, make(chan error, 1)
	for {
		select {
		case <-lost:
			return errLost
		case <-ctx.Done():
			return ctx.Err()
		case take <- struct{}{}:
			take = nil // this call has its turn
			go func() {
				defer func() { <-turns }()
				answer <- c.ask(ctx, key, ask)
			}()
		case err := <-answer:
			return err
		}
	}
}

// ask calls Redis and doubts it if the call fails or takes longer than the timeout,
// even if the caller is gone.
func (c *Client) ask(ctx context.Context, key string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.longest())
	defer cancel()
	overdue := time.AfterFunc(c.timeout, func() { c.doubt(key) })
	defer overdue.Stop()
	began := time.Now()
	err := ask(ctx)
	if err != nil {
		c.doubt(key)
	} else if time.Since(began) < c.timeout {
		c.hear(key)
	}
	return err
}

// hear tells a running probe that Redis answered a call about key in time.
func (c *Client) hear(key string) {
	select {
	case c.heard <- key:
	default:
	}
}

// state returns the current lost and turns.
func (c *Client) state() (lost <-chan struct{}, turns chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost, c.turns
}

// isLost reports whether Redis is lost.
func (c *Client) isLost() bool {
	lost, _ := c.state()
	return isClosed(lost)
}

func isClosed(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}

// doubt probes the node that has key, unless a probe is running already. Redis is
// lost if the probe fails.
func (c *Client) doubt(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doubted || c.open.Err() != nil {
		return
	}
	c.doubted = true
	c.tasks.Go(func() {
		if err := c.confirm(key); err != nil {
			c.lose(key, err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.doubted = false
	})
}

// questions is how many times a silent Redis is probed.
const questions = 4

// confirm returns nil if Redis answers. It probes a silent Redis again: if only this
// process or one connection was delayed, the next probe is answered in time; if
// Redis is slow, none is.
func (c *Client) confirm(key string) (err error) {
	for range questions {
		if err = c.probe(key); !errors.Is(err, errSilent) {
			break
		}
	}
	return err
}

// lose marks Redis as lost and starts to look for it, on the node that has key.
func (c *Client) lose(key string, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Err() != nil {
		return
	}
	if c.doubted = true; time.Since(c.found) > steady {
		c.tries = 0
	}
	close(c.lost)
	c.logger.Warn("Redis does not answer: each replica counts for itself until it does", "error", cause)
	c.tasks.Go(func() {
		if c.find(key) {
			c.regain()
		}
	})
}

// regain lets calls use Redis again.
func (c *Client) regain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost, c.turns = make(chan struct{}), make(chan struct{}, inFlight)
	c.doubted, c.found = false, time.Now()
	c.logger.Info("Redis answers again: replicas count together")
}

// steady is how long Redis must answer to be considered stable.
const steady = time.Minute

// find probes Redis until it answers. It reports false if the client is closed
// first. While Redis is unstable the interval doubles, up to eight times the first.
func (c *Client) find(key string) bool {
	for ; ; c.tries++ {
		select {
		case <-c.open.Done():
			return false
		case <-time.After(c.retry << min(c.tries, 3)):
		}
		if c.cluster != nil {
			c.cluster.ReloadState(c.open) // another node may have the key now
		}
		if c.probe(key) == nil {
			c.tries++
			return true
		}
	}
}

// beat is how often a probe measures the silence; late is how late a beat may be.
const beat, late = 5 * time.Millisecond, 5 * time.Millisecond

// probe returns nil if Redis answers within the timeout, on the node that has key. It
// counts only time in which this process ran: if a beat is late, the scheduler
// delayed the answer.
func (c *Client) probe(key string) error {
	answer := make(chan error, 1)
	go func() { answer <- c.count(c.open, key) }()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for silent := time.Duration(0); silent < c.timeout; {
		began := time.Now()
		select {
		case err := <-answer:
			return err
		case other := <-c.heard:
			if c.cluster == nil || other == key {
				return nil
			}
		case <-ticker.C:
			if time.Since(began) < beat+late {
				silent += beat
			}
		}
	}
	return errSilent
}

// often is a limit that a probe never reaches. The probe must be a write, because a
// replica that is not promoted, or a full Redis, answers reads.
var often = redis_rate.PerSecond(1000)

// count runs each script that calls use, on a key of the same form and node, so that
// a probe succeeds only if calls do.
func (c *Client) count(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+connecting)
	defer cancel()
	if _, err := c.counter.Allow(ctx, keyPrefix+"probe:"+slot(key), often); err != nil {
		return err
	}
	for name, script := range map[string]*goredis.Script{"times": addScript, "things": addDistinctScript} {
		if err := script.Run(ctx, c.redis, []string{libraryPrefix + keyPrefix + "probe:" + name + ":" + slot(key)}, 1, time.Second.Milliseconds()).Err(); err != nil {
			return err
		}
	}
	return nil
}
